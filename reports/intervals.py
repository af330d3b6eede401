"""Values with the interval that holds them: quantiles of a histogram, slope of a line.

Seconds of one run depend on each other: a stall lasts, a queue drains. So a
quantile's interval is a moving-block bootstrap (Künsch 1989; Liu and Singh 1992)
over one-second histograms, which add up: whole runs of seconds are drawn, as many as
the run had, and the quantile is read from each drawn sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from loadtests.results import bucket_range

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1_000
FEWEST_RESAMPLES: Final = 200
FEWEST_BLOCKS: Final = 3
FEWEST_LEVELS: Final = 4
_WORK_BUDGET: Final = 6e9  # multiplications in one bootstrap: under a second on one core

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, the interval that holds it with 95 % confidence, and how many values it is from.

    ``low`` and ``high`` are None where the data cannot give an interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """One-second histograms of a series, stacked.

    Attributes:
        seconds: every second of the phase, in order, also those without a value.
        buckets: buckets that hold anything, rising (``loadtests.results.bucket_range``).
        counts: one row a second, one column a bucket.
    """

    seconds: npt.NDArray[np.int64]
    buckets: npt.NDArray[np.int64]
    counts: Counts

    @cached_property
    def n(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    @cached_property
    def tops(self) -> Floats:
        """The highest span (ns) of each bucket: what a bucket is reported as, as HDR does."""
        return np.array([bucket_range(int(bucket))[1] for bucket in self.buckets], dtype=float)

    @cached_property
    def floors(self) -> Floats:
        """The lowest span (ns) of each bucket."""
        return np.array([bucket_range(int(bucket))[0] for bucket in self.buckets], dtype=float)


def samples_needed(quantile: float) -> int:
    """Return how many values bound a quantile from above with 95 % confidence.

    With n values all are below the quantile with probability quantile^n; the largest
    bounds it once that is at most 5 %: n ≥ ln 0.05 / ln quantile, so 299 for p99 and
    2,995 for p99.9 (Wilks 1941).

    Raises:
        ValueError: the quantile is not strictly between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile of {quantile} is not between 0 and 1")
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(quantile))


def quantile_of(histogram: Histogram, quantile: float) -> float:
    """Return the quantile (ns): the top of the bucket that holds the ⌈n·quantile⌉-th value.

    It is never below the exact value, and above it by less than one part in 1,024.

    Raises:
        ValueError: the histogram is empty.
    """
    if not histogram.n:
        raise ValueError("an empty histogram has no quantile")
    column = _columns(histogram.counts.sum(axis=0)[None, :], quantile)[0]
    return float(bucket_range(int(histogram.buckets[column]))[1])


def _columns(sums: npt.NDArray[np.generic], quantile: float) -> npt.NDArray[np.intp]:
    """Return for each row the first column at which the running count reaches the quantile."""
    running = np.cumsum(sums, axis=1)
    # The product may land a hair above a whole number (0.07 * 100): rank 7, not 8.
    ranks = np.maximum(np.ceil(running[:, -1:] * quantile - 1e-9), 1)
    return np.asarray((running >= ranks).argmax(axis=1))


def estimate_quantile(histogram: Histogram, quantile: float, *, seed: int) -> Estimate:
    """Return a quantile with its bootstrap interval, the same for the same seed.

    The interval is widened to the whole buckets at its ends. It is absent when the
    values fill fewer than three blocks: then the run is too short to tell.

    Raises:
        ValueError: the histogram is empty.
    """
    value = quantile_of(histogram, quantile)
    length = block_length(histogram)
    if len(histogram.seconds) < FEWEST_BLOCKS * length:
        return Estimate(value=value, low=None, high=None, n=histogram.n)
    columns = _resampled_columns(histogram, quantile, length=length, seed=seed)
    tail = (1 - CONFIDENCE) / 2
    first, last = np.quantile(columns, [tail, 1 - tail], method="inverted_cdf").astype(int)
    return Estimate(
        value=value,
        low=min(float(histogram.floors[first]), value),
        high=max(float(histogram.tops[last]), value),
        n=histogram.n,
    )


def estimate_maximum(histogram: Histogram) -> Estimate:
    """Return the largest value seen; its interval is the bucket that it fell into.

    Raises:
        ValueError: the histogram is empty.
    """
    if not histogram.n:
        raise ValueError("an empty histogram has no maximum")
    last = int(np.flatnonzero(histogram.counts.sum(axis=0))[-1])
    top = float(histogram.tops[last])
    return Estimate(value=top, low=float(histogram.floors[last]), high=top, n=histogram.n)


def block_length(histogram: Histogram) -> int:
    """Return how many seconds are drawn together.

    The cube root of the run's length, and at least the usual distance between two
    seconds that hold values, so that a heartbeat each 5 s is drawn whole.
    """
    filled = histogram.seconds[histogram.counts.sum(axis=1) > 0]
    distance = int(np.median(np.diff(filled))) if len(filled) > 1 else 1
    return int(max(1, round(len(histogram.seconds) ** (1 / 3)), distance))


def _resampled_columns(
    histogram: Histogram, quantile: float, *, length: int, seed: int
) -> npt.NDArray[np.intp]:
    weights = _block_weights(len(histogram.seconds), length, histogram.counts.size, seed)
    counts = histogram.counts.astype(float)
    columns: list[npt.NDArray[np.intp]] = []
    for part in np.array_split(weights, max(1, len(weights) // 100)):
        sums = part @ counts
        # A draw of seconds that all were empty says nothing about the values.
        columns.append(_columns(sums[sums.any(axis=1)], quantile))
    return np.concatenate(columns)


def _block_weights(seconds: int, length: int, cells: int, seed: int) -> Floats:
    """Return how often each second is drawn (columns) in each resample (rows)."""
    resamples = int(np.clip(_WORK_BUDGET / cells, FEWEST_RESAMPLES, RESAMPLES))
    generator = np.random.default_rng(seed)
    blocks = math.ceil(seconds / length)
    starts = generator.integers(0, seconds - length + 1, size=(resamples, blocks))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, :seconds]
    weights = np.zeros((resamples, seconds))
    np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1.0)
    return weights


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through points, fitted twice.

    Attributes:
        slope: least squares, y units per x unit.
        intercept: of the least-squares line.
        robust_slope: Theil–Sen, the median slope over all pairs.
        low: the lower end of what either method's 95 % interval admits.
        high: the upper end.
        n: number of points.
    """

    slope: float
    intercept: float
    robust_slope: float
    low: float
    high: float
    n: int


def fit_line(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> Line | None:
    """Fit y against x by least squares (Student's t interval) and Theil–Sen (Sen 1968).

    Both intervals take the points for independent. Points of one ramp are not quite, so
    the wider hull of the two is given, and it still is the least that one should doubt.

    Returns:
        The line, or None with fewer than four different x: no interval worth the name.
    """
    if len(set(x)) < FEWEST_LEVELS:
        return None
    least = stats.linregress(x, y)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2)
    robust = stats.theilslopes(y, x, alpha=CONFIDENCE)
    margin = float(quantile * least.stderr)
    return Line(
        slope=float(least.slope),
        intercept=float(least.intercept),
        robust_slope=float(robust.slope),
        low=min(float(least.slope) - margin, float(robust.low_slope)),
        high=max(float(least.slope) + margin, float(robust.high_slope)),
        n=len(x),
    )
