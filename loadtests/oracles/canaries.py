"""Canaries: every private event that the publisher makes names its owner. Pure.

A canary is ``<kind>:<user id>:<n>``, in a field that the gateway passes through and that
only the owner may see. So a delivery tells by itself whose it was, and a public form in
which one is found gives its owner away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import BALANCE_EVENT, TradingEvent

BALANCE: Final = "balance"
CANARY_FIELDS: Final[Mapping[str, str]] = {
    "order": "clientOrderId",
    "position": "id",
    "trade": "orderId",
    BALANCE: "reference",
}
"""Which field of what an event is about holds the canary; a balance's is the event's own."""

PUBLIC_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "order": frozenset(
        [
            "id",
            "symbol",
            "side",
            "type",
            "quantity",
            "price",
            "status",
            "filledQuantity",
            "averagePrice",
            "timeInForce",
        ]
    ),
    "position": frozenset(["id", "symbol", "side", "quantity", "status"]),
    "trade": frozenset(["id", "symbol", "side", "quantity", "price", "value", "executedAt"]),
}
"""The public form of the contract: any other field in it is somebody's secret."""

_SUBJECTS: Final[Mapping[str, str]] = {
    **{event.value: event.value.partition(":")[0] for event in TradingEvent},
    BALANCE_EVENT: BALANCE,
}
_ENVELOPE: Final = frozenset(["seq", "prevSeq", "ts", "srcTs", "timestamp", "epoch", "replayed"])
"""What the gateway itself sets beside the subject."""


def canary(kind: str, user_id: str, number: int) -> str:
    """Return the canary of a user's event."""
    return f"{kind}:{user_id}:{number}"


def owner_of(name: str, payload: Mapping[str, Any]) -> str | None:
    """Return whom an event's canary names; None of an event that carries none."""
    kind = _SUBJECTS.get(name)
    if kind is None:
        return None
    subject = payload if kind == BALANCE else payload.get(kind)
    value = subject.get(CANARY_FIELDS[kind]) if isinstance(subject, Mapping) else None
    return _owner_named(value)


def private_field_of(name: str, payload: Mapping[str, Any]) -> str | None:
    """Return a field of a public form that the contract keeps for the owner; None in a sound one.

    Of a position the ``id`` holds the canary and is public too, as a keyed hash: the canary
    itself gives the owner away.
    """
    kind = _SUBJECTS.get(name)
    if kind is None or kind == BALANCE:
        return None if kind is None else BALANCE
    subject = payload.get(kind)
    fields = subject if isinstance(subject, Mapping) else {}
    for field in fields:
        if field not in PUBLIC_FIELDS[kind] or _owner_named(fields[field]) is not None:
            return f"{kind}.{field}"
    return next((key for key in payload if key != kind and key not in _ENVELOPE), None)


def _owner_named(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    kind, colon, rest = value.partition(":")
    user_id, second, _ = rest.rpartition(":")
    return user_id if colon and second and kind in CANARY_FIELDS else None
