"""Stock python-socketio on aiohttp: what a gateway would be without a transport of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
import socketio
from aiohttp import web

_BACKLOG = 4_096


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock_us() -> int:
    return time.monotonic_ns() // 1_000


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
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp", ping_interval=25, ping_timeout=20, max_http_buffer_size=262_144
        )
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
        self._tasks.append(asyncio.create_task(self._beat()))

    async def _beat(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._heartbeat_s)
            number += 1
            beat = {"timestamp": _timestamp(), "ts": _clock_us(), "seq": number}
            await self._sio.emit("heartbeat", beat)

    def _verify(self, token: str) -> dict[str, Any]:
        return jwt.decode(token, self._secret, algorithms=["HS256"])

    async def _connect(self, _sid: str, _environ: object, auth: Mapping[str, str] | None) -> None:
        try:
            self._verify((auth or {}).get("token", ""))
        except jwt.InvalidTokenError:
            raise socketio.exceptions.ConnectionRefusedError("Authentication failed") from None

    async def _subscribe(self, sid: str, payload: Mapping[str, Any]) -> None:
        channel, symbols = payload["channel"], payload.get("symbols")
        rooms = [f"{channel}:{symbol}" for symbol in symbols] if symbols else [channel]
        for room in rooms:
            await self._sio.enter_room(sid, room)
        answer = {"channel": channel, "symbols": symbols, "rooms": rooms, "timestamp": _timestamp()}
        await self._sio.emit("subscribed", answer, to=sid)

    async def _ping(self, sid: str, *_payload: object) -> None:
        received = _clock_us()
        answer = {"timestamp": _timestamp(), "received": received, "sent": _clock_us()}
        await self._sio.emit("pong", answer, to=sid)

    async def _publish(self, request: web.Request) -> web.Response:
        try:
            claims = self._verify(request.headers.get("Authorization", "").removeprefix("Bearer "))
        except jwt.InvalidTokenError:
            return web.Response(status=401)
        if claims.get("scope") != "publish":
            return web.Response(status=403)
        item = json.loads(await request.read())
        room = item["room"]
        previous = self._numbers[room]
        self._numbers[room] = previous + 1
        numbered = {"seq": previous + 1, "prevSeq": previous, "ts": _clock_us()}
        times = {"timestamp": _timestamp(), "srcTs": item["srcTs"]}
        await self._sio.emit(item["event"], {**item["data"], **numbered, **times}, room=room)
        return web.json_response({}, status=202)


async def _serve() -> None:
    stock = Stock(
        os.environ["JWT_SECRET"], float(os.environ.get("GATEWAY_HEARTBEAT_SECONDS", "30"))
    )
    runner = web.AppRunner(stock.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "0")), backlog=_BACKLOG)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
