"""``Gateway``: makes all parts of the gateway, and starts and stops them."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import web

from gateway import strict_json
from gateway.audit import AuditEvent
from gateway.auth import Authenticator
from gateway.brokers.memory import MemoryBroker
from gateway.brokers.port import Broker
from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.terms import log_terms
from gateway.contract import (
    API_PREFIX,
    CLOSE_TIMEOUT_SECONDS,
    HEALTH_PATH,
    MAX_CONNECTS,
    MAX_PAYLOAD_BYTES,
    MAX_PUBLISH_BYTES,
    METRICS_PATH,
    LimitName,
)
from gateway.errors import SourceFailed
from gateway.expiry import ExpiryWheel
from gateway.limits.address_admission import AddressAdmission
from gateway.limits.quota import EventQuotas
from gateway.limits.user_connections import UserConnections
from gateway.limits.user_windows import UserWindows
from gateway.metrics import GatewayMetrics
from gateway.revocations import Revocations
from gateway.server.admin_routes import AdminRoutes
from gateway.server.broadcast import Broadcaster
from gateway.server.clock import Clock, SystemClock
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.drain import Drain
from gateway.server.faults import FaultLog
from gateway.server.flows import FLOWS
from gateway.server.front_door import FrontDoor
from gateway.server.garbage import GarbageCollection
from gateway.server.handlers import Handlers
from gateway.server.http_answers import Guard
from gateway.server.key_fetcher import KeyFetcher
from gateway.server.lines import LineWriter
from gateway.server.listening_socket import ListeningSocket
from gateway.server.local_broadcast import LocalBroadcaster
from gateway.server.log import get_logger
from gateway.server.log_broadcast import LogBroadcaster
from gateway.server.model_streams import ModelStreams
from gateway.server.node_host import make_nodes
from gateway.server.order_routes import OrderRoutes
from gateway.server.process import descriptor_limit
from gateway.server.rate_slots import RateSlots
from gateway.server.routes import Routes
from gateway.server.security import make_security
from gateway.server.shared_port import SharedPort
from gateway.server.sources import Sources
from gateway.server.statistics import statistics
from gateway.server.ticks import Ticks
from gateway.server.tls import TlsCertificate
from gateway.server.tracing import Tracing
from gateway.server.welcome import enforced_limits
from gateway.session import Sessions
from gateway.settings import RELOADED, Settings
from gateway.sources.models.choice import make_providers
from gateway.subscriptions import Subscriptions
from gateway.transport import (
    AsyncServer,
    DescriptorReserve,
    Door,
    PassedDoor,
    RequestEnviron,
    Siblings,
    bound_accepted,
    listen,
    runner_behind_door,
    url_of,
)

_JOIN_S: Final = 5.0  # a gateway starts without its log, and is not ready until it hears it
_CLIENT_JSON: Final = SimpleNamespace(loads=strict_json.read, dumps=strict_json.dumps)

log = get_logger(__name__)


class Gateway:
    """A gateway that runs in any asyncio process.

    Args:
        settings: the settings.
        clock: the clock, the system's by default.
        siblings: the processes that share the port with this one, ``None`` for none.
        standard_error: takes the audit log if it goes to standard error.
        tracing: traces publish requests; None traces none.

    Raises:
        SettingsError: a configured model provider needs a package that is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        tracing: Tracing | None = None,
        *,
        siblings: Siblings | None = None,
        standard_error: LineWriter | None = None,
    ) -> None:
        self.settings = settings
        self._tracing = tracing
        self.clock = clock or SystemClock()
        self.is_ready = False
        self._runner: web.AppRunner | None = None
        self._listener: ListeningSocket | None = None
        self._tls: TlsCertificate | None = None
        self._authenticator = Authenticator(settings)
        self._fetcher: KeyFetcher | None = None
        if settings.jwt_jwks_url is not None:
            self._fetcher = KeyFetcher(settings.jwt_jwks_url, self._authenticator.replace_keys)
        metrics = GatewayMetrics(node=settings.node)
        addresses = AddressAdmission(settings)
        self._faults = FaultLog(self.clock)
        self._security = make_security(
            settings, self.clock, metrics, self._faults, addresses, standard_error
        )
        self._door = FrontDoor(
            settings,
            addresses,
            self.clock,
            metrics,
            self._faults,
            self._security,
            self._accepts_clients,
        )
        self.transport = self._make_transport(metrics)
        self.transport.engine.siblings = siblings
        self.context = self._make_context(metrics, addresses, self._authenticator.revocations)
        self.connections = Connections(
            self.context, self._authenticator, self._door.address_of, self._fetcher
        )
        self._nodes = make_nodes(self.context, self.connections)
        if settings.anomaly == "close":
            self._security.close_user = self._close_user
        self.models = ModelStreams(self.context, make_providers(settings))
        self._handlers = Handlers(self.context, self.connections, self.models)
        self._ticks = Ticks(self.context, self.connections)
        metrics.watch_ready(self._accepts_clients)
        metrics.watch_subscriptions(self.context.subscriptions.counts)
        self._garbage = GarbageCollection(metrics, self._is_idle)
        self._drain = Drain(self.context, self.connections)
        self.sources = Sources(self.context)
        guard = Guard(self.context, self._authenticator, self._fetcher)
        self._port: SharedPort | None = None
        if siblings is not None:
            self._port = SharedPort(siblings, metrics, self._drain_here, self._accepts_clients)
        self._is_last = False  # no other process takes what this one leaves
        self._routes = Routes(self.context, guard, self._accepts_clients, self._expose, tracing)
        self._admin_routes = AdminRoutes(self.context, self.connections, guard, self.drain)
        exchange = self.sources.exchange
        self._order_routes = (
            None if exchange is None else OrderRoutes(self.context, guard, exchange)
        )
        self.transport.on("connect", self.connections.connect)
        self.transport.on("disconnect", self._on_disconnect)
        self.publish = self.context.broadcaster.publish_one
        self.broadcast_to_room = self.context.broadcaster.broadcast_to_room
        self.send_to_user = self.context.broadcaster.send_to_user
        self.send_to_client = self.context.broadcaster.send_to_client

    def _make_context(
        self, metrics: GatewayMetrics, addresses: AddressAdmission, revocations: Revocations
    ) -> Context:
        settings = self.settings
        quotas = EventQuotas.of(settings)
        retention_ns = round(settings.user_retention_seconds * 1e9)
        user_windows = UserWindows(quotas.by_limit[LimitName.USER], retention_ns)
        user_connections = UserConnections(settings.max_connections_per_user)
        rates = RateSlots(self.transport, self.clock, metrics)
        make: type[Broadcaster]
        broker: Broker
        if settings.redis_url is None:
            epoch = secrets.token_hex(8)
            broker = MemoryBroker(epoch, retention_ns, user_windows.__contains__)
            make = LocalBroadcaster
        else:
            terms = log_terms(settings, settings.redis_url)
            broker = RedisBroker(terms, self.clock)
            make = LogBroadcaster
        broadcaster = make(self.transport, broker, user_connections.of, self.clock, metrics, rates)
        return Context(
            settings=settings,
            clock=self.clock,
            metrics=metrics,
            transport=self.transport,
            broadcaster=broadcaster,
            rates=rates,
            sessions=Sessions(),
            subscriptions=Subscriptions(
                settings.max_rooms_per_client, settings.max_symbols_per_process
            ),
            user_connections=user_connections,
            quotas=quotas,
            user_windows=user_windows,
            addresses=addresses,
            broker=broker,
            expiries=ExpiryWheel(),
            revocations=revocations,
            limits=enforced_limits(settings, quotas),
            faults=self._faults,
            security=self._security,
        )

    def _make_transport(self, metrics: GatewayMetrics) -> AsyncServer:
        settings = self.settings
        transport = AsyncServer(
            json=_CLIENT_JSON,
            flows=FLOWS,
            on_event=self._on_event,
            on_welcome=self._on_welcome,
            on_breach=self._on_breach,
            admit=self._door.admit,
            on_session_close=self._door.session_closed,
            cors_allowed_origins=list(settings.client_urls),
            ping_interval=settings.ping_interval_ms / 1_000,
            ping_timeout=settings.ping_timeout_ms / 1_000,
            max_http_buffer_size=MAX_PAYLOAD_BYTES,
            connect_timeout=settings.connect_timeout_seconds,
            max_connects=MAX_CONNECTS,
            head_timeout=settings.head_timeout_seconds,
            max_send_bytes=settings.max_send_bytes,
            max_send_age=settings.max_send_seconds,
            max_waiting_bytes=settings.max_queue_bytes,
            close_timeout=CLOSE_TIMEOUT_SECONDS,
            sid_prefix=f"{settings.node}.",
        )
        engine, fanout = transport.engine, transport.fanout
        metrics.watch_transport(
            waiting_bytes=lambda: engine.waiting_bytes,
            waiting_sends=lambda: sum(fanout.waiting),
            conflated=lambda: engine.counts.conflated,
            sent_bytes=lambda: engine.counts.sent_bytes + fanout.sent_bytes,
            sessions=lambda: len(engine.sockets),
            http_connections=self._count_http_connections,
            tasks=lambda: len(asyncio.all_tasks()),
        )
        return transport

    def _count_http_connections(self) -> int:
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    def _on_event(self, sid: str, name: object, arguments: tuple[object, ...], size: int) -> object:
        return self._handlers.handle(sid, name, arguments, size)

    def _on_disconnect(self, sid: str, reason: str) -> None:
        self.connections.disconnect(sid, reason)
        self.models.client_left(sid)

    def _on_welcome(self, sid: str) -> None:
        self.connections.welcome(sid)

    def _on_breach(self, environ: RequestEnviron, sid: str | None, what: str) -> None:
        self._faults.note(
            "protocol breach", client=sid, address=self._door.address_of(environ), what=what
        )
        session = None if sid is None else self.context.sessions.get(sid)
        self._security.note(
            AuditEvent.PROTOCOL_BREACH,
            user=None if session is None else session.identity.user_id,
            address=self._door.address_of(environ),
            client=sid,
            what=what,
        )
        if session is not None:
            session.closing_reason = "protocol breach"

    def _close_user(self, user_id: str) -> None:
        # In the next turn: what has been read is answered before.
        drop = partial(self.connections.drop_user, user_id, reason="anomaly")
        asyncio.get_running_loop().call_soon(drop)

    def _accepts_clients(self) -> bool:
        return (
            self.is_ready
            and (self._fetcher is None or self._fetcher.has_keys)
            and (self._nodes is None or self._nodes.is_ready)
        )

    def _is_idle(self) -> bool:
        return not any(self.transport.fanout.waiting)

    async def _expose(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of every process on this port, and their content type."""
        if self._port is None:
            return self.context.metrics.expose(accept)
        return await self._port.expose(accept)

    def get_stats(self, limit: int = 100, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of ``{connectedClients, totalSubscriptions, clients, next?}``.

        It has the clients of this process alone.
        """
        return statistics(self.context, limit, cursor)

    async def start(self) -> str:
        """Listen, start the timers, and become ready.

        Returns:
            The URL, with the real port if the setting was 0.

        Raises:
            OSError: the address is in use, or not one of this machine.
            SettingsError: the audit log, the certificate or its key cannot be used.
            SourceFailed: a source of events cannot begin.
            RuntimeError: aiohttp did not set up its server.
        """
        self._tls = TlsCertificate.of(self.settings)
        if self._security.audit is not None:
            self._security.audit.start()
        app = web.Application(client_max_size=MAX_PUBLISH_BYTES)
        self._routes.add_to(app)
        self._admin_routes.add_to(app)
        if self._order_routes is not None:
            self._order_routes.add_to(app)
        self.transport.attach(app)
        self._runner = runner_behind_door(app, keepalive_timeout=self.settings.keep_alive_seconds)
        await self._runner.setup()
        serve = self._runner.server
        if serve is None:
            raise RuntimeError("aiohttp's runner has no server after its setup")
        host = self.settings.host
        listening = listen(host, self.settings.port, shares_port=self._port is not None)
        is_bounded, reserve = bound_accepted(listening), self._reserve_descriptors()
        engine = self.transport.engine
        self._listener = ListeningSocket(
            listening,
            partial(Door, engine, serve, is_bounded=is_bounded, reserve=reserve),
            {} if self._tls is None else self._tls.listening,
        )
        await self._listener.open()
        self._garbage.start()
        self._ticks.start(self._garbage.tick)
        if self._fetcher is not None:
            self._fetcher.start()
        if self._nodes is not None:
            await self._nodes.start(_JOIN_S)
        try:
            await self.sources.start()
        except SourceFailed:
            await self.stop()
            raise
        if self._port is not None:
            self._port.open(
                partial(PassedDoor, engine, serve, is_bounded=is_bounded, reserve=reserve)
            )
        self.is_ready = True
        return url_of(host, listening, is_secure=self._tls is not None)

    def _reserve_descriptors(self) -> DescriptorReserve | None:
        limit = descriptor_limit()
        if limit is None:
            return None
        paths = (HEALTH_PATH, f"{API_PREFIX}{HEALTH_PATH}", METRICS_PATH)
        return DescriptorReserve(
            limit, paths=paths, now_ns=self.clock.monotonic_ns, warn=_warn_of_descriptors
        )

    def reload(self, settings: Settings) -> list[str]:
        """Take new keys, a new metrics token and a new certificate.

        The key set of the issuer is fetched again.

        Connected clients keep their connections until their tokens expire.

        Args:
            settings: the new settings. Only the fields of ``RELOADED`` count.

        Returns:
            The names of the fields that changed.
        """
        now = self.context.settings
        changed = [name for name in RELOADED if getattr(now, name) != getattr(settings, name)]
        if changed:
            taken = {name: getattr(settings, name) for name in RELOADED}
            self.context.settings = replace(now, jwt_algorithms=settings.jwt_algorithms, **taken)
            self._authenticator.reload(self.context.settings)
        if self._fetcher is not None:
            self._fetcher.ask()
        if self._tls is not None:
            self._tls.reload()
        return changed

    def reopen_audit(self) -> None:
        """Go on in a new file if the audit log was rotated."""
        if self._security.audit is not None:
            self._security.audit.reopen()

    def drain(self) -> None:
        """Refuse new clients, and begin to tell and close the others. It does not stop.

        All processes on this port do so.
        """
        if self._port is not None:
            self._port.drain_others()
        self._drain_here()

    def _drain_here(self) -> None:
        self._is_last = True
        self._refuse_new_clients()
        self._drain.begin()

    def refuse(self) -> None:
        """Refuse new clients, as every process on this port does before they end."""
        self._is_last = True
        self._refuse_new_clients()

    def _refuse_new_clients(self) -> None:
        self.is_ready = False
        self.context.is_draining = True
        self.models.end_all()

    async def stop(self) -> None:
        """Refuse new clients, tell the others, close every transport, and stop listening."""
        self._refuse_new_clients()
        if self._port is not None and self._listener is not None and not self._is_last:
            self._port.leave(self._listener.listening)
            self._listener.close()
        await self.sources.stop()
        await self.models.stop()
        await self._ticks.stop()
        await self._drain.finish()
        if self._listener is not None:
            await self._listener.leave(lambda: self.transport.engine.doors)
        await self.transport.shutdown()
        if self._nodes is not None:
            await self._nodes.stop()
        if self._fetcher is not None:
            await self._fetcher.stop()
        if self._port is not None:
            self._port.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._garbage.stop()
        if self._tracing is not None:
            await self._tracing.close()
        self.close_audit()

    def close_audit(self) -> None:
        """Write what the audit log still has to write, and close it."""
        if self._security.audit is not None:
            self._security.audit.close()


def _warn_of_descriptors(limit: int, refused: int) -> None:
    log.warning("out of file descriptors", limit=limit, refused=refused)


async def stop_when(gateway: Gateway, stopping: asyncio.Event, hurrying: asyncio.Event) -> bool:
    """Stop a started gateway when asked, within ``shutdown_seconds``.

    Args:
        gateway: the gateway.
        stopping: asks it to stop.
        hurrying: asks it to stop at once, without waiting for its clients.

    Returns:
        Whether it closed all its clients.
    """
    await stopping.wait()
    log.info("stopping")
    ending = asyncio.create_task(gateway.stop())
    hurry = asyncio.create_task(hurrying.wait())
    await asyncio.wait(
        (ending, hurry),
        timeout=gateway.settings.shutdown_seconds,
        return_when=asyncio.FIRST_COMPLETED,
    )
    hurry.cancel()
    if ending.done():
        ending.result()
        return True
    ending.cancel()
    log.warning("stopped before all clients were closed")
    return False
