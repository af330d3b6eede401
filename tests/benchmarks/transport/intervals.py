"""Medians and ratios with exact intervals, for a handful of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_AT_LEAST: Final = 0.9
"""The narrowest interval of at least this coverage is given; five pairs give 93.75 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and how sure it is.

    Attributes:
        value: the point estimate.
        low: lower end, None for a single value.
        high: upper end, None for a single value.
        coverage: of the interval, 0 to 1; under 0.9 when there are fewer than five values.
    """

    value: float
    low: float | None
    high: float | None
    coverage: float


def estimate_median(values: Sequence[float]) -> Estimate:
    """Return the sample median and the exact order-statistic interval of the true one.

    The interval from the k-th smallest to the k-th largest of n misses the median with
    probability 2 · P(Bin(n, ½) < k).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("a median needs at least one value")
    tails = [math.comb(len(values), k) for k in range(len(values) + 1)]
    low, high, coverage = _ends(sorted(values), tails)
    return Estimate(median(values), low, high, coverage)


def estimate_ratio(
    ours: Sequence[float], theirs: Sequence[float], at_least: float = _AT_LEAST
) -> Estimate:
    """Return the Hodges–Lehmann estimate of the ratio ours : theirs, from pairs.

    The median of the Walsh averages of the log ratios; its interval comes from the exact null
    distribution of the signed-rank statistic (Hollander and Wolfe, *Nonparametric
    Statistical Methods*, §3.3).

    Args:
        ours: one positive value for each pair.
        theirs: those measured beside them.
        at_least: coverage of the interval, 0 to 1; the narrowest of that is given.

    Raises:
        ValueError: no pairs, unequal lengths, or a value that is not positive.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"pairs are needed: {len(ours)} and {len(theirs)} values")
    if min(*ours, *theirs) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    walsh = sorted((x + y) / 2 for i, x in enumerate(logs) for y in logs[i:])
    low, high, coverage = _ends(walsh, _signed_rank_counts(len(logs)), at_least)
    ends = [None if end is None else math.exp(end) for end in (low, high)]
    return Estimate(math.exp(median(walsh)), ends[0], ends[1], coverage)


def estimate_difference(
    ours: Sequence[float], theirs: Sequence[float], at_least: float = _AT_LEAST
) -> Estimate:
    """Return the Hodges–Lehmann estimate of ours − theirs, from pairs, as for the ratio.

    Args:
        ours: one value for each pair.
        theirs: those measured beside them.
        at_least: coverage of the interval, 0 to 1; the narrowest of that is given.

    Raises:
        ValueError: no pairs, or unequal lengths.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"pairs are needed: {len(ours)} and {len(theirs)} values")
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    walsh = sorted((x + y) / 2 for i, x in enumerate(gaps) for y in gaps[i:])
    low, high, coverage = _ends(walsh, _signed_rank_counts(len(gaps)), at_least)
    return Estimate(median(walsh), low, high, coverage)


def _signed_rank_counts(n: int) -> list[int]:
    """Return, of the 2ⁿ signs of the ranks 1 to n, how many have each sum of positive ranks."""
    counts = [1]
    for rank in range(1, n + 1):
        grown = counts + [0] * rank
        for total, ways in enumerate(counts):
            grown[total + rank] += ways
        counts = grown
    return counts


def _ends(
    ordered: Sequence[float], counts: Sequence[int], at_least: float = _AT_LEAST
) -> tuple[float | None, float | None, float]:
    """Return the k-th smallest, the k-th largest and their coverage, for the best k.

    Args:
        ordered: ascending.
        counts: of the statistic that says how many lie below, by its value from 0.
        at_least: the coverage wanted.
    """
    if len(ordered) == 1:
        return None, None, 0.0
    total, tail, k = sum(counts), counts[0], 1
    while 1 - 2 * (tail + counts[k]) / total >= at_least and k < len(ordered) // 2:
        tail += counts[k]
        k += 1
    return ordered[k - 1], ordered[-k], 1 - 2 * tail / total
