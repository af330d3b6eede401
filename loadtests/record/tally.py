"""The tally: spans of one series, counted by second, phase and bucket, a piece at a time.

Exact, and without a sort: where a table of all cells is small it is counted in one, which
costs a load generator under full load a tenth of the time. Whoever counts may do something
else between two pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtests.record.histogram import BUCKETS, buckets_of

SECOND_NS: Final = 1_000_000_000
PIECE: Final = 8_192
"""Values that are counted at once: well under a millisecond of work."""
MOST_CELLS: Final = 32 * BUCKETS
"""A larger table of seconds, phases and buckets is not laid out: 8 MB is enough."""
_FEW: Final = 2_048  # a table of one second is larger than that: sorting is quicker

Integers = NDArray[np.int64]


class Tally:
    """Counts spans. ``pieces`` does it, and then the columns are there.

    Args:
        moments_ns: when each span ended.
        values_ns: the spans.
        t0_ns: where the first second begins.
        starts_ns: when each phase begins, ascending; what was before the first counts as it.

    Attributes:
        seconds: of each cell that is not empty, ascending by second, phase, bucket.
        phases: their places in ``starts_ns``.
        buckets: theirs.
        counts: how many spans each has.
    """

    def __init__(
        self, moments_ns: Integers, values_ns: Integers, t0_ns: int, starts_ns: Sequence[int]
    ) -> None:
        self.seconds = self.phases = self.buckets = self.counts = np.empty(0, dtype=np.int64)
        self._moments_ns = moments_ns
        self._values_ns = values_ns
        self._t0_ns = t0_ns
        self._starts_ns = tuple(starts_ns)
        self._first_s = 0

    def pieces(self) -> Iterator[None]:
        """Count a piece with each step."""
        size = len(self._values_ns)
        if not size:
            return
        self._first_s = (int(self._moments_ns.min()) - self._t0_ns) // SECOND_NS
        last_s = (int(self._moments_ns.max()) - self._t0_ns) // SECOND_NS
        cells = (last_s - self._first_s + 1) * len(self._starts_ns) * BUCKETS
        if cells > MOST_CELLS:
            # Far apart, which is rare: there would be many seconds to compare with.
            self._keep(*np.unique(self._divided(), return_counts=True))
            return
        if size <= _FEW:
            self._keep(*np.unique(self._keys(0, size), return_counts=True))
            return
        table = np.zeros(cells, dtype=np.int64)
        for begin in range(0, size, PIECE):
            keys = self._keys(begin, begin + PIECE)
            first = int(keys.min())
            found = np.bincount(keys - first)
            table[first : first + len(found)] += found
            yield
        full = np.flatnonzero(table)
        self._keep(full, table[full])

    def _keys(self, begin: int, end: int) -> Integers:
        """Return one integer for each value: its place in a table of second, phase, bucket."""
        moments_ns = self._moments_ns[begin:end]
        keys = buckets_of(self._values_ns[begin:end])
        earliest_ns, latest_ns = int(moments_ns.min()), int(moments_ns.max())
        first_s = (earliest_ns - self._t0_ns) // SECOND_NS
        last_s = (latest_ns - self._t0_ns) // SECOND_NS
        # A piece lies in a second or two and in one phase: to compare is quicker than to divide.
        keys += (first_s - self._first_s) * len(self._starts_ns) * BUCKETS
        for second in range(first_s + 1, last_s + 1):
            is_later = moments_ns >= self._t0_ns + second * SECOND_NS
            keys += is_later * (len(self._starts_ns) * BUCKETS)
        for start_ns in self._starts_ns[1:]:
            if start_ns <= earliest_ns:
                keys += BUCKETS
            elif start_ns <= latest_ns:
                keys += (moments_ns >= start_ns) * BUCKETS
        return keys

    def _divided(self) -> Integers:
        """Return the same for all values, wherever they lie."""
        second = (self._moments_ns - self._t0_ns) // SECOND_NS - self._first_s
        phase = np.searchsorted(np.array(self._starts_ns[1:]), self._moments_ns, side="right")
        keys: Integers = (second * len(self._starts_ns) + phase) * BUCKETS
        return keys + buckets_of(self._values_ns)

    def _keep(self, keys: Integers, counts: Integers) -> None:
        rest, self.buckets = np.divmod(keys, BUCKETS)
        seconds, self.phases = np.divmod(rest, len(self._starts_ns))
        self.seconds = seconds + self._first_s
        self.counts = counts
