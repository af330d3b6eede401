"""Checksums that the publisher puts into each payload, and that every reader verifies. Pure.

The field ``check`` beside the subject holds the checksum of all other fields that the publisher
wrote. The gateway drops it from a public form, which has fixed fields. There the last digits of
``quantity`` are the checksum of the other public fields. So a payload that was changed on its
way shows it by itself, at whichever user, and no process needs to know what another published.
An event of another publisher has no checksum and is not judged.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.contract import EVENTS, Audience, EventRow

CHECK: Final = "check"
CHECK_BYTES: Final = len(f',"{CHECK}":"12345"')
_QUANTITY: Final = "quantity"
_DIGITS: Final = 5
_DECIMALS: Final = 4 + _DIGITS
"""Decimals of a quantity that ends with a checksum."""
_BY_GATEWAY: Final = frozenset(
    ["seq", "prevSeq", "userSeq", "ts", "srcTs", "timestamp", "epoch", "replayed", "snapshot"]
)
"""Fields that the gateway sets."""
_HASHED: Final = "id"  # a keyed hash in the public form


def check_public_form(row: EventRow, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return data whose public form has a checksum; unchanged where it has no ``quantity``.

    Args:
        row: the event.
        data: its payload, as the gateway must pass it on.
    """
    subject = row.subject
    if subject is None or row.audience is not Audience.OWNER_AND_PUBLIC:
        return data
    fields = data[subject.key]
    if _QUANTITY not in fields or _QUANTITY not in subject.public:
        return data
    digits = _checksum(_public(subject.public, fields))
    return {**data, subject.key: {**fields, _QUANTITY: fields[_QUANTITY] + digits}}


def check_whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data with a checksum of all of it, which is ``CHECK_BYTES`` longer as JSON."""
    return {**data, CHECK: _checksum(data)}


def is_altered(name: str, payload: Mapping[str, Any]) -> bool:
    """Return whether an event's payload has a wrong checksum; without one it is not judged."""
    check = payload.get(CHECK)
    if isinstance(check, str) and len(check) == _DIGITS:
        return check != _checksum(_own_fields(payload))
    row = EVENTS.get(name)
    if row is None or row.subject is None or row.audience is not Audience.OWNER_AND_PUBLIC:
        return False
    fields = payload.get(row.subject.key)
    quantity = fields.get(_QUANTITY) if isinstance(fields, Mapping) else None
    if (
        fields is None
        or not isinstance(quantity, str)
        or len(quantity.rpartition(".")[2]) != _DECIMALS
    ):
        return False
    bare = {**fields, _QUANTITY: quantity[:-_DIGITS]}
    return quantity[-_DIGITS:] != _checksum(_public(row.subject.public, bare))


def _own_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: value
        for field, value in payload.items()
        if field not in _BY_GATEWAY and field != CHECK
    }


def _public(names: tuple[str, ...], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields and name != _HASHED}


def _checksum(fields: Mapping[str, Any]) -> str:
    """Return five digits. The order of fields does not count, nor does 5.0 in place of 5."""
    text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    for end in (b",", b"}", b"]"):
        text = text.replace(b".0" + end, end)
    return f"{zlib.crc32(text) % 10**_DIGITS:0{_DIGITS}d}"
