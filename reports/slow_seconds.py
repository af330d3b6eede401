"""The gateway in the seconds of a run's slowest pushes: its longest pauses and runnable time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from loadtests.results import Series, bucket_range
from reports.believability import left_out
from reports.measures.histograms import STEADY, histogram_of
from reports.run_frames import RunFrames


@dataclass(frozen=True, slots=True)
class RunnableTime:
    """The gateway's runnable time in the seconds of the slowest pushes, ns per second.

    Attributes:
        ran_ns: it ran.
        waited_ns: it waited for a core.
    """

    ran_ns: float
    waited_ns: float

    @property
    def waited(self) -> float:
        """The share that it waited, 0 to 1; 0 when it never ran."""
        return self.waited_ns / (self.ran_ns + self.waited_ns) if self.ran_ns else 0.0

    @property
    def stretch(self) -> float:
        """Runnable time over CPU time; 1 without waits."""
        return 1 / (1 - self.waited)

    def share_of_host(self, base: RunnableTime) -> float:
        """Return the host's share of what runnable time grew since the base, 0 to 1."""
        waits = (self.stretch - base.stretch) * (self.ran_ns + base.ran_ns) / 2
        work = (self.ran_ns - base.ran_ns) * (self.stretch + base.stretch) / 2
        if waits <= 0:
            return 0.0
        return waits / (waits + max(0.0, work))


@dataclass(frozen=True, slots=True)
class LongestPauses:
    """The gateway's longest pauses in the seconds of the slowest pushes, means in ns.

    Attributes:
        collected_ns: of its garbage collector.
        lag_ns: of its loop, collections included.
    """

    collected_ns: float
    lag_ns: float

    def share_of_collections(self, base: LongestPauses) -> float:
        """Return the collections' share of what loop lag grew since the base, 0 to 1."""
        lag_ns = self.lag_ns - base.lag_ns
        collected_ns = max(0.0, self.collected_ns - base.collected_ns)
        return min(1.0, collected_ns / lag_ns) if lag_ns > 0 else 0.0


def slow_seconds(run: RunFrames, series: Series, least_ns: float) -> dict[int, float]:
    """Return each second's share of the pushes that took at least ``least_ns``.

    Args:
        run: the run.
        series: of pushes.
        least_ns: the shortest time of a slow push.
    """
    histogram = histogram_of(run, series, STEADY, without=left_out(run))
    is_slow = np.array([bucket_range(int(one))[1] >= least_ns for one in histogram.buckets])
    counts = histogram.counts[:, is_slow].sum(axis=1)
    total = counts.sum()
    return {
        int(second): float(count / total)
        for second, count in zip(histogram.seconds, counts, strict=True)
        if count
    }


def longest_pauses(run: RunFrames, seconds: Mapping[int, float]) -> LongestPauses:
    """Return the gateway's longest pauses in these seconds; zeros where none was read."""
    return LongestPauses(
        _pause(run, "gc_pause_max_ns", seconds), _pause(run, "loop_lag_ns", seconds)
    )


def _pause(run: RunFrames, column: str, seconds: Mapping[int, float]) -> float:
    """Return the weighted mean of each second's longest pause, ns.

    The gateway is read once a second, at any time in it: a pause shows in the reading of its
    second or of the next.
    """
    rows = run["server"].dropna(subset=[column])
    told = dict(zip(rows["t_s"].tolist(), rows[column].astype(float).tolist(), strict=True))
    found: float = sum(
        weight * max(told.get(second, 0.0), told.get(second + 1, 0.0))
        for second, weight in seconds.items()
    )
    return found


def runnable_time(run: RunFrames, seconds: Mapping[int, float]) -> RunnableTime:
    """Return the gateway's runnable time in these seconds; zeros where it was not read."""
    rows = run["server"].dropna(subset=["core_wait_ns", "cpu_ns"]).sort_values("t_s")
    weight = rows["t_s"].map(lambda second: seconds.get(int(second), 0.0)).astype(float)
    total = float(weight.sum())
    if not total:
        return RunnableTime(0.0, 0.0)
    ran = (rows["cpu_ns"].astype(float).diff() / rows["t_s"].diff()).clip(lower=0).fillna(0.0)
    waits = rows["core_wait_ns"].astype(float)
    return RunnableTime(float((ran * weight).sum()) / total, float((waits * weight).sum()) / total)
