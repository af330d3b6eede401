"""The shift between two gateways from pairs of blocks, with an exact interval.

Requests of one run depend on each other, so the unit is a **pair**: a short run on a fresh
gateway for each side. Either both runs go on at the same time and their load alternates in
slices (``reports.compare.slices``), or they follow each other (ABBA). A pair gives one number,
ln(head/base). Slow drifts of the machine cancel out.

- Estimate: the Hodges–Lehmann shift, the median of all Walsh averages (dᵢ + dⱼ)/2, i ≤ j
  (Hodges and Lehmann 1963).
- Interval: the k-th smallest and k-th largest Walsh average, with k from the exact null
  distribution of Wilcoxon's signed-rank statistic (Tukey 1949). It assumes only that a pair's
  difference is symmetric around the shift, which swapping A and B ensures. Six pairs: the
  extremes, 96.9 %. Twelve: the 14th, 95.8 %. Fewer than six give no 95 % interval.
- A comparison that is looked at several times has intervals of a higher level at each look, such
  that all of them together hold the shift with probability 95 % (``reports.spending``).
- Runs without pairs: all differences headⱼ − baseᵢ, with Mann and Whitney's distribution.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.spending import levels

FEWEST_PAIRS: Final = 6
"""The fewest pairs whose signed-rank interval reaches 95 %: 1 − 2/2⁶ = 96.9 %."""
_Z_CONFIDENCE: Final = 1.959964  # normal quantiles of 97.5 % and of 80 %
_Z_POWER: Final = 0.841621
SEEN: Final = (_Z_CONFIDENCE + _Z_POWER) / _Z_CONFIDENCE
"""The half-widths of its interval that a shift needs to be seen in 80 % of comparisons.

An estimate with standard error σ has the half-width w = z₀.₉₇₅·σ. Its interval excludes zero
with probability 80 % when the shift is (z₀.₉₇₅ + z₀.₈)·σ = 1.43·w.
"""
_POWER: Final = 0.8
_DRAWS: Final = 20_000
_SEED: Final = 20
_TWO_SIDED: Final = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A shift, on the scale of its input (here natural logarithms).

    Attributes:
        value: the Hodges–Lehmann estimate.
        low: lower end of the interval; None with too few values.
        high: upper end.
        coverage: probability that the interval holds the shift; None without one.
        n: number of pairs, or of values of the smaller side.
        seen: the shift that 80 % of such comparisons exclude from their interval by the last look;
            None without an interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    n: int
    seen: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True)
class Look:
    """A look at a comparison that may go on.

    Attributes:
        level: two-sided error of this look (``reports.spending.levels``).
        planned: pairs at each look, the last being the most that are allowed; none for a
            comparison that is judged once.
    """

    level: float = _TWO_SIDED
    planned: tuple[int, ...] = ()


ONLY_LOOK: Final = Look()
"""The look at a comparison that is judged once."""


def look_at(planned: Sequence[int], pairs: int) -> Look:
    """Return the look after so many pairs, whose error is spent over all planned looks.

    Args:
        planned: pairs at each look, rising; none for a comparison that is judged once.
        pairs: pairs run so far, those that do not count included.
    """
    if not planned:
        return ONLY_LOOK
    place = max(0, bisect_right(planned, pairs) - 1)
    return Look(level=levels(planned, _TWO_SIDED)[place], planned=tuple(planned))


@cache
def detectable(planned: tuple[int, ...]) -> float:
    """Return the shift that 80 % of comparisons exclude from below, in deviations of a pair.

    It is found on normal pairs: a shift is excluded when it is larger than minus the largest
    lower end of the looks' intervals.

    Args:
        planned: pairs at each look, rising.
    """
    draws = np.random.default_rng(_SEED).normal(size=(_DRAWS, planned[-1]))
    lows = np.full(_DRAWS, -np.inf)
    for look, level in zip(planned, levels(planned, _TWO_SIDED), strict=True):
        depth, _ = signed_rank_depth(look, level)
        if depth:
            lows = np.maximum(lows, walsh_averages(draws[:, :look])[:, depth - 1])
    return float(np.quantile(-lows, _POWER))


def shift_of_pairs(differences: Sequence[float] | Floats, look: Look = ONLY_LOOK) -> Shift:
    """Return the shift of pairs.

    Args:
        differences: ln(head/base) of each pair.
        look: the look at which they are judged.

    Raises:
        ValueError: there is no pair.
    """
    from scipy import special  # only a comparison needs it

    values = np.asarray(differences, dtype=float)
    n = len(values)
    if not n:
        raise ValueError("no pair, so no shift")
    averages = walsh_averages(values)
    depth, coverage = signed_rank_depth(n, look.level)
    found = _shift(averages, depth, coverage, n)
    if found.half_width is None:
        return found
    # Half of all sample deviations are below this multiple of the true one.
    halfway = math.sqrt(2 * special.gammaincinv((n - 1) / 2, 0.5) / (n - 1))
    deviation = float(np.std(values, ddof=1)) / halfway
    return replace(found, seen=detectable(look.planned or (n,)) * deviation)


def shift_of_samples(base: Sequence[float] | Floats, head: Sequence[float] | Floats) -> Shift:
    """Return the shift between two samples without pairs.

    Raises:
        ValueError: one of the two is empty.
    """
    first, second = np.asarray(base, dtype=float), np.asarray(head, dtype=float)
    if not len(first) or not len(second):
        raise ValueError("an empty sample has no shift")
    differences = np.sort((second[:, None] - first[None, :]).ravel())
    depth, coverage = rank_sum_depth(len(first), len(second))
    found = _shift(differences, depth, coverage, min(len(first), len(second)))
    half = found.half_width
    return found if half is None else replace(found, seen=SEEN * half)


def walsh_averages(differences: Floats) -> Floats:
    """Return (dᵢ + dⱼ)/2 for i ≤ j, sorted; the last axis holds the pairs."""
    first, second = _each_two(differences.shape[-1])
    return np.sort((differences[..., first] + differences[..., second]) / 2, axis=-1)


@cache
def _each_two(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(n)


def _shift(ordered: Floats, depth: int, coverage: float, n: int) -> Shift:
    middle = len(ordered) // 2
    value = float(ordered[middle] + ordered[-1 - middle]) / 2  # the median
    if not depth:
        return Shift(value=value, n=n)
    low, high = float(ordered[depth - 1]), float(ordered[-depth])
    return Shift(value=value, low=low, high=high, coverage=coverage, n=n)


@cache
def signed_rank_depth(n: int, level: float = _TWO_SIDED) -> tuple[int, float]:
    """Return which Walsh average from each end bounds the interval, and its exact coverage.

    The depth k is the largest with P(W < k) ≤ level/2, where W is the sum of a random subset of
    the ranks 1 … n. It is 0 when even the extremes do not reach the level.

    Args:
        n: number of pairs.
        level: two-sided error of the interval.
    """
    ways = [1]
    for rank in range(1, n + 1):
        ways = _added(ways, [0] * rank + ways)
    return _depth(ways, 2**n, level)


@cache
def rank_sum_depth(first: int, second: int) -> tuple[int, float]:
    """Return depth and coverage for two samples of these sizes (Mann and Whitney).

    U counts the pairs in which the second is larger; the number of ways to reach U = u is
    the coefficient of q^u in the Gaussian binomial of first + second over first.
    """
    ways = [1]
    for step in range(1, second + 1):
        ways = _added(ways, [0] * (first + step) + [-way for way in ways])
        ways = _divided(ways, step)
    return _depth(ways, math.comb(first + second, first), _TWO_SIDED)


def _added(left: list[int], right: list[int]) -> list[int]:
    size = max(len(left), len(right))
    padded = (one + [0] * (size - len(one)) for one in (left, right))
    return [a + b for a, b in zip(*padded, strict=True)]


def _divided(ways: list[int], step: int) -> list[int]:
    """Return a polynomial divided by 1 − q^step, which divides it exactly."""
    found = list(ways)
    for power in range(step, len(found)):
        found[power] += found[power - step]
    while found and not found[-1]:
        found.pop()
    return found


def _depth(ways: Sequence[int], total: int, level: float) -> tuple[int, float]:
    depth, below = 0, 0
    for way in ways:
        if (below + way) / total > level / 2:
            break
        below += way
        depth += 1
    return depth, 1 - 2 * below / total
