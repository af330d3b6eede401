"""``NodeHost``: what this node's gateway does when the other nodes ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.brokers.redis.broker import RedisBroker
from gateway.contract import LimitName, ResyncReason
from gateway.nodes.shared_events import SharedEvents
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.log_broadcast import LogBroadcaster
from gateway.server.nodes import Nodes
from gateway.server.returns import tell_resync
from gateway.server.statistics import page_of


class NodeHost:
    """The gateway of a node; see ``nodes.Host``.

    Args:
        context: the parts of the gateway.
        connections: closes clients.
        broadcaster: sends what the log numbers.
    """

    def __init__(
        self, context: Context, connections: Connections, broadcaster: LogBroadcaster
    ) -> None:
        self.clock = context.clock
        self.wants = broadcaster.wants
        self.apply = broadcaster.apply
        self.is_full = broadcaster.is_full
        self._context = context
        self._connections = connections

    def counts(self) -> tuple[int, int]:
        """Return the numbers of clients and of subscriptions."""
        return len(self._context.sessions), self._context.subscriptions.total()

    def forget_slots(self, then: Callable[[], None]) -> None:
        """Forget the events that wait for a slot of ``maxRate``; call when the queues are sent.

        Args:
            then: the function to call.
        """
        self._context.rates.tiers.forget_waiting()
        self._context.transport.fanout.when_sent(then)

    def connections(self) -> Mapping[str, Mapping[str, int]]:
        """Return the connections of each user."""
        return self._context.user_connections.by_user()

    def close_silent(self, user_id: str) -> None:
        """Close the longest-silent connection of a user."""
        sid = self._context.user_connections.give_way(user_id)
        if sid is not None:
            self._connections.close_surplus(sid)

    def sids(self) -> list[str]:
        """Return all clients."""
        return [session.sid for session in self._context.sessions]

    def resync(self, sids: Sequence[str], reason: ResyncReason) -> None:
        """Tell clients that they may lack events.

        Args:
            sids: the clients.
            reason: why.
        """
        for sid in sids:
            session = self._context.sessions.get(sid)
            if session is not None:
                tell_resync(self._context, session, reason)

    def count_changed(self) -> None:
        """Tell the clients, with the next count, that it has changed."""
        self._context.count_changed = True

    def revoked(self, user_id: str, text: str) -> None:
        """Take a revocation of before this node joined.

        Args:
            user_id: the user.
            text: the moment and the time to forget it, as the log keeps them.
        """
        self._connections.revoke(user_id, float(text.split(maxsplit=1)[0]))

    def answer(self, what: str, facts: Mapping[str, Any]) -> Any:
        """Do what another node asks, and return the answer.

        Args:
            what: the question's name.
            facts: its facts.
        """
        connections = self._connections
        match what:
            case "disconnect":
                return connections.kick_all(facts["userId"], facts["clientId"])
            case "revoke":
                return connections.revoke(facts["userId"], facts["issuedBefore"])
            case "page":
                return page_of(self._context, facts["limit"], facts["cursor"])
            case _:
                return None  # of a newer version


def make_nodes(context: Context, connections: Connections) -> Nodes | None:
    """Return this node among others, ``None`` where the gateway is one process.

    Args:
        context: the parts of the gateway. It gets the result too.
        connections: closes clients.
    """
    broker, broadcaster = context.broker, context.broadcaster
    if not isinstance(broker, RedisBroker) or not isinstance(broadcaster, LogBroadcaster):
        return None
    settings = context.settings
    context.nodes = nodes = Nodes(
        settings.node,
        broker,
        NodeHost(context, connections, broadcaster),
        SharedEvents(context.user_windows, context.quotas.by_limit[LimitName.USER].window_ns),
        retention_s=settings.user_retention_seconds,
        longest_token_s=settings.max_token_hours * 3_600 + 2 * settings.token_leeway_seconds,
    )
    context.metrics.watch_nodes(
        nodes=lambda: 1 + len(nodes.presence),
        entries=lambda: broker.applied,
        skipped=lambda: broker.skipped,
        silence_s=broker.link.silent_s,
    )
    return nodes
