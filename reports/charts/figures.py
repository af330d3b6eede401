"""Figures behind the charts: quantiles of a series, by second or whole, with n and interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.charts.canvas import MOST_ROWS
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.latency import SOURCES
from reports.measures.registry import measure
from reports.remembering import once_a_run
from reports.run_frames import RunFrames
from reports.taint import left_out

MOST_POINTS: Final = 600
"""Of a line over time: a longer run is cut into so many equal spans, each merged."""
SPANS: Final = (0.5, 0.9, 0.99, 0.999)
"""The quantiles that a table names."""
_JUDGED: Final = 0.99


def merged(histogram: intervals.StackedHistogram, most: int) -> intervals.StackedHistogram:
    """Return at most ``most`` equal spans of whole seconds, each added up."""
    width = -(-max(len(histogram.seconds), 1) // most)
    if width == 1:
        return histogram
    starts = np.arange(0, len(histogram.seconds), width)
    return intervals.StackedHistogram(
        seconds=histogram.seconds[starts],
        buckets=histogram.buckets,
        counts=np.add.reduceat(histogram.counts, starts, axis=0),
    )


@once_a_run
def quantiles_over_time(
    run: RunFrames,
    series: Series,
    fractions: Sequence[float],
    phases: Sequence[Phase] = EVERY_PHASE,
    most: int = MOST_POINTS,
) -> pd.DataFrame:
    """Return quantiles (ns) of each second that has values, in columns named by fraction.

    A run of more than ``most`` seconds is cut into that many equal spans, each merged.
    """
    histogram = merged(histogram_of(run, series, phases), most)
    sizes = histogram.counts.sum(axis=1)
    filled = sizes > 0
    values = intervals.quantiles_by_second(histogram, fractions)[filled]
    frame = pd.DataFrame({"t_s": histogram.seconds[filled].astype(float), "n": sizes[filled]})
    for place, fraction in enumerate(fractions):
        frame[fraction] = values[:, place]
    return frame


def seconds_table(
    run: RunFrames, series: Series, fractions: Sequence[float] = (0.5, 0.99, 1.0)
) -> pd.DataFrame:
    """Return quantiles over time as a table that somebody may read."""
    frame = quantiles_over_time(run, series, fractions, most=MOST_ROWS)
    return frame.rename(
        columns={fraction: f"{quantile_name(fraction)}_ns" for fraction in fractions}
    )


def quantile_name(fraction: float) -> str:
    """Return ``p99.9`` for 0.999, and ``max`` for 1."""
    return "max" if fraction == 1 else f"p{fraction * 100:.10g}"


@once_a_run
def families_of(run: RunFrames, series: Series) -> list[str]:
    """Return the kinds of stream that a series was measured for, most values first."""
    rows = run["hist"]
    rows = rows[(rows["series"] == str(series)) & (rows["family"] != "")]
    counts = rows.groupby("family", observed=True)["count"].sum()
    return [str(name) for name in counts.sort_values(ascending=False, kind="stable").index]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a series is distributed.

    Attributes:
        name: what it is called in the chart.
        values_ns: quantile by fraction; only those that so many values carry, and 1.0.
        low_ns: lower end of the 95 % interval of the p99, None where there is none.
        high_ns: upper end.
        n: how many values.
    """

    name: str
    values_ns: dict[float, float]
    low_ns: float | None
    high_ns: float | None
    n: int

    def told(self, fraction: float) -> str:
        """Return a quantile in words, a dash where too few values carry it."""
        return quantities.span(self.values_ns.get(fraction))

    def interval(self) -> str:
        """Return ``95 %: 8.1 ms to 9.2 ms`` for the p99, or that there is none."""
        if self.low_ns is None or self.high_ns is None:
            return "too few for an interval"
        return f"95 %: {quantities.span(self.low_ns)} to {quantities.span(self.high_ns)}"


@once_a_run
def spread_of(
    run: RunFrames, metric: str, *, name: str = "", family: str | None = None
) -> Spread | None:
    """Return how a metric's values are distributed; None without values.

    They are those that budgets judge: of the metric's phases, without tainted seconds.

    Args:
        run: the run.
        metric: a name of ``reports.measures.latency.SOURCES``.
        name: what the chart calls it; the metric's when empty.
        family: one kind of stream alone.
    """
    series, phases = SOURCES[metric]
    without = frozenset[int]() if len(phases) == len(Phase) else left_out(run)
    histogram = histogram_of(run, series, phases, without=without, family=family)
    if not histogram.n:
        return None
    carried = [q for q in SPANS if q == 0.5 or histogram.n * (1 - q) >= 1]
    values = {q: intervals.quantile_of(histogram, q) for q in (*carried, 1.0)}
    low, high = _interval_of(run, metric, histogram, family)
    return Spread(name=name or metric, values_ns=values, low_ns=low, high_ns=high, n=histogram.n)


def _interval_of(
    run: RunFrames, metric: str, histogram: intervals.StackedHistogram, family: str | None
) -> tuple[float | None, float | None]:
    """Return the interval of the p99: the budgets' own where the whole metric is asked for."""
    if histogram.n < intervals.samples_needed(_JUDGED):
        return None, None
    if family is None:
        judged = measure(run, metric, quantile_name(_JUDGED))
        return judged.low, judged.high
    compact = merged(histogram, MOST_POINTS)
    found = intervals.estimate_quantile(compact, _JUDGED, seed=run.scenario.seed)
    return found.low, found.high


def spreads_table(spreads: Sequence[Spread], heading: str) -> pd.DataFrame:
    """Return spreads as a table: one row each."""
    return pd.DataFrame(
        [
            {
                heading: spread.name,
                "n": spread.n,
                **{f"{quantile_name(q)}_ns": spread.values_ns.get(q) for q in (*SPANS, 1.0)},
                "p99 from_ns": spread.low_ns,
                "p99 to_ns": spread.high_ns,
            }
            for spread in spreads
        ]
    )


def upper_limit(run: RunFrames, metric: str, statistic: str | None) -> float | None:
    """Return the strictest upper limit that the scenario sets on a metric, or None."""
    limits = [
        budget.limit
        for budget in run.scenario.budgets
        if (budget.metric, budget.statistic) == (metric, statistic)
        and budget.is_upper_limit
        and not budget.is_relative
    ]
    return min(limits, default=None)


def words(metric: str) -> str:
    """Return a metric's name as a chart writes it."""
    return metric.replace("_", " ").replace(".", " ")


def crosstab(
    rows: pd.Series[str], columns: pd.Series[str], heading: str, order: Sequence[str]
) -> pd.DataFrame:
    """Return how often each word of ``columns`` stands beside each of ``rows``.

    Args:
        rows: one word a case.
        columns: one word a case.
        heading: the name of the first column.
        order: the words of ``columns`` in the order to show; one that never came is left out.
    """
    counts = pd.crosstab(rows.astype(str), columns.astype(str))
    known = [word for word in order if word in counts.columns]
    rest = [word for word in counts.columns if word not in known]
    found = counts[known + rest].reset_index()
    found.columns = pd.Index([heading, *known, *rest])
    return found
