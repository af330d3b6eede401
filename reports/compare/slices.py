"""Head over base of one pair whose load alternated in slices.

Both runs have the same seconds of the monotonic clock, and each second holds two slices of either
side, in the order A B B A. What the machine does to a second it does to both sides.

- A quantile that a second can show (below p99): the ratio of each second; the pair's value is their
  median.
- A p99 and above, and a maximum: the ratio of the quantiles of all slices of the pair, because a
  single second's is too uncertain. A freeze of the load's cores meets the slice of one side alone,
  so its second does not count: both load generators were late, and neither gateway was.
- Cost: CPU time or instructions per message over all slices of the pair.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
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
_FROZEN_NS: Final = 20_000_000
"""A load generator's loop that is so late has had no core."""


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
        frozen = _frozen_seconds(base.run, head.run)
        values = [_pooled(block.run, budget, frozen) for block in (base, head)]
    else:
        return _median_of_seconds(base.run, head.run, budget)
    before, after = values
    return after / before if before and after else None


def _pooled(run: RunFrames, budget: Budget, frozen: Set[int]) -> float | None:
    """Return a quantile of all slices but the frozen (ns); None with fewer values than it needs."""
    series, phases = SOURCES[budget.metric]
    histogram = histogram_of(run, series, phases)
    kept = ~np.isin(histogram.seconds + _first_second(run), list(frozen))
    histogram = replace(histogram, seconds=histogram.seconds[kept], counts=histogram.counts[kept])
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
    first = _first_second(run)
    found = intervals.quantiles_by_second(histogram, [quantile])[:, 0]
    enough = histogram.counts.sum(axis=1) >= intervals.samples_needed(quantile)
    return {
        first + int(second): float(value)
        for second, value, is_enough in zip(histogram.seconds, found, enough, strict=True)
        if is_enough
    }


def _first_second(run: RunFrames) -> int:
    """Return the number of the run's first second on the monotonic clock."""
    return int(run.manifest.facts["t0_monotonic_ns"]) // _NS_PER_S


def _frozen_seconds(base: RunFrames, head: RunFrames) -> set[int]:
    """Return the seconds in which both load generators were late, and neither gateway was."""
    late, busy = (
        [_latest(run, table, column) for run in (base, head)]
        for table, column in (("generator", "loop_lag_max_ns"), ("server", "loop_lag_ns"))
    )
    return {
        second
        for second in late[0].keys() & late[1].keys()
        if (least_ns := min(one[second] for one in late)) >= _FROZEN_NS
        and max(one.get(second, least_ns) for one in busy) < least_ns / 2
    }


def _latest(run: RunFrames, table: str, column: str) -> dict[int, float]:
    """Return the largest lag of each second (ns), by the second's number."""
    rows = run[table].dropna(subset=[column])
    found = rows.groupby("t_s")[column].max()
    seconds = _first_second(run) + found.index.to_numpy(dtype=np.int64)
    return dict(zip(seconds.tolist(), found.to_numpy(dtype=np.float64).tolist(), strict=True))
