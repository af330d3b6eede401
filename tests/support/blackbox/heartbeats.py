"""What holds for the times of heartbeats on every host, however slow."""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

from deadlines import DEADLINE_S

from blackbox.client import RawClient

_STAMP_US: Final = 1_000
"""How far a time in a heartbeat may lie from the moment that the gateway beat."""


def regular_heartbeats(client: RawClient, least: int) -> list[dict[str, Any]]:
    """Read heartbeats until two successive ones are an interval apart; return them all.

    A slow host holds beats back, and the gateway skips those that are overdue: a span may be long,
    and the next one short. But beats never come in a burst: n spans take at least n - 1 intervals.

    Args:
        client: has just connected; its welcome names the interval.
        least: how many heartbeats to read at least.
    """
    interval_us = client.welcome["heartbeatInterval"] * 1_000
    deadline_s = time.monotonic() + DEADLINE_S
    beats: list[dict[str, Any]] = []
    spans_us: list[int] = []
    while len(beats) < least or all(abs(s - interval_us) > interval_us / 4 for s in spans_us):
        assert time.monotonic() < deadline_s, f"no two beats an interval apart: {spans_us} us"
        beats.append(client.expect("heartbeat"))
        spans_us = [b["ts"] - a["ts"] for a, b in itertools.pairwise(beats)]
    for (first, early), (last, late) in itertools.combinations(enumerate(beats), 2):
        assert late["ts"] - early["ts"] >= (last - first - 1) * interval_us - _STAMP_US, spans_us
    return beats
