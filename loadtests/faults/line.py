"""The due time of each piece: latency, jitter, bandwidth and slices as arithmetic. Pure.

in ──► cut into slices ──► + latency ± jitter ──► not before its turn ──► at the rate ──► out
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from loadtests.faults.toxics import Bandwidth, Latency, Slicer, Toxic

_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
_NS_PER_S: Final = 1_000_000_000
_BURST_S: Final = 0.05  # a bandwidth limit works in steps of this length

T = TypeVar("T", bound=Toxic)


class DelayLine:
    """The due times of one direction of a connection.

    Args:
        draw: decides jitter and slice sizes; the same draw gives the same times.
    """

    __slots__ = ("_draw", "_free_ns", "_last_ns")

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._last_ns = 0
        self._free_ns = 0

    def put(self, data: bytes, now_ns: int, toxics: Sequence[Toxic]) -> Iterator[tuple[int, bytes]]:
        """Yield the pieces of the data, each with its due time in ns; due times never decrease.

        Args:
            data: bytes that arrived.
            now_ns: when they arrived.
            toxics: the toxics of this direction.
        """
        latency, bandwidth = pick(toxics, Latency), pick(toxics, Bandwidth)
        for wait_ns, piece in self._cut(data, pick(toxics, Slicer), bandwidth):
            due_ns = now_ns + wait_ns
            if latency is not None:
                due_ns += self._delay_ns(latency)
            due_ns = max(due_ns, self._last_ns)
            if bandwidth is not None:
                taken_ns = round(len(piece) * _NS_PER_S / (bandwidth.rate_kb_s * 1_024))
                due_ns = self._free_ns = max(due_ns, self._free_ns) + taken_ns
            self._last_ns = due_ns
            yield due_ns, piece

    def _delay_ns(self, latency: Latency) -> int:
        jitter_ms = self._draw.uniform(-latency.jitter_ms, latency.jitter_ms)
        return max(0, round((latency.latency_ms + jitter_ms) * _NS_PER_MS))

    def _cut(
        self, data: bytes, slicer: Slicer | None, bandwidth: Bandwidth | None
    ) -> Iterator[tuple[int, bytes]]:
        offset = wait_ns = 0
        while offset < len(data):
            size = len(data) - offset
            if slicer is not None:
                spread = slicer.size_variation
                size = slicer.average_size + self._draw.randint(-spread, spread)
            if bandwidth is not None:
                size = min(size, max(1, int(bandwidth.rate_kb_s * 1_024 * _BURST_S)))
            yield wait_ns, data[offset : offset + size]
            offset += size
            if slicer is not None:
                wait_ns += slicer.delay_us * _NS_PER_US


def pick(toxics: Sequence[Toxic], kind: type[T]) -> T | None:
    """Return the first toxic of a kind; None without one."""
    return next((toxic for toxic in toxics if isinstance(toxic, kind)), None)
