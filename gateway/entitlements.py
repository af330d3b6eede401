"""Entitlements: what an identity may do beyond being connected: scopes, channels and symbols."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.channels import is_symbol
from gateway.contract import CHANNELS, ChannelRow, Scope, symbol_room
from gateway.errors import NotAllowed

Entitlements = frozenset[str] | None
"""The rooms that an identity may subscribe to, some of them as patterns; ``None``: every one.

A room is allowed if it is in the set, if its channel is, or for ``market-data:BTC/USD`` the pattern
``market-data:BTC/*``. No symbol has a ``*``, so no room is taken for a pattern.
"""
NOTHING: Final[Entitlements] = frozenset()
_ANY: Final = "*"
_PAIR: Final = "/"


def parse_entitlements(claim: object) -> Entitlements:
    """Return the entitlements of a claim: an object of channels, each with true or symbol patterns.

    A channel that this gateway does not have is ignored, and grants nothing.

    Raises:
        ValueError: the claim has another shape. The message quotes none of it.
    """
    if not isinstance(claim, dict):
        raise ValueError("entitlements are not an object")
    granted: set[str] = set()
    for name, row in CHANNELS.items():
        if name in claim:
            granted.update(_rooms(row, claim[name]))
    return frozenset(granted)


def _rooms(row: ChannelRow, value: object) -> Iterable[str]:
    if value is True:
        return (row.name.value,)
    if not row.takes_symbols:
        raise ValueError(f"the entitlement to {row.name} is not true")
    if not isinstance(value, list) or not all(_is_pattern(pattern) for pattern in value):
        raise ValueError(f"the entitlement to {row.name} is neither true nor symbol patterns")
    return (
        row.name.value if pattern == _ANY else symbol_room(pattern, row.name.value)
        for pattern in value
    )


def _is_pattern(value: object) -> bool:
    """Return whether a value is ``*``, a symbol, or the first part of a pair as in ``BTC/*``."""
    if not isinstance(value, str):
        return False
    first = value.removesuffix(_PAIR + _ANY)
    return value == _ANY or (is_symbol(first) and (first == value or _PAIR not in first))


def refused_rooms(entitlements: Entitlements, rooms: Iterable[str]) -> tuple[str, ...]:
    """Return the rooms that an identity may not subscribe to, in their order.

    Args:
        entitlements: of the identity.
        rooms: rooms of channels and symbols.
    """
    if entitlements is None:
        return ()
    return tuple(room for room in rooms if not _allows(entitlements, room))


def _allows(granted: frozenset[str], room: str) -> bool:
    if room in granted or room.partition(":")[0] in granted:
        return True
    first, pair, _ = room.partition(_PAIR)
    return pair != "" and first + _PAIR + _ANY in granted


def require_rooms(entitlements: Entitlements, rooms: Iterable[str]) -> None:
    """Check that an identity may subscribe to all rooms.

    Args:
        entitlements: of the identity.
        rooms: rooms of channels and symbols.

    Raises:
        NotAllowed: it may not. The message names the rooms.
    """
    refused = refused_rooms(entitlements, rooms)
    if refused:
        raise NotAllowed(f"The token has no entitlement to {', '.join(refused)}")


def require_scope(scopes: frozenset[str], scope: Scope) -> None:
    """Check that an identity's scopes have the one that is needed.

    Raises:
        NotAllowed: they have not. The message names the scope.
    """
    if scope not in scopes:
        raise NotAllowed(f"The token needs the scope {scope.value!r}")
