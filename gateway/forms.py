"""Forms of an order, position or trade event: the owner sees all, the public room this."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import TradingEvent

_PUBLIC_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "order": (
        "symbol",
        "side",
        "type",
        "quantity",
        "price",
        "status",
        "filledQuantity",
        "averagePrice",
        "timeInForce",
    ),
    "position": ("symbol", "side", "quantity", "status"),
    "trade": ("symbol", "side", "quantity", "price", "value", "executedAt"),
}
_ID_BYTES: Final = 12


def subject_of(event: TradingEvent) -> str:
    """Return the key under which an event carries what it is about: order, position, trade."""
    return event.value.partition(":")[0]


def public_form(event: str, data: Mapping[str, Any], *, key: bytes) -> dict[str, Any]:
    """Return what everybody may see of an event (contract: public form, nothing else).

    Args:
        event: a trading event.
        data: the owner's form.
        key: 1 to 64 bytes, new for each process: an id's hash links events of one process and
            tells nobody the id.

    Returns:
        The subject with its public fields, as far as the owner's form has them.

    Raises:
        ValueError: not a trading event.
        KeyError: the data do not carry the event's subject.
    """
    subject = subject_of(TradingEvent(event))
    private: Mapping[str, Any] = data[subject]
    public = {field: private[field] for field in _PUBLIC_FIELDS[subject] if field in private}
    if private.get("id") is not None:
        public = {"id": _public_id(subject, private["id"], key), **public}
    return {subject: public}


def _public_id(subject: str, private_id: object, key: bytes) -> str:
    digest = hashlib.blake2b(
        str(private_id).encode(), key=key, person=subject.encode(), digest_size=_ID_BYTES
    )
    return digest.hexdigest()
