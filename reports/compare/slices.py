"""Head over base of one pair whose load alternated in slices.

Both runs have the same seconds of the monotonic clock, and each second holds two slices of either
side, in the order A B B A. What the machine does to a second it does to both sides.

- A quantile that a second can show (below p99): the ratio of each second; the pair's value is their
  median.
- A p99 and above, and a maximum: the ratio of the quantiles of all slices of the pair, because a
  single second's is too uncertain.
- Cost: CPU time or instructions per message over all slices of the pair.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reports import intervals
from reports.compare.blocks import Block
from reports.measures import cost
from reports.measures.histograms import histogram_of, quantile_fraction
from reports.measures.latency import SOURCES
from reports.run_frames import RunFrames
from scenarios.schema import Budget

_POOLED_FROM: Final = 0.99
_FEWEST_SECONDS: Final = 3
_NS_PER_S: Final = 1_000_000_000


def ratio_in_slices(base: Block, head: Block, budget: Budget) -> float | None:
    """Return head/base of a pair in slices; None when either side has too few values.

    Args:
        base: the base's run.
        head: the head's run, of the same meeting.
        budget: relative, on a metric that slices measure (``scenarios.alternation``).
    """
    if budget.metric not in SOURCES:
        values = [cost.cost_in_slices(block.run, budget.metric) for block in (base, head)]
    elif budget.statistic == "max" or quantile_fraction(str(budget.statistic)) >= _POOLED_FROM:
        values = [_pooled(block.run, budget) for block in (base, head)]
    else:
        return _median_of_seconds(base.run, head.run, budget)
    before, after = values
    return after / before if before and after else None


def _pooled(run: RunFrames, budget: Budget) -> float | None:
    """Return a quantile of all slices (ns); None with fewer values than it needs."""
    series, phases = SOURCES[budget.metric]
    histogram = histogram_of(run, series, phases)
    quantile = 1.0 if budget.statistic == "max" else quantile_fraction(str(budget.statistic))
    needed = 1 if quantile == 1.0 else intervals.samples_needed(quantile)
    return intervals.quantile_of(histogram, quantile) if histogram.n >= needed else None


def _median_of_seconds(base: RunFrames, head: RunFrames, budget: Budget) -> float | None:
    quantile = quantile_fraction(str(budget.statistic))
    before, after = (_by_second(run, budget, quantile) for run in (base, head))
    shares = [after[second] / before[second] for second in before.keys() & after.keys()]
    return float(np.median(shares)) if len(shares) >= _FEWEST_SECONDS else None


def _by_second(run: RunFrames, budget: Budget, quantile: float) -> dict[int, float]:
    """Return a quantile (ns) of each second that has enough values, by the second's number."""
    series, phases = SOURCES[budget.metric]
    histogram = histogram_of(run, series, phases)
    first = int(run.manifest.facts["t0_monotonic_ns"]) // _NS_PER_S
    found = intervals.quantiles_by_second(histogram, [quantile])[:, 0]
    enough = histogram.counts.sum(axis=1) >= intervals.samples_needed(quantile)
    return {
        first + int(second): float(value)
        for second, value, is_enough in zip(histogram.seconds, found, enough, strict=True)
        if is_enough
    }
