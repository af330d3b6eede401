"""Straight lines with an interval for the slope.

Points are independent (``fit_line``) or a random walk (``fit_walk``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reports.intervals import CONFIDENCE, Floats, percentiles

FEWEST_LEVELS: Final = 4
STRETCHES: Final = 20
"""The number of levels of a long course; a step is the difference of two neighbours."""
_RESAMPLES: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through points.

    Attributes:
        slope: least squares, y units per x unit.
        intercept: of the least-squares line.
        robust_slope: Theil–Sen, the median slope over all pairs.
        low: lower end of the union of all methods' 95 % intervals of the slope.
        high: upper end.
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

    Both intervals assume independent points. Points of one ramp are not quite independent, so the
    interval is the union of the two, and the true one may be wider.

    Returns:
        The line; None with fewer than four different x.
    """
    if len(set(x)) < FEWEST_LEVELS:
        return None
    horizontal, vertical = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    slope, intercept, margin = _least_squares(horizontal, vertical)
    robust, robust_low, robust_high = _theil_sen(horizontal, vertical)
    return Line(
        slope=slope,
        intercept=intercept,
        robust_slope=robust,
        low=min(slope - margin, robust_low),
        high=max(slope + margin, robust_high),
        n=len(horizontal),
    )


def fit_walk(x: Sequence[float] | Floats, y: Sequence[float] | Floats, *, seed: int) -> Line | None:
    """Fit a random walk, such as a process's memory, whose steps stay.

    An allocator takes memory in pieces and keeps them, so neighbouring points share all earlier
    steps. The interval of ``fit_line`` is then far too narrow. Here the steps are resampled: the
    course is cut into ``STRETCHES`` levels (medians), their differences are drawn to courses of
    the same length (Efron and Tibshirani 1993, §8.5), and the slopes of those widen the interval.
    With very few steps it is slightly too narrow. With scatter around a line it is too wide.

    Args:
        x: in order.
        y: one for each x.
        seed: of the draws.

    Returns:
        The line of ``fit_line`` with the wider interval; None where ``fit_line`` gives None, or
        where x changes in at most one stretch.
    """
    line = fit_line(x, y)
    if line is None:
        return None
    levels = _levels(np.asarray(x, dtype=float)), _levels(np.asarray(y, dtype=float))
    across, up = (np.diff(each) for each in levels)
    if np.count_nonzero(across) < 2:
        return None
    chosen = np.random.default_rng(seed).integers(0, len(up), (_RESAMPLES, len(up)))
    courses = np.cumsum(across[chosen], axis=1), np.cumsum(up[chosen], axis=1)
    low, high = percentiles(_slopes(*(np.pad(each, ((0, 0), (1, 0))) for each in courses)))
    return replace(line, low=min(line.low, low), high=max(line.high, high))


def _levels(course: Floats) -> Floats:
    if len(course) < 2 * STRETCHES:
        return course
    return np.array([np.median(stretch) for stretch in np.array_split(course, STRETCHES)])


def _slopes(x: Floats, y: Floats) -> Floats:
    """Return the least-squares slope of each row in which x changes."""
    across = x - x.mean(axis=1, keepdims=True)
    spread = (across * across).sum(axis=1)
    moves = spread > 0
    return np.asarray((across * y).sum(axis=1)[moves] / spread[moves])


def _least_squares(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return slope, intercept and the half width of the slope's interval (Student's t)."""
    from scipy import special  # slow to import, and few runs need a line

    across, up = x - x.mean(), y - y.mean()
    slope = float(across @ up / (across @ across))
    rest = up - slope * across
    freedom = len(x) - 2
    error = math.sqrt(float(rest @ rest) / freedom / float(across @ across))
    margin = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return slope, float(y.mean() - slope * x.mean()), margin


def _theil_sen(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return the median slope over all pairs and its interval, by Kendall's variance (Sen 1968)."""
    from scipy import special  # slow to import, and few runs need a line

    first, second = np.triu_indices(len(x), 1)
    differ = x[first] != x[second]
    first, second = first[differ], second[differ]
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    n = len(x)
    ties = sum(
        float((repeats * (repeats - 1) * (2 * repeats + 5)).sum())
        for repeats in (np.unique(each, return_counts=True)[1] for each in (x, y))
    )
    # With mostly ties in both x and y, the ties are subtracted twice.
    variance = max((n * (n - 1) * (2 * n + 5) - ties) / 18, 0.0)
    reach = float(special.ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])
