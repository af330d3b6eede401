"""What the gateway measures of itself at its periodic tasks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.server import ticks

StartPlace = Callable[..., Awaitable[Any]]

HELD_NS = 7_000_000_000


def longest_hold_s(place: Any) -> float:
    text = place.gateway.context.metrics.expose()[0].decode()
    found = re.search(r"^tidegate_fanout_hold_max_seconds (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_a_hold_by_the_fan_out_is_told_to_every_reader(start_place: StartPlace) -> None:
    place = await start_place()
    place.gateway.transport.fanout.longest_hold_ns = HELD_NS
    await place.until(lambda: longest_hold_s(place) > 0)
    assert [longest_hold_s(place) for _ in range(3)] == [7, 7, 7]


async def test_a_hold_by_the_fan_out_is_forgotten_after_its_windows(
    start_place: StartPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "MAXIMUM_WINDOW_S", 0.05)
    place = await start_place()
    place.gateway.context.metrics.fanout_held(HELD_NS / 1e9)
    assert longest_hold_s(place) == 7
    await place.until(lambda: longest_hold_s(place) < 7)
