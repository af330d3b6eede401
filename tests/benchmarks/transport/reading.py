"""What one cell read: a stamp for each socket read, and which ticks it brought."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]


class Reading:
    """Filled by the hot loop, explained afterwards.

    Attributes:
        stamps_ns: for each read that brought a tick, when it returned.
        chunks: for each of them, which chunk it was (see :meth:`describe`).
        round_trips_ns: of pings, from due to the pong's read.
    """

    def __init__(self) -> None:
        self.stamps_ns = array("q")
        self.chunks = array("q")
        self.round_trips_ns = array("q")
        self._counts = array("q")
        self._starts = array("q")
        self._dues_us = array("q")

    def describe(self, dues_us: list[int]) -> int:
        """Return the number of a chunk that holds ticks of these due times."""
        self._starts.append(len(self._dues_us))
        self._counts.append(len(dues_us))
        self._dues_us.extend(dues_us)
        return len(self._counts) - 1

    def messages(self) -> tuple[Times, Times]:
        """Return for every tick that was read: its read stamp and its due time, ns."""
        chunks, stamps = _integers(self.chunks), _integers(self.stamps_ns)
        counts = _integers(self._counts)[chunks] if len(chunks) else chunks
        if not counts.sum():
            return _integers(array("q")), _integers(array("q"))
        before = np.cumsum(counts) - counts
        starts = _integers(self._starts)[chunks]
        places = np.arange(counts.sum()) + np.repeat(starts - before, counts)
        return np.repeat(stamps, counts), _integers(self._dues_us)[places] * 1_000


def _integers(values: Any) -> Times:
    return np.frombuffer(values, dtype=np.int64) if len(values) else np.empty(0, np.int64)


def is_calm(
    dues_ns: Times, readings: Sequence[tuple[int, int]], spare_ns: int
) -> NDArray[np.bool_]:
    """Return for each tick whether there was no host steal around it.

    What the host took is told once it has given the core back, and in steps: of a rise between
    two readings, all of it may lie before the first, and what it held up comes after the second.

    Args:
        dues_ns: when the ticks were due.
        readings: when it was read what the host had taken in all, and what; both ns, rising.
        spare_ns: that may lie on either side of it as well.
    """
    calm = np.ones(len(dues_ns), dtype=np.bool_)
    for (before_ns, had_ns), (after_ns, has_ns) in itertools.pairwise(readings):
        if has_ns > had_ns:
            from_ns = before_ns - (has_ns - had_ns) - spare_ns
            calm &= (dues_ns < from_ns) | (dues_ns > after_ns + spare_ns)
    return calm


def quantile_ms(spans_ns: Times, share: float) -> float | None:
    """Return an exact quantile (the smallest value that ``share`` do not exceed), ms.

    None when there is nothing to take it of: an unmeasured time is absent, never zero.
    """
    if not len(spans_ns):
        return None
    return float(np.quantile(spans_ns, share, method="inverted_cdf")) / 1e6
