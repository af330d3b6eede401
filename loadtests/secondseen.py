"""A second of a run as one flush of a recorder held it, for those who watch while it goes."""

from __future__ import annotations

from collections import Counter

import numpy as np

from loadtests.histogram import BUCKETS, Histogram
from loadtests.results import Series
from loadtests.tally import Integers, Tally


class SecondSeen:
    """What one flush held."""

    def __init__(self, at_ns: int, clients: int, counts: Counter[str]) -> None:
        self.at_ns = at_ns
        self.clients = clients
        self.counts = counts
        self._values: dict[Series, Integers] = {}
        self._tallies: dict[Series, Tally] = {}

    def add(self, series: Series, values_ns: Integers) -> None:
        """Keep a series' spans of this second."""
        self._values[series] = values_ns

    def keep(self, series: Series, tally: Tally) -> None:
        """Keep what the spans of a series were counted to."""
        self._tallies[series] = tally

    def worst_ns(self, series: Series) -> int | None:
        """Return the longest span of a series, None when it had none."""
        values_ns = self._values.get(series)
        return None if values_ns is None else int(values_ns.max())

    def histogram(self, series: Series) -> Histogram:
        """Return a series' spans of this second as a histogram."""
        tally = self._tallies.get(series)
        if tally is None:
            return Histogram.of(self._values.get(series, ()))
        counts = np.zeros(BUCKETS, dtype=np.int64)
        np.add.at(counts, tally.buckets, tally.counts)  # a bucket stands there for each second
        return Histogram(counts)

    def quantile_ns(self, series: Series, q: float) -> int | None:
        """Return the nearest-rank quantile of a series, None when it had none."""
        values_ns = self._values.get(series)
        if values_ns is None:
            return None
        return int(np.quantile(values_ns, q, method="inverted_cdf"))
