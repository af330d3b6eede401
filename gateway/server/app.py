"""``Gateway``: every part made once, put together, started and stopped."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from gateway import strictjson
from gateway.admission import AddressAdmission, UserConnections
from gateway.auth import Authenticator
from gateway.contract import MAX_PAYLOAD_BYTES, MAX_PUBLISH_BYTES, ServerEvent
from gateway.expiry import ExpiryWheel
from gateway.metrics import GatewayMetrics
from gateway.ratelimit import UserLimiters
from gateway.server.broadcast import Broadcaster
from gateway.server.clock import Clock, SystemClock
from gateway.server.connections import Connections
from gateway.server.front_door import FrontDoor
from gateway.server.handlers import Handlers
from gateway.server.log import get_logger
from gateway.server.routes import Routes
from gateway.server.tables import Tables
from gateway.server.ticks import Ticks
from gateway.server.welcome import enforced_limits
from gateway.session import Sessions
from gateway.settings import Settings
from gateway.streams import Streams
from gateway.subscriptions import Subscriptions
from gateway.transport import AsyncServer

_BACKLOG: Final = 4_096
_RECONNECT_AFTER_MS: Final = (1_000, 5_000)  # jitter: not all at once onto the next process
_CLOSING_S: Final = 2.0  # contract: a close that is not done in 2 s is aborted

log = get_logger(__name__)


class Gateway:
    """A gateway that can be started in any asyncio process.

    Args:
        settings: what is enforced.
        clock: where its times come from; the machine's when not given.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.is_ready = False
        self._runner: web.AppRunner | None = None
        self._authenticator = Authenticator(settings)
        self.tables = self._make_tables()
        self.connections = Connections(self.tables, self._authenticator)
        self._handlers = Handlers(self.tables, self.connections)
        self._ticks = Ticks(self.tables, self.connections)
        self._door = FrontDoor(
            settings, self.tables.addresses, self.clock, self.tables.metrics, lambda: self.is_ready
        )
        self._routes = Routes(self.tables, self._authenticator, lambda: self.is_ready)
        transport = self.tables.transport
        transport.on("connect", self.connections.connect)
        transport.on("disconnect", self.connections.disconnect)
        self.publish = self.tables.broadcaster.publish_one
        self.broadcast_to_room = self.tables.broadcaster.broadcast_to_room
        self.send_to_user = self.tables.broadcaster.send_to_user
        self.send_to_client = self.tables.broadcaster.send_to_client

    def _make_tables(self) -> Tables:
        settings = self.settings
        metrics = GatewayMetrics()
        streams = Streams(
            epoch=secrets.token_hex(8),
            retention_ns=round(settings.user_retention_seconds * 1e9),
        )
        user_connections = UserConnections(settings.max_connections_per_user)
        transport = AsyncServer(
            on_event=self._on_event,
            on_welcome=self._on_welcome,
            on_breach=self._on_breach,
            on_session_open=self._on_session_open,
            on_session_close=self._on_session_close,
            json=strictjson,
            allowed_origins=settings.client_urls,
            ping_interval_ms=settings.ping_interval_ms,
            ping_timeout_ms=settings.ping_timeout_ms,
            max_payload_bytes=MAX_PAYLOAD_BYTES,
        )
        broadcaster = Broadcaster(
            transport,
            streams,
            user_connections.of,
            self.clock,
            metrics,
            key=secrets.token_bytes(16),
        )
        return Tables(
            settings=settings,
            clock=self.clock,
            metrics=metrics,
            transport=transport,
            broadcaster=broadcaster,
            sessions=Sessions(),
            subscriptions=Subscriptions(
                settings.max_rooms_per_client, settings.max_symbols_per_process
            ),
            user_connections=user_connections,
            user_limiters=UserLimiters(settings),
            addresses=AddressAdmission(settings),
            streams=streams,
            expiries=ExpiryWheel(self.clock.unix_s()),
            limits=enforced_limits(settings),
        )

    async def _on_event(
        self, sid: str, name: object, arguments: tuple[object, ...], size: int
    ) -> Mapping[str, Any] | None:
        return await self._handlers.handle(sid, name, arguments, size)

    def _on_session_open(self, environ: dict[str, Any]) -> None:
        self._door.session_opened(environ)

    def _on_session_close(self, environ: dict[str, Any]) -> None:
        self._door.session_closed(environ)

    async def _on_welcome(self, sid: str) -> None:
        await self.connections.welcome(sid)

    async def _on_breach(self, sid: str | None, what: str) -> None:
        log.warning("protocol breach", client=sid, what=what)
        if sid is not None:
            await self.connections.close(sid, None, reason="protocol breach")

    def get_stats(self, limit: int = 100, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of ``{connectedClients, totalSubscriptions, clients, next?}``."""
        return self._routes.statistics(limit, cursor)

    async def start(self) -> str:
        """Listen, start the timers, and become ready.

        Returns:
            The URL that it listens on; a port of 0 has become a real one.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        app = web.Application(
            middlewares=[self._door.middleware], client_max_size=MAX_PUBLISH_BYTES
        )
        self._routes.add_to(app)
        self.tables.transport.attach(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        listener = _listen(self.settings.host, self.settings.port)
        await web.SockSite(self._runner, listener, backlog=_BACKLOG).start()
        self._ticks.start()
        self.is_ready = True
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Turn new clients away, tell the others, close every transport, and stop listening."""
        self.is_ready = False
        await self._ticks.stop()
        transport = self.tables.transport
        for session in list(self.tables.sessions):
            session.closing_reason = "draining"
            await transport.send_event(
                session.sid,
                ServerEvent.SERVER_DRAINING,
                {
                    "reconnectAfter": random.randint(*_RECONNECT_AFTER_MS),  # noqa: S311 - jitter
                    "timestamp": self.tables.broadcaster.timestamp(),
                },
            )
        await transport.close_transports(min(_CLOSING_S, self.settings.shutdown_seconds / 2))
        await transport.shutdown()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; dual-stack where the host is an IPv6 wildcard."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def run(gateway: Gateway, stopping: asyncio.Event, report: Callable[[str], None]) -> None:
    """Start a gateway, report its URL, and stop it when asked, in bounded time.

    Args:
        gateway: not started yet.
        stopping: set when it shall stop.
        report: called with the URL once it is ready.
    """
    report(await gateway.start())
    await stopping.wait()
    try:
        await asyncio.wait_for(gateway.stop(), gateway.settings.shutdown_seconds)
    except TimeoutError:
        log.warning("stopped with clients that did not close in time")
