"""Faults of what a returning client is sent of the private events that it missed."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from gateway.server.app import Gateway
from tests.faults.ports import wrap

_ONE_IN = 10

Missed = Callable[[str, int], list[bytes] | None]


def _change(gateway: Gateway, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change one replay in ten, of those that have an event."""
    numbers = itertools.count(1)

    def around(missed: Missed) -> Missed:
        def missing(user_id: str, number: int) -> list[bytes] | None:
            packets = missed(user_id, number)
            if not packets or next(numbers) % _ONE_IN:
                return packets
            return change(packets)

        return missing

    wrap(gateway.context.broker, "missed", around)


def lose(gateway: Gateway) -> None:
    """Leave the first event of a replay out."""
    _change(gateway, lambda packets: packets[1:])


def double(gateway: Gateway) -> None:
    """Send the last event of a replay twice."""
    _change(gateway, lambda packets: [*packets, packets[-1]])
