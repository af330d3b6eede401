"""One Socket.IO application on either server: ``python -m tests.benchmarks.gate.socketio_app``.

The argument names the class that serves it: ``python-socketio`` (``socketio.AsyncServer``) or
``tidegate`` (``gateway.transport.AsyncServer``, the drop-in). Everything else is the same, so a
comparison of the two measures the transport.

It speaks the part of the wire that ``scenarios/compare.toml`` needs: the welcome, subscriptions
with marks and snapshots, ``ping``, heartbeats, ``POST /api/v1/publish`` with both forms of private
events, the last numbers, health and the metrics of which a cost is made. The decisions are the
gateway's pure modules. It has no rate limits, replay, ids of publications, model
streams, ``maxRate`` or ``connection-count``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import jwt
import socketio
from aiohttp import web

from gateway import contract, strict_json
from gateway.channels import SubscriptionRequest, is_symbol_room, parse_subscription
from gateway.contract import Audience, ClientEvent, Scope, ServerEvent, named_streams, user_room
from gateway.errors import InvalidPayload, PublicationRejected, UnknownEvent, WireError
from gateway.publication import Publication, parse_publications
from gateway.routing import plan
from gateway.server.clock import read_clock_id
from gateway.streams import Streams
from gateway.subscriptions import Subscriptions
from gateway.transport import AsyncServer
from tests.benchmarks.gate.counted_server import CountedServer, Payload
from tests.benchmarks.transport.servers.stock import (
    OPTIONS,
    bearer_of,
    beat,
    clock_us,
    heartbeat_s,
    read_token,
    serve,
    timestamp,
)

STOCK: Final = "python-socketio"
TIDEGATE: Final = "tidegate"
_Handler = Callable[..., Awaitable[Payload]]
_CLIENTS_METRIC: Final = "tidegate_clients"
_SENT_METRIC: Final = "tidegate_messages_out_total"


def make_server(name: str) -> Any:
    """Return a Socket.IO server that handles the events of a client in order.

    Args:
        name: ``python-socketio`` or ``tidegate``.
    """
    server_class = {STOCK: socketio.AsyncServer, TIDEGATE: AsyncServer}[name]
    return server_class(async_mode="aiohttp", async_handlers=False, **OPTIONS)


class SocketIOApp:
    """The application.

    Args:
        server: a Socket.IO server of either class.
        secret: HS256 secret of the tokens.
        interval_s: seconds between two heartbeats to everyone.
    """

    def __init__(self, server: Any, secret: str, interval_s: float) -> None:
        self._server = server
        self._sio = CountedServer(server)
        self._secret = secret
        self._interval_s = interval_s
        self._clock_id = read_clock_id()
        self._key = secrets.token_bytes(32)
        self._streams = Streams(secrets.token_hex(8))
        self._subscriptions = Subscriptions()
        self._users: dict[str, str] = {}
        self._values: dict[str, tuple[str, Payload]] = {}
        # python-socketio's emit gives way to other tasks. So a number, all frames of it and the
        # marks of a subscription need a lock, or a client gets a number before its mark.
        self._order = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        for event, handler in (
            (ClientEvent.SUBSCRIBE, self._subscribe),
            (ClientEvent.UNSUBSCRIBE, self._unsubscribe),
            (ClientEvent.GET_SUBSCRIPTIONS, self._get_subscriptions),
            (ClientEvent.PING, self._ping),
        ):
            server.on(event.value, self._answering(handler))
        server.on("*", self._answer_unknown)

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(client_max_size=contract.MAX_PUBLISH_BYTES)
        self._server.attach(app)
        app.router.add_post(contract.PUBLISH_PATH, self._publish)
        app.router.add_get(contract.STREAMS_PATH, self._last_numbers)
        app.router.add_get(contract.METRICS_PATH, self._metrics)
        for prefix in ("", contract.API_PREFIX):
            for name in ("live", "ready", "websocket"):
                app.router.add_get(f"{prefix}{contract.HEALTH_PATH}/{name}", self._health)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, _app: web.Application) -> None:
        self._tasks.append(asyncio.create_task(beat(self._sio.to_everyone, self._interval_s)))

    async def _stop(self, _app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()

    # Clients

    async def _connect(self, sid: str, _environ: object, auth: Mapping[str, str] | None) -> None:
        token = (auth or {}).get("token")
        if not token:
            raise _refused(contract.Text.AUTH_MISSING, contract.ErrorCode.AUTH_MISSING)
        try:
            claims = read_token(token, self._secret)
        except jwt.ExpiredSignatureError:
            raise _refused(contract.Text.AUTH_FAILED, contract.ErrorCode.TOKEN_EXPIRED) from None
        except jwt.InvalidTokenError:
            raise _refused(contract.Text.AUTH_FAILED, contract.ErrorCode.AUTH_FAILED) from None
        self._users[sid] = claims["sub"]
        self._sio.add(sid)
        # The server answers CONNECT when this handler has returned; the welcome follows it.
        self._server.start_background_task(self._welcome, sid)

    async def _welcome(self, sid: str) -> None:
        async with self._order:
            user_id = self._users.get(sid)
            if user_id is None:
                return
            await self._sio.enter(sid, user_room(user_id))
            welcome = {
                "message": contract.WELCOME_TEXT,
                "clientId": sid,
                "userId": user_id,
                "timestamp": timestamp(),
                "clock": self._clock_id,
                "epoch": self._streams.epoch,
                "userSeq": self._streams.last_user(user_id),
                "heartbeatInterval": round(self._interval_s * 1_000),
                "limits": {
                    "payloadBytes": OPTIONS["max_http_buffer_size"],
                    "symbolsPerCall": contract.MAX_SYMBOLS_PER_CALL,
                    "roomsPerClient": contract.MAX_ROOMS_PER_CLIENT,
                    "symbols": contract.MAX_SYMBOLS_PER_PROCESS,
                },
            }
            await self._sio.to_client(sid, ServerEvent.CONNECTED, welcome)

    async def _disconnect(self, sid: str, _reason: str) -> None:
        user_id = self._users.pop(sid, None)
        if user_id is not None:
            self._sio.drop(sid, (*self._subscriptions.drop(sid), user_room(user_id)))

    def _answering(self, handler: _Handler) -> _Handler:
        """Return a handler that answers errors: they never disconnect the client."""

        async def handle(sid: str, *arguments: object) -> Payload:
            try:
                return await handler(sid, arguments[0] if arguments else None)
            except WireError as error:
                return await self._answer_error(sid, error)

        return handle

    async def _answer_unknown(self, event: str, sid: str, *_arguments: object) -> Payload:
        return await self._answer_error(sid, UnknownEvent(event))

    async def _answer_error(self, sid: str, error: WireError) -> Payload:
        told = error.payload(timestamp())
        await self._sio.to_client(sid, ServerEvent.ERROR, told)
        return {"error": told}

    async def _subscribe(self, sid: str, payload: object) -> Payload:
        request = _every_event(payload)
        async with self._order:
            if not self._sio.has(sid):
                return {}  # it has disconnected meanwhile: nobody reads this
            joined = self._subscriptions.join(sid, request.rooms)
            for room in joined:
                await self._sio.enter(sid, room)
            held = [
                self._values[stream]
                for room in joined
                if is_symbol_room(room)
                for stream in named_streams(room)
                if stream in self._values
            ]
            answer = self._subscription(request)
            await self._sio.to_client(sid, ServerEvent.SUBSCRIBED, answer)
            for event, value in held:
                shown = {name: of for name, of in value.items() if name != "prevSeq"}
                await self._sio.to_client(sid, event, {**shown, "snapshot": True})
        return answer

    async def _unsubscribe(self, sid: str, payload: object) -> Payload:
        request = _every_event(payload)
        async with self._order:
            for room in self._subscriptions.leave(sid, request.rooms):
                await self._sio.leave(sid, room)
            answer = self._subscription(request)
            await self._sio.to_client(sid, ServerEvent.UNSUBSCRIBED, answer)
        return answer

    def _subscription(self, request: SubscriptionRequest) -> Payload:
        rooms = list(request.rooms)
        named = {"symbols": list(request.symbols)} if request.symbols else {"room": rooms[0]}
        marks = self._streams.marks(request)
        times = {"at": marks, "timestamp": timestamp()}
        return {"channel": request.channel.value, **named, "rooms": rooms, **times}

    async def _get_subscriptions(self, sid: str, _payload: object) -> Payload:
        rooms = list(self._subscriptions.of(sid))
        answer = {"subscriptions": rooms, "count": len(rooms), "timestamp": timestamp()}
        await self._sio.to_client(sid, ServerEvent.SUBSCRIPTIONS, answer)
        return answer

    async def _ping(self, sid: str, _payload: object) -> Payload:
        received = clock_us()
        answer = {"timestamp": timestamp(), "received": received, "sent": clock_us()}
        await self._sio.to_client(sid, ServerEvent.PONG, answer)
        return answer

    # HTTP

    async def _publish(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request, Scope.PUBLISH)
        if refusal is not None:
            return refusal
        try:
            publications = parse_publications(await request.read())
        except PublicationRejected as error:
            return _json({"errors": error.errors}, error.status)
        async with self._order:
            receipts = [await self._publish_one(publication) for publication in publications]
        return _json({"accepted": len(receipts), "published": receipts}, 202)

    async def _publish_one(self, publication: Publication) -> Payload:
        now_ns = time.monotonic_ns()
        outline, numbers = plan(
            publication, self._streams, now_ns=now_ns, timestamp=timestamp(), key=self._key
        )
        if publication.row.audience is Audience.SYMBOL_ROOMS and outline.stream is not None:
            (delivery,) = outline.deliveries
            self._values[outline.stream] = (delivery.event, delivery.payload)
        for delivery in outline.deliveries:
            await self._sio.deliver(delivery)
        told = {"stream": outline.first_stream, "seq": numbers.seq, "userSeq": numbers.user_seq}
        known = {name: value for name, value in told.items() if value is not None}
        return {**known, "ts": now_ns // 1_000}

    async def _last_numbers(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request, Scope.PUBLISH)
        if refusal is not None:
            return refusal
        numbers: dict[str, int] = {}
        for page in self._streams.pages(1_000):
            numbers |= page
        return _json({"epoch": self._streams.epoch, "streams": numbers})

    async def _health(self, _request: web.Request) -> web.Response:
        clients = self._sio.clients
        return _json({"status": "ok", "connectedClients": clients, "timestamp": timestamp()})

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = f"{_CLIENTS_METRIC} {self._sio.clients}\n{_SENT_METRIC} {self._sio.sent}\n"
        return web.Response(text=text)

    def _refusal(self, request: web.Request, scope: Scope) -> web.Response | None:
        """Return the answer to a request whose token lacks a scope; None to one that has it."""
        try:
            claims = read_token(bearer_of(request), self._secret)
        except jwt.InvalidTokenError:
            return _json({"message": contract.Text.AUTH_FAILED, "code": "AUTH_FAILED"}, 401)
        if scope not in str(claims.get("scope", "")).split():
            return _json({"message": f"needs the scope {scope}", "code": "NOT_ALLOWED"}, 403)
        return None


def _every_event(payload: object) -> SubscriptionRequest:
    """Return a subscription, which must not ask for a rate."""
    request = parse_subscription(payload)
    if request.max_rate is not None:
        raise InvalidPayload("this application has no maxRate")
    return request


def _refused(message: str, code: contract.ErrorCode) -> Exception:
    """Return what a connect handler raises, for CONNECT_ERROR."""
    refused: Exception = socketio.exceptions.ConnectionRefusedError(message, {"code": code.value})
    return refused


def _json(content: Payload, status: int = 200) -> web.Response:
    return web.Response(
        text=strict_json.dumps(content), status=status, content_type="application/json"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.socketio_app")
    parser.add_argument("server", choices=(STOCK, TIDEGATE), help="the class that serves")
    options = parser.parse_args(arguments)

    async def run() -> None:
        server = make_server(options.server)
        app = SocketIOApp(server, os.environ["JWT_SECRET"], heartbeat_s())
        await serve(app.application())

    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
