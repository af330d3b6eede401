"""Faults of the snapshots that newly held symbols get."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

from gateway.server.app import Gateway
from tests.faults.deliveries import with_another_digit
from tests.faults.ports import wrap

_ONE_IN: Final = 10

LastValue = Callable[[str], bytes | None]


def serve_older(gateway: Gateway) -> None:
    """Send one snapshot in ten of the value before the last."""
    numbers = itertools.count(1)
    last: dict[str, bytes] = {}
    before: dict[str, bytes] = {}

    def around_keep(keep: Callable[[str, bytes], None]) -> Callable[[str, bytes], None]:
        def keeping(stream: str, packet: bytes) -> None:
            if stream in last:
                before[stream] = last[stream]
            last[stream] = packet
            keep(stream, packet)

        return keeping

    def around_value(last_value: LastValue) -> LastValue:
        def valuing(stream: str) -> bytes | None:
            is_old = stream in before and not next(numbers) % _ONE_IN
            return before[stream] if is_old else last_value(stream)

        return valuing

    wrap(gateway.context.broker, "remember_value", around_keep)
    wrap(gateway.context.broker, "last_value", around_value)


def change_digit(gateway: Gateway) -> None:
    """Encode one snapshot in ten with another digit in some number."""
    numbers = itertools.count(1)

    def around(state: Callable[..., Any]) -> Callable[..., Any]:
        def changing(event: str, payload: Any, number: int) -> Any:
            turn = next(numbers)
            if not turn % _ONE_IN:
                payload = with_another_digit(payload, turn)
            return state(event, payload, number)

        return changing

    wrap(gateway.transport, "state", around)
