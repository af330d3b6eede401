"""A straight line through points, with the interval that holds its slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from reports.intervals import CONFIDENCE, Floats

FEWEST_LEVELS: Final = 4


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


def _least_squares(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return slope, intercept and the half width of the slope's interval (Student's t)."""
    across, up = x - x.mean(), y - y.mean()
    slope = float(across @ up / (across @ across))
    rest = up - slope * across
    freedom = len(x) - 2
    error = math.sqrt(float(rest @ rest) / freedom / float(across @ across))
    margin = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return slope, float(y.mean() - slope * x.mean()), margin


def _theil_sen(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return the median slope over all pairs and its interval, by Kendall's variance (Sen 1968)."""
    first, second = np.triu_indices(len(x), 1)
    differ = x[first] != x[second]
    first, second = first[differ], second[differ]
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    n = len(x)
    ties = sum(
        float((repeats * (repeats - 1) * (2 * repeats + 5)).sum())
        for repeats in (np.unique(each, return_counts=True)[1] for each in (x, y))
    )
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    reach = float(special.ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])
