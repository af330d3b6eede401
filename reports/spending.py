"""The levels of a comparison that is looked at several times.

A comparison that may stop at each look has more chances of a false alarm. So its error is spent
over the looks: by the information share t (pairs seen over pairs allowed), at most

    α(t) = 2 − 2 Φ(z / √t),  z = Φ⁻¹(1 − α/2)

has been spent on each side, where α is the error of that side (Lan and DeMets 1983, the function
that approximates O'Brien and Fleming 1979).
Little is spent early, so the last look is nearly as sharp as that of a comparison without early
ones. The level of each look follows from the joint normal distribution of all looks so far
(Armitage, McPherson and Rowe 1969). An interval with this level at each look is a repeated
confidence interval: all of them together hold the true value with probability 1 − α (Jennison
and Turnbull 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

_POINTS: Final = 801
"""Points of the grid on which the density of the statistic is kept between its bounds."""
_FAR: Final = 9.0  # standard deviations that bound any statistic

Floats = npt.NDArray[np.float64]


def spent(share: float, error: float) -> float:
    """Return how much of a two-sided error may be spent by an information share.

    Args:
        share: pairs seen over pairs allowed, above 0 and at most 1.
        error: the whole two-sided error, such as 0.05.
    """
    from scipy import special  # only a comparison needs it

    z = -float(special.ndtri(error / 4))  # of one side, whose error is half of the whole
    return float(4 * special.ndtr(-z / math.sqrt(share)))


def levels(looks: Sequence[int], error: float) -> tuple[float, ...]:
    """Return the two-sided nominal level of each look.

    Args:
        looks: pairs at each look, rising; the last number is the most that are allowed.
        error: the whole two-sided error.

    Raises:
        ValueError: the looks are no rising sequence of positive numbers.
    """
    if not looks or looks[0] < 1 or list(looks) != sorted(set(looks)):
        raise ValueError(f"looks {list(looks)} do not rise from 1 or more")
    return _levels(tuple(looks), error)


@cache
def _levels(looks: tuple[int, ...], error: float) -> tuple[float, ...]:
    """Walk over the looks with the sub-density of the sum S ~ N(0, pairs) that has not crossed."""
    from scipy import special  # only a comparison needs it
    from scipy.optimize import brentq

    shares = [look / looks[-1] for look in looks]
    steps = np.diff([0.0, *shares])
    targets = np.diff([0.0, *(spent(share, error) for share in shares)])
    found: list[float] = []
    grid, weights = np.zeros(1), np.ones(1)  # the sum before the first look is 0
    for share, step, target in zip(shares, steps, targets, strict=True):
        deviation = math.sqrt(step)
        bound = brentq(
            lambda at, g=grid, w=weights, d=deviation, t=target: _crossing(at, g, w, d) - t,
            0.0,
            _FAR * math.sqrt(share),
        )
        found.append(float(2 * special.ndtr(-bound / math.sqrt(share))))
        fresh = np.linspace(-bound, bound, _POINTS)
        density = _density((fresh[:, None] - grid[None, :]) / deviation) / deviation @ weights
        grid, weights = fresh, density * _simpson(fresh)
    return tuple(found)


def _crossing(bound: float, grid: Floats, weights: Floats, deviation: float) -> float:
    """Return the probability that the sum crosses ``bound`` or its negative at this look."""
    from scipy import special  # only a comparison needs it

    above = special.ndtr((grid - bound) / deviation)
    below = special.ndtr((-bound - grid) / deviation)
    return float((above + below) @ weights)


def _density(deviations: Floats) -> Floats:
    """Return the standard normal density."""
    return np.exp(-0.5 * deviations**2) / math.sqrt(2 * math.pi)


def _simpson(grid: Floats) -> Floats:
    """Return the weights of Simpson's rule on an even grid with an odd number of points."""
    weights = np.full(len(grid), 2.0)
    weights[1::2] = 4.0
    weights[0] = weights[-1] = 1.0
    return np.asarray(weights * (grid[1] - grid[0]) / 3)
