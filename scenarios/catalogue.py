"""The closed list of what a run measures and a budget may judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["quantiles", "span", "count", "bytes", "ratio"]


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that a run measures.

    Attributes:
        name: what a budget calls it.
        kind: ``quantiles`` of many spans; one ``span``; a ``count``, exact; ``bytes``; a ``ratio``.
        unit: of its values: ns, B or nothing.
        meaning: in words.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str


_QUANTILES: Final[Mapping[str, str]] = {
    "push": "push one-way, from the publisher's intended time to the read stamp",
    "push_service": "push one-way, from the moment it was numbered to the read stamp",
    "accept": "a publication on its way in: numbered − intended",
    "kernel": "push from numbering to the client's kernel, on a sample of users",
    "read": "push from the client's kernel to the read stamp, on a sample of users",
    "fanout.skew": "from the first to the last copy of one publication within one process",
    "staleness": "age of the newest price that a user holds, asked once a second",
    "ack": "acknowledgement round trip, from the intended time",
    "ack_service": "acknowledgement round trip, from the time it was sent",
    "connect": "from the first packet of a connection to the welcome event",
    "session": "a user's first connection, from its intended arrival to the welcome event",
    "session_delay": "a virtual user's arrival: begun − intended",
    "heartbeat.error": "how far a heartbeat's gap is off the announced interval",
    "heartbeat.gap": "between two heartbeats in a row at one client",
    "dead_peer.mute": "until a peer that neither reads nor writes is noticed",
    "dead_peer.no_pong": "until a peer that answers no ping is noticed",
    "dead_peer.stalled": "until a peer that reads nothing and still writes pongs is noticed",
    "storm.back": "from the drop of a storm's member to its next welcome",
    "storm.fresh": "from the drop of a storm's member to its first market event after that",
    "rate_limit.retry_error": "how far retryAfter is off what the rule gives",
    "auth.expiry": "from exp and leeway to the end of the connection",
    "drain.notice": "from the command to terminate to server:draining at a client",
    "drain.close": "from the command to terminate to the end of a client's connection",
    "schedule_delay": "a virtual user's request: sent − intended",
    "publish_delay": "a publication: sent − intended",
    "publish_ack": "a publish request: answered − intended",
}
_SPANS: Final[Mapping[str, str]] = {
    "cost.per_message": "CPU time of the gateway for each message that it sent",
    "drain.exit": "from the command to terminate to the gateway's exit",
}
_COUNTS: Final[Mapping[str, str]] = {
    "heartbeat.missed": "heartbeats that never came",
    "heartbeat.false_evictions": "connections of well-behaved users that the gateway ended unasked",
    "dead_peer.early": "dead peers closed before their band began",
    "dead_peer.late": "dead peers closed after their band, or never",
    "rate_limit.accepted": "events of the abuser that the gateway accepted",
    "rate_limit.refused": "events of the abuser that the gateway refused",
    "rate_limit.false_accepts": "events accepted that the limit forbids",
    "rate_limit.false_refusals": "events refused that the limit allows",
    "rate_limit.largest_window": "most events surely accepted in any one window",
    "rate_limit.dishonest_retries": "requests refused although retryAfter was over",
    "rate_limit.readmitted": "requests accepted after retryAfter",
    "rate_limit.neighbours_refused": "refusals met by users who kept within the limit",
    "delivery.owed": "deliveries owed, summed over clients",
    "delivery.received": "deliveries received, each number once",
    "delivery.lost": "deliveries owed, not conflated and never received",
    "delivery.duplicate": "deliveries received again",
    "delivery.reordered": "deliveries received after a later one",
    "delivery.late": "deliveries received after the answer that ended the stay",
    "delivery.leaked": "deliveries received and not owed",
    "delivery.conflated": "deliveries owed and replaced by a newer one",
    "isolation.foreign": "events received that name another owner",
    "isolation.private_fields": "public forms with a field that is the owner's",
    "isolation.unsubscribed": "events of a room or symbol that the user does not hold",
    "storm.not_back": "members of a storm that did not return before the run's end",
    "storm.attempts": "connections that a storm's members tried",
    "storm.refused": "of those, refused by the gateway",
    "auth.false_accepts": "tokens accepted that the contract refuses",
    "auth.false_refusals": "tokens refused that the contract accepts",
    "auth.wrong_codes": "refusals with another code than the contract's",
    "auth.early_events": "events received before authentication",
    "auth.overstayed": "connections served after their token's time was over",
    "drain.unannounced": "clients whose connection ended in a drain without server:draining",
    "memory.left_sessions": "sessions more than before, after all cycles of coming and going",
    "memory.left_fds": "file descriptors more than before, after all cycles",
    "errors": "failures that no scenario asked for",
    "missed": "intended publications, requests and sessions that never were",
}
_BYTES: Final[Mapping[str, str]] = {
    "memory.per_client": "gateway memory that one client costs",
    "memory.per_subscription": "gateway memory that one symbol more costs a client",
    "memory.per_message": "gateway memory that one request leaves behind at a client",
    "memory.per_backlog": "gateway memory that one client costs while it does not read",
    "memory.per_cycle": "gateway memory that stays after each client of a cycle came and went",
    "memory.kernel_per_client": "kernel memory that one connection costs, both ends together",
}
_RATIOS: Final[Mapping[str, str]] = {
    "memory.returned": "share of its clients' memory that the gateway gives back when they leave",
    "fairness.spread": "mean push of the 99th client of a hundred over that of the median client",
    "fairness.join_order": "rank correlation of the order of arrival and the mean push",
}


def _listed() -> dict[str, Metric]:
    kinds: tuple[tuple[Kind, str, Mapping[str, str]], ...] = (
        ("quantiles", "ns", _QUANTILES),
        ("span", "ns", _SPANS),
        ("count", "", _COUNTS),
        ("bytes", "B", _BYTES),
        ("ratio", "", _RATIOS),
    )
    return {
        name: Metric(name, kind, unit, meaning)
        for kind, unit, named in kinds
        for name, meaning in named.items()
    }


METRICS: Final[dict[str, Metric]] = _listed()
"""The closed list, by name."""
