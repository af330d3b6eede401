"""Canaries: every private event that the publisher makes names its owner. Pure.

A canary is ``<kind>:<user id>:<n>``. It stands in a field that the gateway passes through and
that only the owner may see. So a delivery names its owner by itself, and a public form that
holds a canary is a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import EVENTS, Audience, Subject

_PRIVATE: Final[Mapping[str, Subject]] = {
    name: row.subject for name, row in EVENTS.items() if row.subject and row.subject.private
}
"""By event: what it is about, of the events that have a private field."""
_PUBLIC: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(subject.public)
    for name, subject in _PRIVATE.items()
    if EVENTS[name].audience is not Audience.USER
}
"""By event: the fields of its public form, of the events that have one."""
_KINDS: Final = frozenset(subject.key for subject in _PRIVATE.values())
_ENVELOPE: Final = frozenset(["seq", "prevSeq", "ts", "srcTs", "timestamp", "epoch", "replayed"])
"""Fields that the gateway sets beside the subject."""


def canary(subject: Subject, user_id: str, number: int) -> dict[str, str]:
    """Return the private field of a user's event that holds its canary.

    Args:
        subject: what the event is about.
        user_id: its owner.
        number: differs between the events of an owner.
    """
    return {subject.private[0]: f"{subject.key}:{user_id}:{number}"}


def owner_of(name: str, payload: Mapping[str, Any]) -> str | None:
    """Return the user that an event's canary names; None when the event carries no canary."""
    subject = _PRIVATE.get(name)
    if subject is None:
        return None
    fields = payload if subject.is_payload else payload.get(subject.key)
    value = fields.get(subject.private[0]) if isinstance(fields, Mapping) else None
    return _owner_named(value)


def private_field_of(name: str, payload: Mapping[str, Any]) -> str | None:
    """Return a private field that a public form holds; None when it holds none.

    A position's ``id`` holds the canary, and its keyed hash is public. So the canary itself
    in a public field is a private field too.
    """
    subject = _PRIVATE.get(name)
    if subject is None:
        return None
    key = subject.key
    public = _PUBLIC.get(name)
    if public is None:
        return key
    found = payload.get(key)
    fields = found if isinstance(found, Mapping) else {}
    for field in fields:
        if field not in public or _owner_named(fields[field]) is not None:
            return f"{key}.{field}"
    return next((field for field in payload if field != key and field not in _ENVELOPE), None)


def _owner_named(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    kind, colon, rest = value.partition(":")
    user_id, second, _ = rest.rpartition(":")
    return user_id if colon and second and kind in _KINDS else None
