"""Estimates with 95 % intervals: quantiles of a histogram, ratios of sums.

Seconds of one run depend on each other: a stall lasts, a queue drains. So the interval of a
quantile is a moving-block bootstrap (Künsch 1989; Liu and Singh 1992) over one-second
histograms: blocks of seconds are drawn, as many seconds as the run had, and the quantile is read
from each drawn sum. A ratio of two sums over seconds is resampled in the same way.

A burst has too few seconds for that. For one value per member of a group, order statistics bound
a quantile without an assumption about the distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtests.results import bucket_range
from scenarios.foresight import samples_needed as samples_needed  # noqa: PLC0414 - offered on

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1_000
FEWEST_RESAMPLES: Final = 200
FEWEST_BLOCKS: Final = 3
_WORK_BUDGET: Final = 6e9  # multiplications in one bootstrap: under a second on one core

_ends_of = lru_cache(maxsize=1 << 16)(bucket_range)

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, its 95 % interval, and the number of values behind it.

    ``low`` and ``high`` are None when the data give no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int


@dataclass(frozen=True, kw_only=True)
class StackedHistogram:
    """One-second histograms of a series, stacked.

    Attributes:
        seconds: every second of the phase, in order, also those without values.
        buckets: non-empty buckets, in order (``loadtests.results.bucket_range``).
        counts: one row per second, one column per bucket.
    """

    seconds: npt.NDArray[np.int64]
    buckets: npt.NDArray[np.int64]
    counts: Counts

    @cached_property
    def n(self) -> int:
        """The number of values."""
        return int(self.counts.sum())

    @cached_property
    def tops(self) -> Floats:
        """The upper end (ns) of each bucket; a value is reported as this, as HDR histograms do."""
        return np.array([_ends_of(int(bucket))[1] for bucket in self.buckets], dtype=float)

    @cached_property
    def floors(self) -> Floats:
        """The lower end (ns) of each bucket."""
        return np.array([_ends_of(int(bucket))[0] for bucket in self.buckets], dtype=float)


def quantile_of(histogram: StackedHistogram, quantile: float) -> float:
    """Return the quantile (ns): the top of the bucket that holds the ⌈n·quantile⌉-th value.

    It is at least the exact value, and less than one part in 1,024 above it.

    Raises:
        ValueError: the histogram is empty.
    """
    if not histogram.n:
        raise ValueError("an empty histogram has no quantile")
    column = _columns(np.cumsum(histogram.counts.sum(axis=0))[None, :], quantile)[0]
    return float(histogram.tops[column])


def quantiles_by_second(histogram: StackedHistogram, quantiles: Sequence[float]) -> Floats:
    """Return quantiles (ns, columns) of each second (rows); NaN without values."""
    running = np.cumsum(histogram.counts, axis=1)
    found = np.full((len(running), len(quantiles)), np.nan)
    if not histogram.n:
        return found
    filled = running[:, -1] > 0
    for place, quantile in enumerate(quantiles):
        found[filled, place] = histogram.tops[_columns(running[filled], quantile)]
    return found


def _columns(running: npt.NDArray[Any], quantile: float) -> npt.NDArray[np.intp]:
    """Return the first column of each row of running counts that reaches the quantile."""
    return np.asarray((running >= _rank(running[:, -1:], quantile)).argmax(axis=1))


def estimate_quantiles(
    histogram: StackedHistogram, quantiles: Sequence[float], *, seed: int
) -> list[Estimate]:
    """Return quantiles with their bootstrap intervals, from the same draws for the same seed.

    An interval is widened to whole buckets. A run of fewer than three blocks gives none.

    Args:
        histogram: the values.
        quantiles: between 0 and 1.
        seed: of the draws.

    Raises:
        ValueError: the histogram is empty.
    """
    values = [quantile_of(histogram, quantile) for quantile in quantiles]
    if len(histogram.seconds) < FEWEST_BLOCKS * block_length(histogram):
        return [Estimate(value=value, n=histogram.n) for value in values]
    draws = _affordable(histogram.counts.size)
    columns = _resampled_columns(histogram, quantiles, draws=draws, seed=seed)
    tail = (1 - CONFIDENCE) / 2
    firsts, lasts = np.quantile(columns, [tail, 1 - tail], axis=0, method="inverted_cdf").astype(
        int
    )
    return [
        Estimate(
            value=value,
            low=min(float(histogram.floors[first]), value),
            high=max(float(histogram.tops[last]), value),
            n=histogram.n,
        )
        for value, first, last in zip(values, firsts, lasts, strict=True)
    ]


def drawn_quantiles(
    histogram: StackedHistogram, quantiles: Sequence[float], *, draws: int, seed: int
) -> Floats:
    """Return quantiles (ns, columns) of resampled seconds (rows), without draws of no value.

    Args:
        histogram: the values.
        quantiles: between 0 and 1.
        draws: how many.
        seed: of the draws.
    """
    return histogram.tops[_resampled_columns(histogram, quantiles, draws=draws, seed=seed)]


def estimate_maximum(histogram: StackedHistogram) -> Estimate:
    """Return the largest value; its interval is its bucket.

    Raises:
        ValueError: the histogram is empty.
    """
    if not histogram.n:
        raise ValueError("an empty histogram has no maximum")
    last = int(np.flatnonzero(histogram.counts.sum(axis=0))[-1])
    top = float(histogram.tops[last])
    return Estimate(value=top, low=float(histogram.floors[last]), high=top, n=histogram.n)


def estimate_by_order(
    histogram: StackedHistogram, quantile: float, *, never: int = 0
) -> Estimate | None:
    """Return a quantile over members with a distribution-free interval.

    Of n members the number below the quantile is binomial (n, quantile), whatever their
    distribution, so the quantile lies between two order statistics whose ranks are the
    binomial's 2.5 % points (David and Nagaraja 2003, §7.1). When n is too small for an upper rank
    at 2.5 % but not at 5 % (``samples_needed``), the upper rank is the largest value.

    Members of one burst depend on each other. The interval holds for another member of this
    burst, not for another burst.

    Args:
        histogram: the members' values.
        quantile: between 0 and 1.
        never: members without a value; they rank above all values.

    Returns:
        The estimate; ``high`` is None when the upper rank has no value. None when the quantile
        itself has no value.
    """
    members = histogram.n + never
    rank = max(1, math.ceil(members * quantile - 1e-9))
    if rank > histogram.n:
        return None
    tail = (1 - CONFIDENCE) / 2
    low_rank = _binomial_point(tail, members, quantile)
    high_rank = _binomial_point(1 - tail, members, quantile) + 1
    if high_rank > members and members >= samples_needed(quantile):
        high_rank = members
    edges = np.cumsum(histogram.counts.sum(axis=0))
    value, lowest, highest = (
        int(np.searchsorted(edges, each)) for each in (rank, max(1, low_rank), high_rank)
    )
    return Estimate(
        value=float(histogram.tops[value]),
        low=float(histogram.floors[lowest]) if low_rank >= 1 else 0.0,
        high=float(histogram.tops[highest]) if high_rank <= histogram.n else None,
        n=histogram.n,
    )


def _binomial_point(probability: float, trials: int, chance: float) -> int:
    """Return the least number of successes with a cumulative probability of ``probability``."""
    from scipy import special  # slow to import, and runs that only count need no interval

    point = math.ceil(special.bdtrik(probability, trials, chance))
    below = max(point - 1, 0)
    # The inverse is continuous and may lie slightly above a whole number.
    return below if special.bdtr(below, trials, chance) >= probability else point


def estimate_ratio(upper: Floats, lower: Floats, *, seed: int) -> Estimate | None:
    """Return Σ upper ÷ Σ lower over seconds, with a moving-block bootstrap interval.

    Args:
        upper: one value per second.
        lower: one value per second, not negative.
        seed: of the draws.

    Returns:
        The estimate, with the number of seconds as ``n``; None when ``lower`` sums to 0.
    """
    if not lower.sum():
        return None
    value, seconds = float(upper.sum() / lower.sum()), len(upper)
    length = max(1, round(seconds ** (1 / 3)))
    if seconds < FEWEST_BLOCKS * length:
        return Estimate(value=value, n=seconds)
    weights = _block_weights(seconds, length, _affordable(2 * seconds), seed)
    below = weights @ lower
    drawn = (weights @ upper)[below > 0] / below[below > 0]
    low, high = percentiles(drawn)
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=seconds)


def percentiles(drawn: Floats) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % points of resampled values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def resample_medians(values: Floats, generator: np.random.Generator) -> Floats:
    """Return the medians of ``RESAMPLES`` draws with replacement (Efron 1979).

    It is for a level, whose seconds are independent.
    """
    drawn = generator.integers(0, len(values), size=(RESAMPLES, len(values)))
    return np.asarray(np.median(values[drawn], axis=1), dtype=np.float64)


def block_length(histogram: StackedHistogram) -> int:
    """Return how many seconds are drawn together.

    It is the cube root of the run's length, and at least the usual distance between two seconds
    with values, so that a heartbeat every 5 s is drawn whole.
    """
    filled = histogram.seconds[histogram.counts.sum(axis=1) > 0]
    distance = int(np.median(np.diff(filled))) if len(filled) > 1 else 1
    return int(max(1, round(len(histogram.seconds) ** (1 / 3)), distance))


def _resampled_columns(
    histogram: StackedHistogram, quantiles: Sequence[float], *, draws: int, seed: int
) -> npt.NDArray[np.intp]:
    """Return the column that holds each quantile (columns) in each draw (rows).

    A draw's running count at a column is a sum over seconds. Bisection needs few such sums.
    """
    weights = _block_weights(len(histogram.seconds), block_length(histogram), draws, seed).T
    running = np.cumsum(histogram.counts, axis=1, dtype=float)
    totals = running[:, -1] @ weights
    # A draw of empty seconds has no quantile.
    weights, totals = weights[:, totals > 0], totals[totals > 0]
    found = np.empty((len(totals), len(quantiles)), dtype=np.intp)
    for place, quantile in enumerate(quantiles):
        ranks = _rank(totals, quantile)
        low = np.zeros(len(totals), dtype=np.intp)
        high = np.full(len(totals), running.shape[1] - 1, dtype=np.intp)
        while np.any(low < high):
            middle = (low + high) // 2
            reached = np.einsum("sr,sr->r", running[:, middle], weights) >= ranks
            high = np.where(reached, middle, high)
            low = np.where(reached, low, np.minimum(middle + 1, high))
        found[:, place] = low
    return found


def _rank(counts: Floats, quantile: float) -> Floats:
    """Return the rank of a quantile among so many values, at least 1."""
    # The product may lie slightly above a whole number (0.07 * 100): rank 7, not 8.
    return np.asarray(np.maximum(np.ceil(counts * quantile - 1e-9), 1), dtype=np.float64)


def _affordable(cells: int) -> int:
    return int(np.clip(_WORK_BUDGET / cells, FEWEST_RESAMPLES, RESAMPLES))


def _block_weights(seconds: int, length: int, resamples: int, seed: int) -> Floats:
    """Return how often each second (columns) is drawn in each resample (rows)."""
    generator = np.random.default_rng(seed)
    blocks = math.ceil(seconds / length)
    starts = generator.integers(0, seconds - length + 1, size=(resamples, blocks))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, :seconds]
    weights = np.zeros((resamples, seconds))
    np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1.0)
    return weights
