"""``Context``: the parts of the gateway that connections, handlers, routes and ticks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.brokers.port import AppliedNumbers, Broker
from gateway.expiry import ExpiryWheel
from gateway.limits.address_admission import AddressAdmission
from gateway.limits.event_limiter import EventLimiter
from gateway.limits.quota import EventQuotas
from gateway.limits.user_connections import UserConnections
from gateway.limits.user_windows import UserWindows
from gateway.metrics import GatewayMetrics
from gateway.revocations import Revocations
from gateway.server.broadcast import Broadcaster
from gateway.server.clock import Clock
from gateway.server.faults import FaultLog
from gateway.server.log import get_logger
from gateway.server.nodes import Nodes
from gateway.server.rate_slots import RateSlots
from gateway.server.security import Security
from gateway.session import Sessions
from gateway.settings import Settings
from gateway.subscriptions import Subscriptions
from gateway.transport import SocketServer

log = get_logger(__name__)


@dataclass(kw_only=True, slots=True)
class Context:
    """The shared parts of the gateway: settings, clock, transport, and the tables of clients.

    Attributes:
        limits: the enforced limits, as the welcome event lists them.
        count_changed: whether the number of clients has changed since it was last told.
        nodes: this node among others, ``None`` where the gateway is one process.
        is_draining: whether the gateway is about to stop.
    """

    settings: Settings
    clock: Clock
    metrics: GatewayMetrics
    transport: SocketServer
    broadcaster: Broadcaster
    rates: RateSlots
    sessions: Sessions
    subscriptions: Subscriptions
    user_connections: UserConnections
    quotas: EventQuotas
    user_windows: UserWindows
    addresses: AddressAdmission
    broker: Broker
    expiries: ExpiryWheel
    revocations: Revocations
    limits: dict[str, Any]
    faults: FaultLog
    security: Security
    nodes: Nodes | None = None
    count_changed: bool = False
    is_draining: bool = False

    @property
    def streams(self) -> AppliedNumbers:
        """The broker's."""
        return self.broker.streams

    def client_count(self) -> int:
        """Return the number of clients, of all nodes."""
        elsewhere = 0 if self.nodes is None else self.nodes.presence.clients
        return len(self.sessions) + elsewhere

    def limiter_for(self, user_id: str, former: EventLimiter | None = None) -> EventLimiter:
        """Return the limiter of a new connection, with its user's window.

        Args:
            user_id: the user.
            former: the limiter of the transport's last client. Its windows go on.
        """
        window = self.user_windows.acquire(user_id, self.clock.monotonic_ns())
        return EventLimiter(self.quotas, window) if former is None else former.of_user(window)

    def sweep(self) -> None:
        """Forget streams, users, addresses and revocations after their time; sum up faults."""
        self.faults.sum_up()
        now_ns = self.clock.monotonic_ns()
        for user_id in self.user_windows.sweep(now_ns):
            self.broker.forget_user(user_id)
        early = self.broker.sweep(now_ns)
        if early:
            log.warning("too many streams: silent ones were forgotten early", count=early)
        self.addresses.sweep(now_ns)
        if self.security.watch is not None:
            self.security.watch.sweep()
        self.revocations.sweep(self.clock.unix_s(), now_ns)
