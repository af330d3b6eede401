"""``Tally``: counts the spans of one series by second, phase and bucket, a piece at a time.

The counts are exact. A small table of all cells is filled directly, which takes a loaded
generator a tenth of the time of a sort. The caller can do other work between two pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from loadtests.record.histogram import BUCKETS, buckets_of
from loadtests.record.segments import Repeated, Runs
from loadtests.results import Series

SECOND_NS: Final = 1_000_000_000
PIECE: Final = 8_192
"""Values counted in one step: well under a millisecond of work."""
MOST_CELLS: Final = 32 * BUCKETS
"""The largest table of seconds, phases and buckets that is allocated: 8 MB."""
_FEW: Final = 2_048  # fewer values than cells of one second: sorting is quicker

Integers = NDArray[np.int64]


class Tally:
    """Counts spans. ``pieces`` does the work; the columns are valid after it.

    Args:
        moments_ns: when each span ended.
        values_ns: the spans.
        t0_ns: where the first second begins.
        starts_ns: when each phase begins, ascending. Earlier spans belong to the first phase.

    Attributes:
        seconds: of each cell that is not empty, ascending by second, phase, bucket.
        phases: of each cell, an index into ``starts_ns``.
        buckets: of each cell.
        counts: spans in each cell.
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
        """Count one piece a step."""
        size = len(self._values_ns)
        if not size:
            return
        self._first_s = (int(self._moments_ns.min()) - self._t0_ns) // SECOND_NS
        last_s = (int(self._moments_ns.max()) - self._t0_ns) // SECOND_NS
        cells = (last_s - self._first_s + 1) * len(self._starts_ns) * BUCKETS
        if cells > MOST_CELLS:
            # Spans far apart in time, which is rare: too many seconds for a table.
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
        """Return the index of each value in a table of seconds, phases and buckets."""
        moments_ns = self._moments_ns[begin:end]
        keys = buckets_of(self._values_ns[begin:end])
        earliest_ns, latest_ns = int(moments_ns.min()), int(moments_ns.max())
        first_s = (earliest_ns - self._t0_ns) // SECOND_NS
        last_s = (latest_ns - self._t0_ns) // SECOND_NS
        # A piece spans a second or two and one phase: comparing is quicker than dividing.
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
        """Return the same indices for all values, without assumptions about their times."""
        second = (self._moments_ns - self._t0_ns) // SECOND_NS - self._first_s
        phase = np.searchsorted(np.array(self._starts_ns[1:]), self._moments_ns, side="right")
        keys: Integers = (second * len(self._starts_ns) + phase) * BUCKETS
        return keys + buckets_of(self._values_ns)

    def _keep(self, keys: Integers, counts: Integers) -> None:
        rest, self.buckets = np.divmod(keys, BUCKETS)
        seconds, self.phases = np.divmod(rest, len(self._starts_ns))
        self.seconds = seconds + self._first_s
        self.counts = counts


def histogram_columns(
    tallies: Sequence[tuple[Series, str, Tally]], worker: str, phases: Sequence[str]
) -> dict[str, Any]:
    """Return the columns of ``hist`` for the tallies of one flush.

    Args:
        tallies: series, family and tally of each part.
        worker: the name of the process.
        phases: the name of each phase, in the order of the tallies' ``starts_ns``.
    """
    sizes = [len(tally.counts) for _, _, tally in tallies]
    named = list(zip(tallies, sizes, strict=True))
    return {
        "t_s": np.concatenate([tally.seconds for _, _, tally in tallies]),
        "phase": Runs([run for _, _, tally in tallies for run in _phase_runs(tally, phases)]),
        "worker": Repeated(worker, sum(sizes)),
        "series": Runs([Repeated(str(series), size) for (series, _, _), size in named]),
        "family": Runs([Repeated(family, size) for (_, family, _), size in named]),
        "bucket": np.concatenate([tally.buckets for _, _, tally in tallies]),
        "count": np.concatenate([tally.counts for _, _, tally in tallies]),
    }


def _phase_runs(tally: Tally, names: Sequence[str]) -> list[Repeated]:
    """Return the phase of each cell, in runs of equal phases."""
    ends = [*(np.flatnonzero(np.diff(tally.phases)) + 1).tolist(), len(tally.phases)]
    begins = [0, *ends[:-1]]
    return [
        Repeated(names[int(tally.phases[begin])], end - begin)
        for begin, end in zip(begins, ends, strict=True)
    ]
