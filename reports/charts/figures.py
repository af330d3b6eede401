"""The numbers behind the charts: quantiles by second or overall, with n and interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.believability import left_out
from reports.charts.canvas import MOST_ROWS
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.latency import SOURCES
from reports.measures.registry import measure
from reports.remembering import once_a_run
from reports.run_frames import RunFrames

MOST_POINTS: Final = 600
"""The most points of a line over time; a longer run is merged into so many equal spans."""
SPANS: Final = (0.5, 0.9, 0.99, 0.999)
"""The quantiles of a table."""
_JUDGED: Final = 0.99


def merged(histogram: intervals.StackedHistogram, most: int) -> intervals.StackedHistogram:
    """Return at most ``most`` equal spans of whole seconds, each summed."""
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
    """Return quantiles (ns) of each second with values, in columns named by fraction.

    Args:
        run: the run.
        series: what was measured.
        fractions: 0.99 for the p99.
        phases: the phases to include.
        most: points; a longer run is merged into so many equal spans.
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
    """Return quantiles over time as a table of at most ``MOST_ROWS`` rows.

    Args:
        run: the run.
        series: what was measured.
        fractions: 0.99 for the p99.
    """
    frame = quantiles_over_time(run, series, fractions, most=MOST_ROWS)
    return frame.rename(
        columns={fraction: f"{quantile_name(fraction)}_ns" for fraction in fractions}
    )


def quantile_name(fraction: float) -> str:
    """Return ``p99.9`` for 0.999, and ``max`` for 1."""
    return "max" if fraction == 1 else f"p{fraction * 100:.10g}"


@once_a_run
def families_of(run: RunFrames, series: Series) -> list[str]:
    """Return the kinds of stream with values of a series, most values first."""
    rows = run["hist"]
    rows = rows[(rows["series"] == str(series)) & (rows["family"] != "")]
    counts = rows.groupby("family", observed=True)["count"].sum()
    return [str(name) for name in counts.sort_values(ascending=False, kind="stable").index]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The distribution of a series.

    Attributes:
        name: its name in the chart.
        values_ns: quantiles by fraction, as far as ``n`` supports them, and 1.0.
        low_ns: lower end of the 95 % interval of the p99; None without one.
        high_ns: upper end.
        n: number of values.
    """

    name: str
    values_ns: dict[float, float]
    low_ns: float | None
    high_ns: float | None
    n: int

    def told(self, fraction: float) -> str:
        """Return a quantile with its unit; a dash where ``n`` does not support it."""
        return quantities.span(self.values_ns.get(fraction))

    def interval(self) -> str:
        """Return ``95 %: 8.1 ms to 9.2 ms`` for the p99, or ``no interval``."""
        if self.low_ns is None or self.high_ns is None:
            return "no interval: too few values"
        return f"95 %: {quantities.span(self.low_ns)} to {quantities.span(self.high_ns)}"


def judged(run: RunFrames, metric: str, family: str | None = None) -> intervals.StackedHistogram:
    """Return the values that budgets on a metric judge.

    Args:
        run: the run.
        metric: a name of ``reports.measures.latency.SOURCES``.
        family: one kind of stream; None for all.
    """
    series, phases = SOURCES[metric]
    without = frozenset[int]() if len(phases) == len(Phase) else left_out(run)
    return histogram_of(run, series, phases, without=without, family=family)


@once_a_run
def spread_of(
    run: RunFrames, metric: str, *, name: str = "", family: str | None = None
) -> Spread | None:
    """Return the distribution of the values that budgets judge; None without values.

    Args:
        run: the run.
        metric: a name of ``reports.measures.latency.SOURCES``.
        name: in the chart; the metric's when empty.
        family: one kind of stream; None for all.
    """
    histogram = judged(run, metric, family)
    if not histogram.n:
        return None
    carried = [q for q in SPANS if q == 0.5 or histogram.n * (1 - q) >= 1]
    values = {q: intervals.quantile_of(histogram, q) for q in (*carried, 1.0)}
    low, high = _interval_of(run, metric, histogram, family)
    return Spread(name=name or metric, values_ns=values, low_ns=low, high_ns=high, n=histogram.n)


def _interval_of(
    run: RunFrames, metric: str, histogram: intervals.StackedHistogram, family: str | None
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the p99; for a whole metric the one that budgets use."""
    if histogram.n < intervals.samples_needed(_JUDGED):
        return None, None
    if family is None:
        judged = measure(run, metric, quantile_name(_JUDGED))
        return judged.low, judged.high
    compact = merged(histogram, MOST_POINTS)
    (found,) = intervals.estimate_quantiles(compact, (_JUDGED,), seed=run.scenario.seed)
    return found.low, found.high


def spreads_table(spreads: Sequence[Spread], heading: str) -> pd.DataFrame:
    """Return spreads as a table, one row each."""
    return pd.DataFrame(
        [
            {
                heading: spread.name,
                "n": spread.n,
                **{f"{quantile_name(q)}_ns": spread.values_ns.get(q) for q in (*SPANS, 1.0)},
                "p99 low_ns": spread.low_ns,
                "p99 high_ns": spread.high_ns,
            }
            for spread in spreads
        ]
    )


def p99_limit(run: RunFrames, metric: str) -> float | None:
    """Return the scenario's strictest absolute upper limit (ns) on the p99 of a metric, or None."""
    limits = [
        budget.limit
        for budget in run.scenario.budgets
        if (budget.metric, budget.statistic) == (metric, "p99")
        and budget.is_upper_limit
        and not budget.is_relative
    ]
    return min(limits, default=None)


def words(metric: str) -> str:
    """Return a metric's name for a chart."""
    return metric.replace("_", " ").replace(".", " ")


def crosstab(
    rows: pd.Series[str], columns: pd.Series[str], heading: str, order: Sequence[str]
) -> pd.DataFrame:
    """Return the counts of each pair of words, one row for each word of ``rows``.

    Args:
        rows: one word per case.
        columns: one word per case.
        heading: the name of the first column.
        order: the order of the columns; a word without cases is left out.
    """
    counts = pd.crosstab(rows.astype(str), columns.astype(str))
    known = [word for word in order if word in counts.columns]
    rest = [word for word in counts.columns if word not in known]
    found = counts[known + rest].reset_index()
    found.columns = pd.Index([heading, *known, *rest])
    return found
