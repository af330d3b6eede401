"""Socket.IO and Engine.IO servers in this process, on a free loopback port.

The class of the server comes from :class:`Transport`, so that the same test can run against ours
and against the stock one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import engineio
import socketio
from aiohttp import web
from deadlines import DEADLINE_S, POLL_S

ENGINEIO_PATH: Final = "/engine.io/"
SOCKETIO_PATH: Final = "/socket.io/"
OURS_ONLY: Final = frozenset(
    {
        "connect_timeout",
        "close_timeout",
        "max_send_bytes",
        "max_send_age",
        "body_timeout",
        "head_timeout",
    }
)
"""Settings that the stock constructors do not know and would silently ignore."""
PATIENT_CLOSE: Final = {"close_timeout": DEADLINE_S}
"""A socket that must close at once is never closed by the abort that follows a slow close."""


@dataclass(frozen=True)
class Transport:
    """The origin of the server classes: ``ours``, ``stock``, or ``door`` for ours behind its door.

    Attributes:
        name: one of the three.
    """

    name: str

    @property
    def is_ours(self) -> bool:
        return self.name != "stock"

    @property
    def has_door(self) -> bool:
        return self.name == "door"

    def socketio(self, **settings: Any) -> Any:
        """Make a Socket.IO server with settings of python-socketio's names and of ours."""
        if self.is_ours:
            from gateway.transport import AsyncServer

            return AsyncServer(**PATIENT_CLOSE | settings)
        return socketio.AsyncServer(async_mode="aiohttp", **self._known(settings))

    def engineio(self, **settings: Any) -> Any:
        """Make an Engine.IO server with settings of python-engineio's names and of ours."""
        if self.is_ours:
            from gateway.transport import EngineServer

            return EngineServer(**PATIENT_CLOSE | settings)
        return engineio.AsyncServer(async_mode="aiohttp", **self._known(settings))

    @staticmethod
    def _known(settings: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if name not in OURS_ONLY}


OURS: Final = Transport("ours")
STOCK: Final = Transport("stock")
DOOR: Final = Transport("door")


@dataclass(frozen=True)
class Address:
    """Where a server of this process listens, and on which path."""

    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{self.path}"


@contextlib.asynccontextmanager
async def serve(
    server: Any,
    path: str = SOCKETIO_PATH,
    *,
    port: int = 0,
    has_door: bool = False,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Address]:
    """Attach a server to an application of its own, listen, and stop both at the end.

    Args:
        server: a Socket.IO or an Engine.IO server.
        path: its path; ``/plain`` belongs to the application.
        port: its port; 0 takes a free one.
        has_door: whether connections come through ``gateway.transport.Door``.
        tls: the server's context; ``None`` for plain TCP.
    """
    app = web.Application()
    app.router.add_get("/plain", _answer_plainly)
    server.attach(app, path)
    runner = _runner(app, has_door=has_door)
    await runner.setup()
    try:
        async with _listen(server, runner, port, tls, has_door=has_door) as taken:
            yield Address("127.0.0.1", taken, path)
    finally:
        await server.shutdown()
        serving = runner.server
        left = [] if serving is None else [one.transport for one in serving.connections]
        await runner.cleanup()
        # A client that never reads keeps a closing socket open; the stock server leaves it so.
        for connection in left:
            if connection is not None:
                connection.abort()
        await asyncio.sleep(POLL_S)


def _runner(app: web.Application, *, has_door: bool) -> web.AppRunner:
    if not has_door:
        return web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    from gateway.transport import runner_behind_door

    return runner_behind_door(app, shutdown_timeout=0.1)


async def _answer_plainly(request: web.Request) -> web.Response:
    return web.Response(text="plain")


@contextlib.asynccontextmanager
async def _listen(
    server: Any,
    runner: web.AppRunner,
    port: int,
    tls: ssl.SSLContext | None,
    *,
    has_door: bool,
) -> AsyncIterator[int]:
    """Listen, and yield the port."""
    if not has_door:
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True, ssl_context=tls).start()
        yield runner.addresses[0][1]
        return
    from gateway.transport import Door

    engine = getattr(server, "eio", server)
    serve_http = runner.server
    assert serve_http is not None
    listening = await asyncio.get_running_loop().create_server(
        lambda: Door(engine, serve_http), "127.0.0.1", port, ssl=tls
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def echo_engine(transport: Transport, **settings: Any) -> Any:
    """An Engine.IO server that echoes each message, text or binary."""
    server = transport.engineio(**settings)

    async def echo(sid: str, data: object) -> None:
        await server.send(sid, data)

    server.on("message", echo)
    return server


def echo_namespaces(transport: Transport, **settings: Any) -> Any:
    """A Socket.IO server whose two namespaces echo: the handshake's ``auth`` and messages.

    ``auth`` is emitted to each client that connects; ``message`` comes back as ``message-back``;
    ``message-with-ack`` comes back as the acknowledgement.
    """
    if not transport.is_ours:
        # Without it the stock server sends what a connect handler emits before CONNECT.
        settings = {"always_connect": True} | settings
    server = transport.socketio(**settings)
    for namespace in ("/", "/custom"):
        _add_echoes(server, namespace)
    return server


def _add_echoes(server: Any, namespace: str) -> None:
    async def connect(sid: str, environ: Any, auth: object) -> None:
        await server.emit("auth", auth or {}, to=sid, namespace=namespace)

    async def message(sid: str, *arguments: object) -> None:
        await server.emit("message-back", arguments, to=sid, namespace=namespace)

    async def message_with_ack(sid: str, *arguments: object) -> tuple[object, ...]:
        return arguments

    server.on("connect", connect, namespace=namespace)
    server.on("message", message, namespace=namespace)
    server.on("message-with-ack", message_with_ack, namespace=namespace)
