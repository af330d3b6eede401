"""The shift between two gateways from pairs of blocks, with an exact interval.

Requests of one run depend on each other, so the unit is a **block**: a short run on a fresh
gateway. Blocks of base and head alternate (ABBA), neighbours make a pair, and each pair gives
one number, ln(head/base). Slow drifts of the machine cancel out.

- Estimate: the Hodges–Lehmann shift, the median of all Walsh averages (dᵢ + dⱼ)/2, i ≤ j
  (Hodges and Lehmann 1963).
- Interval: the k-th smallest and k-th largest Walsh average, with k from the exact null
  distribution of Wilcoxon's signed-rank statistic (Tukey 1949). It assumes only that a pair's
  difference is symmetric around the shift, which swapping A and B ensures. Six pairs: the
  extremes, 96.9 %. Twelve: the 14th, 95.8 %. Fewer than six give no 95 % interval.
- Runs without pairs: all differences headⱼ − baseᵢ, with Mann and Whitney's distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95
FEWEST_PAIRS: Final = 6
"""The fewest pairs whose signed-rank interval reaches ``CONFIDENCE``: 1 − 2/2⁶ = 96.9 %."""
_Z_CONFIDENCE: Final = 1.959964  # normal quantiles of (1 + CONFIDENCE)/2 and of 80 %
_Z_POWER: Final = 0.841621
SEEN: Final = (_Z_CONFIDENCE + _Z_POWER) / _Z_CONFIDENCE
"""The half-widths of its interval that a shift needs to be seen in 80 % of comparisons.

An estimate with standard error σ has the half-width w = z₀.₉₇₅·σ. Its interval excludes zero
with probability 80 % when the shift is (z₀.₉₇₅ + z₀.₈)·σ = 1.43·w. The exact interval of six
normal pairs needs 1.41 of its mean half-width, that of twelve 1.39.
"""

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
    """

    value: float
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def shift_of_pairs(differences: Sequence[float] | Floats) -> Shift:
    """Return the shift of pairs, given one difference for each.

    Raises:
        ValueError: there is no pair.
    """
    values = np.asarray(differences, dtype=float)
    n = len(values)
    if not n:
        raise ValueError("no pair, so no shift")
    averages = walsh_averages(values)
    depth, coverage = signed_rank_depth(n)
    return _shift(averages, depth, coverage, n)


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
    return _shift(differences, depth, coverage, min(len(first), len(second)))


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
def signed_rank_depth(n: int) -> tuple[int, float]:
    """Return which Walsh average from each end bounds the interval, and its exact coverage.

    The depth k is the largest with P(W < k) ≤ (1 − CONFIDENCE)/2, where W is the sum of a
    random subset of the ranks 1 … n. It is 0 when even the extremes do not reach CONFIDENCE.
    """
    ways = [1]
    for rank in range(1, n + 1):
        ways = _added(ways, [0] * rank + ways)
    return _depth(ways, 2**n)


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
    return _depth(ways, math.comb(first + second, first))


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


def _depth(ways: Sequence[int], total: int) -> tuple[int, float]:
    depth, below = 0, 0
    for way in ways:
        if (below + way) / total > (1 - CONFIDENCE) / 2:
            break
        below += way
        depth += 1
    return depth, 1 - 2 * below / total
