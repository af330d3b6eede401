"""The catalogue of metrics: everything that a run measures and a budget may limit.

A metric's row declares its name, kind, producer and meaning. A function in ``reports.measures``
computes it. ``docs/budgets.md`` is written from these rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["quantiles", "span", "count", "number", "bytes", "ratio"]
_UNITS: Final[Mapping[Kind, str]] = {"quantiles": "ns", "span": "ns", "bytes": "B"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as a budget writes it.
        kind: ``quantiles`` of many times, one ``span``, an exact ``count``, a measured ``number``,
            ``bytes`` or ``ratio``.
        producer: what in a scenario gives it values, a key of ``scenarios.producers.NEEDS``.
        meaning: one line for ``docs/budgets.md``.
    """

    name: str
    kind: Kind
    producer: str
    meaning: str

    @property
    def unit(self) -> str:
        """The unit of its values: ns, B or empty."""
        return _UNITS.get(self.kind, "")


_ROWS: Final[Mapping[str, Mapping[str, tuple[Kind, str]]]] = {
    "pushes": {
        "push": ("quantiles", "one-way push time, from the publisher's intended time to the read"),
        "push_service": ("quantiles", "one-way push time, from sequence number to the read"),
    },
    "publications": {
        "accept": ("quantiles", "publication time inside the gateway: numbered − intended"),
        "publish_delay": ("quantiles", "lateness of a publication: sent − intended"),
    },
    "publishing": {
        "fairness.spread": ("ratio", "mean push of the 99th-percentile client over the median's"),
        "fairness.join_order": ("ratio", "rank correlation of arrival order and mean push"),
        "publish_ack": ("quantiles", "response time of a publish request: answered − intended"),
    },
    "deliveries": {
        "kernel": ("quantiles", "from sequence number to the client's kernel, on sampled users"),
        "read": ("quantiles", "from the client's kernel to the read, on sampled users"),
        "fanout.skew": (
            "quantiles",
            "from first to last copy of a publication in one process, but for users of a rate",
        ),
        "delivery.owed": ("count", "deliveries owed, summed over clients"),
        "delivery.received": ("count", "deliveries received, each sequence number once"),
        "delivery.lost": ("count", "deliveries owed, not conflated and never received"),
        "delivery.duplicate": ("count", "deliveries received again"),
        "delivery.reordered": ("count", "deliveries received after a later one"),
        "delivery.late": ("count", "deliveries received after the unsubscribe was acknowledged"),
        "delivery.leaked": ("count", "deliveries received and not owed"),
        "delivery.conflated": ("count", "deliveries owed and replaced by a newer one"),
        "delivery.false_conflations": (
            "count",
            "conflated deliveries that neither a slow reader nor a rate explains",
        ),
        "delivery.altered": ("count", "deliveries whose payload is not the published one"),
        "isolation.unsubscribed": ("count", "events of a room or symbol without a subscription"),
    },
    "entitled users": {
        "isolation.unentitled": ("count", "events of a symbol that the user's token did not allow"),
    },
    "trading events": {
        "isolation.foreign": ("count", "private events that reached a user who does not own them"),
        "isolation.private_fields": ("count", "public events that carry a private field"),
    },
    "orders": {
        "orders.accept": ("quantiles", "from an order's intended time to its HTTP answer"),
        "orders.fill": ("quantiles", "from a market order's intended time to its order:filled"),
        "orders.illegal": (
            "count",
            "order events out of order, or not agreeing with trades and answers",
        ),
        "orders.money": ("count", "positions and balances that the trades do not give"),
        "orders.forms": ("count", "public events that differ from what the owner was told"),
    },
    "prices": {
        "snapshot.wrong": (
            "count",
            "snapshots that are missing, too old, or say something else than their event",
        ),
        "staleness": ("quantiles", "age of the newest price a user holds, sampled each second"),
    },
    "requests": {
        "ack": ("quantiles", "acknowledgement round trip, from the intended time"),
        "ack_service": ("quantiles", "acknowledgement round trip, from the time of sending"),
        "schedule_delay": ("quantiles", "lateness of a user's request: sent − intended"),
    },
    "users": {
        "connect": ("quantiles", "from the first packet of a connection to its welcome event"),
        "session": ("quantiles", "from a user's intended arrival to its first welcome event"),
        "session_delay": ("quantiles", "lateness of a user's arrival: started − intended"),
    },
    "heartbeats": {
        "heartbeat.error": ("quantiles", "difference of a heartbeat gap from the interval"),
        "heartbeat.gap": ("quantiles", "time between two heartbeats in a row at one client"),
    },
    "any run": {
        "heartbeat.missed": ("count", "heartbeats that never arrived"),
        "heartbeat.extra": ("count", "heartbeats received again, or more often than announced"),
        "heartbeat.false_evictions": ("count", "well-behaved users that the gateway disconnected"),
        "answers.mismatched": (
            "count",
            "welcomes and acknowledgements that belong to another user or request",
        ),
        "disconnect.left_open": ("count", "disconnected clients whose transport stayed open"),
        "disconnect.stranded": (
            "count",
            "clients that the gateway kept from returning, though their token is valid",
        ),
        "gauges.age": ("span", "age of the gateway's count of clients, at most"),
        "loop_lag": ("quantiles", "longest delay of a timer in the gateway's loop, each second"),
        "errors": ("count", "failures that the scenario did not ask for"),
        "missed": ("count", "intended publications, requests and sessions that never started"),
        "cost.per_message": ("span", "CPU time of the gateway per message sent"),
        "cost.instructions": (
            "number",
            "instructions of the gateway per message sent, where the machine counts them",
        ),
        "memory.per_client": ("bytes", "gateway memory per client"),
        "memory.kernel_per_client": ("bytes", "kernel memory per connection, both ends together"),
    },
    "model users": {
        "llm.first_token": (
            "quantiles",
            "from a request to a model, as intended, to the first token of its answer",
        ),
        "llm.gap": ("quantiles", "time between two token events of one answer"),
        "llm.integrity": (
            "count",
            "answers with a token lost, repeated, out of order or foreign, or with a wrong end",
        ),
    },
    "cancelling model users": {
        "llm.cancel": ("quantiles", "from the cancel of an answer to llm:stream:cancelled"),
    },
    "dead peers": {
        "dead_peer.early": ("count", "dead peers disconnected before their predicted band"),
        "dead_peer.late": ("count", "dead peers disconnected after their band, or never"),
    },
    "mute peers": {
        "dead_peer.mute": ("quantiles", "time to detect a peer that neither reads nor writes"),
    },
    "no pong peers": {
        "dead_peer.no_pong": ("quantiles", "time to detect a peer that answers no ping"),
    },
    "stalled peers": {
        "dead_peer.stalled": (
            "quantiles",
            "time to detect a peer that only writes pongs",
        ),
    },
    "storms": {
        "storm.back": ("quantiles", "from a storm member's drop to its next welcome event"),
        "storm.fresh": ("quantiles", "from a storm member's drop to its next market event"),
        "storm.not_back": ("count", "storm members that did not return before the run ended"),
        "storm.attempts": ("count", "connection attempts of storm members"),
        "storm.refused": ("count", "connection attempts of storm members that were refused"),
    },
    "rates": {
        "delivery.over_rate": ("count", "deliveries beyond what the users' max_rate allows"),
    },
    "returns": {
        "return.current": (
            "quantiles",
            "from a returning user's first packet to the last private event that it missed",
        ),
        "return.replayed": ("count", "missed private events that came after a return"),
        "return.lost": ("count", "missed private events that did not come after a return"),
        "return.doubled": ("count", "private events that a returning user got again"),
        "return.resync": ("count", "returns that were answered by resync"),
    },
    "abusers": {
        "rate_limit.retry_error": ("quantiles", "difference between retryAfter and the exact wait"),
        "rate_limit.accepted": ("count", "events of abusers that the gateway accepted"),
        "rate_limit.refused": ("count", "events of abusers that the gateway refused"),
        "rate_limit.false_accepts": ("count", "events accepted over the limit"),
        "rate_limit.false_refusals": ("count", "events refused within the limit"),
        "rate_limit.largest_window": ("count", "most events certainly accepted in one window"),
        "rate_limit.dishonest_retries": ("count", "requests refused after retryAfter had passed"),
        "rate_limit.readmitted": ("count", "requests accepted after retryAfter had passed"),
        "rate_limit.neighbours_refused": ("count", "refusals of users within their own limit"),
    },
    "tokens": {
        "auth.false_accepts": ("count", "tokens accepted that the contract refuses"),
        "auth.false_refusals": ("count", "tokens refused that the contract accepts"),
        "auth.wrong_codes": ("count", "refusals with another code than the contract's"),
        "auth.early_events": ("count", "events received before authentication"),
    },
    "expiring tokens": {
        "auth.overstayed": ("count", "connections served after their token expired"),
    },
    "expired tokens": {
        "auth.expiry": ("quantiles", "from token expiry (exp and leeway) to the disconnection"),
    },
    "drains": {
        "drain.notice": ("quantiles", "from the terminate command to server:draining at a client"),
        "drain.close": ("quantiles", "from the terminate command to a client's disconnection"),
        "drain.exit": ("span", "from the terminate command to the gateway's exit"),
        "drain.unannounced": ("count", "clients disconnected in a drain without server:draining"),
    },
    "subscribe commands": {
        "memory.per_subscription": ("bytes", "gateway memory per additional symbol of a client"),
    },
    "send commands": {
        "memory.per_message": ("bytes", "gateway memory that one request of a client leaves"),
    },
    "pause commands": {
        "memory.per_backlog": ("bytes", "gateway memory per client that stops reading"),
    },
    "departures": {
        "memory.returned": ("ratio", "share of its clients' memory that the gateway returns"),
    },
    "cycles": {
        "memory.per_cycle": ("bytes", "gateway memory that each client leaves behind per cycle"),
        "memory.left_sessions": ("count", "sessions left behind after all cycles"),
        "memory.left_fds": ("count", "file descriptors left behind after all cycles"),
    },
}

METRICS: Final[Mapping[str, Metric]] = {
    name: Metric(name, kind, producer, meaning)
    for producer, rows in _ROWS.items()
    for name, (kind, meaning) in rows.items()
}
"""Every metric, by name."""
