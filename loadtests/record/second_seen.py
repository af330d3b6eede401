"""``SecondSeen``: one flushed second of a run, for the live figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from loadtests.record.histogram import BUCKETS, Histogram
from loadtests.record.tally import Integers, Tally
from loadtests.results import Series


class SecondSeen:
    """The content of one flush. A series has a part for each kind of stream.

    Args:
        at_ns: when it was flushed, monotonic.
        clients: virtual users that are connected.
        counts: the counters of the second.

    Attributes:
        server: the newest figures of the gateway, by column; empty when there are none.
        generator: the figures of this process.
    """

    def __init__(self, at_ns: int, clients: int, counts: Counter[str]) -> None:
        self.at_ns = at_ns
        self.clients = clients
        self.counts = counts
        self.server: Mapping[str, object] = {}
        self.generator: Mapping[str, object] = {}
        self._values: dict[Series, list[Integers]] = {}
        self._tallies: dict[Series, list[Tally]] = {}
        self._families: dict[Series, list[str]] = {}

    def add(self, series: Series, values_ns: Integers, family: str = "") -> None:
        """Add a part of a series: its spans in this second.

        Args:
            series: what was measured.
            values_ns: the spans.
            family: of the part, as in ``hist``.
        """
        self._values.setdefault(series, []).append(values_ns)
        self._families.setdefault(series, []).append(family)

    def keep(self, series: Series, tally: Tally) -> None:
        """Add the counts of such a part."""
        self._tallies.setdefault(series, []).append(tally)

    def by_family(self, series: Series) -> dict[str, Histogram]:
        """Return the parts of a series as histograms, by family."""
        parts = zip(self._families.get(series, ()), self._values.get(series, ()), strict=True)
        return {family: Histogram.of(values_ns) for family, values_ns in parts}

    def worst_ns(self, series: Series) -> int | None:
        """Return the longest span of a series, None when it had none."""
        return max((int(part.max()) for part in self._values.get(series, ())), default=None)

    def histogram(self, series: Series) -> Histogram:
        """Return a series' spans of this second as a histogram."""
        tallies, parts = self._tallies.get(series, []), self._values.get(series, [])
        counts = np.zeros(BUCKETS, dtype=np.int64)
        for tally in tallies:
            np.add.at(counts, tally.buckets, tally.counts)  # a bucket may occur in several seconds
        return Histogram.merged([Histogram(counts), *map(Histogram.of, parts[len(tallies) :])])
