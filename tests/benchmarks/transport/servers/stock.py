"""Stock python-socketio on aiohttp: what a gateway would be without a transport of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jwt
import socketio
from aiohttp import web

OPTIONS: Final = {"ping_interval": 25, "ping_timeout": 20, "max_http_buffer_size": 262_144}
"""Of a Socket.IO server, in python-socketio's names."""
_BACKLOG: Final = 4_096
_SHUTDOWN_S: Final = 0.5


def timestamp() -> str:
    """Return the time as the wire shows it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_us() -> int:
    """Return the monotonic time in µs."""
    return time.monotonic_ns() // 1_000


def heartbeat_s() -> float:
    """Return the seconds between two heartbeats, as the environment has them."""
    return float(os.environ.get("GATEWAY_HEARTBEAT_SECONDS", "30"))


def read_token(token: str, secret: str) -> dict[str, Any]:
    """Return the claims of a valid token.

    Raises:
        jwt.InvalidTokenError: it is not valid.
    """
    return jwt.decode(token, secret, algorithms=["HS256"])


def bearer_of(request: web.Request) -> str:
    """Return the bearer token of a request; empty without one."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


async def beat(emit: Callable[[str, dict[str, Any]], Awaitable[object]], interval_s: float) -> None:
    """Send heartbeats until the task is cancelled.

    Args:
        emit: sends an event to every client.
        interval_s: seconds between two heartbeats.
    """
    number = 0
    while True:
        await asyncio.sleep(interval_s)
        number += 1
        await emit("heartbeat", {"timestamp": timestamp(), "ts": clock_us(), "seq": number})


async def serve(application: web.Application) -> None:
    """Serve on ``PORT`` of 127.0.0.1 and print the address. SIGTERM and SIGINT end it."""
    stopping = asyncio.Event()
    for by in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(by, stopping.set)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "0")), backlog=_BACKLOG)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await stopping.wait()
    await runner.cleanup()


class Stock:
    """The application: the same events and the same publish route as every other peer.

    Args:
        secret: HS256 secret of the tokens.
        heartbeat_s: seconds between two heartbeats to everyone.
    """

    def __init__(self, secret: str, heartbeat_s: float) -> None:
        self._secret = secret
        self._heartbeat_s = heartbeat_s
        self._numbers: defaultdict[str, int] = defaultdict(int)
        self._tasks: list[asyncio.Task[None]] = []
        self._sio = socketio.AsyncServer(async_mode="aiohttp", **OPTIONS)
        self._sio.on("connect", self._connect)
        self._sio.on("subscribe", self._subscribe)
        self._sio.on("ping", self._ping)

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application()
        self._sio.attach(app)
        app.router.add_post("/api/v1/publish", self._publish)
        app.on_startup.append(self._start)
        return app

    async def _start(self, _app: web.Application) -> None:
        self._tasks.append(asyncio.create_task(beat(self._sio.emit, self._heartbeat_s)))

    async def _connect(self, _sid: str, _environ: object, auth: Mapping[str, str] | None) -> None:
        try:
            read_token((auth or {}).get("token", ""), self._secret)
        except jwt.InvalidTokenError:
            raise socketio.exceptions.ConnectionRefusedError("Authentication failed") from None

    async def _subscribe(self, sid: str, payload: Mapping[str, Any]) -> None:
        channel, symbols = payload["channel"], payload.get("symbols")
        rooms = [f"{channel}:{symbol}" for symbol in symbols] if symbols else [channel]
        for room in rooms:
            await self._sio.enter_room(sid, room)
        answer = {"channel": channel, "symbols": symbols, "rooms": rooms, "timestamp": timestamp()}
        await self._sio.emit("subscribed", answer, to=sid)

    async def _ping(self, sid: str, *_payload: object) -> None:
        received = clock_us()
        answer = {"timestamp": timestamp(), "received": received, "sent": clock_us()}
        await self._sio.emit("pong", answer, to=sid)

    async def _publish(self, request: web.Request) -> web.Response:
        try:
            claims = read_token(bearer_of(request), self._secret)
        except jwt.InvalidTokenError:
            return web.Response(status=401)
        if claims.get("scope") != "publish":
            return web.Response(status=403)
        item = json.loads(await request.read())
        room = item["room"]
        previous = self._numbers[room]
        self._numbers[room] = previous + 1
        numbered = {"seq": previous + 1, "prevSeq": previous, "ts": clock_us()}
        times = {"timestamp": timestamp(), "srcTs": item["srcTs"]}
        await self._sio.emit(item["event"], {**item["data"], **numbered, **times}, room=room)
        return web.json_response({}, status=202)


if __name__ == "__main__":
    asyncio.run(serve(Stock(os.environ["JWT_SECRET"], heartbeat_s()).application()))
