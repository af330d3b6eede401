"""How long a push and an acknowledgement took: second by second, and by percentile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.charts.canvas import (
    BLUE,
    GREEN,
    INK,
    PURPLE,
    Chart,
    Size,
    key_above,
    limit_line,
    new_figure,
    span_axis,
    time_axis,
)
from reports.frames import RunFrames
from reports.metrics import SOURCES, histogram_of

MOST_POINTS: Final = 600
_PANELS: Final = (("push", Series.PUSH), ("ack", Series.ACK))
_SPECTRUM: Final = (
    ("push", Series.PUSH, BLUE, "-"),
    ("push_service", Series.PUSH_SERVICE, BLUE, ":"),
    ("ack", Series.ACK, GREEN, "-"),
    ("connect", Series.CONNECT, PURPLE, "--"),
)


def quantiles_over_time(
    run: RunFrames,
    series: Series,
    fractions: Sequence[float],
    phases: Sequence[Phase] = tuple(Phase),
) -> pd.DataFrame:
    """Return quantiles (ns) of each second that has values, in columns named by fraction.

    A run longer than 600 s is cut into 600 equal spans of whole seconds, each merged.
    """
    histogram = histogram_of(run, series, phases)
    width = -(-max(len(histogram.seconds), 1) // MOST_POINTS)
    rows = []
    for start in range(0, len(histogram.seconds), width):
        part = intervals.Histogram(
            seconds=histogram.seconds[start : start + width],
            buckets=histogram.buckets,
            counts=histogram.counts[start : start + width],
        )
        if part.n:
            values = [intervals.quantile_of(part, fraction) for fraction in fractions]
            rows.append([float(part.seconds[0]), part.n, *values])
    return pd.DataFrame(rows, columns=["t_s", "n", *fractions])


def upper_limit(run: RunFrames, metric: str, statistic: str | None) -> float | None:
    """Return the strictest upper limit that the scenario sets on a metric, or None."""
    limits = [
        budget.limit
        for budget in run.scenario.budgets
        if (budget.metric, budget.statistic) == (metric, statistic)
        and budget.operator in ("<=", "<")
    ]
    return min(limits, default=None)


def latency_over_time(run: RunFrames) -> Chart:
    """Return push and acknowledgement latency second by second, p50 and p99."""
    found = {
        name: frame
        for name, series in _PANELS
        if len(frame := quantiles_over_time(run, series, (0.5, 0.99)))
    }
    key = "latency-over-time"
    if not found:
        why = run.absences.get("hist") or "no push and no acknowledgement was timed"
        return Chart(key, f"No latency to show: {why}", "")

    def draw(size: Size) -> Figure:
        figure, panels = new_figure(size, rows=len(found))
        for axes, (name, frame) in zip(panels, found.items(), strict=True):
            _draw_latency(axes, run, name, frame)
        for axes in panels[:-1]:
            axes.set_xlabel("")
        return figure

    note = (
        "Response time of each second on a logarithmic scale: p50 thin, p99 thick. "
        "Shaded: ramp, warm-up and drain, which no time budget judges."
    )
    return Chart(key, _latency_title(run, found), note, draw)


def _latency_title(run: RunFrames, found: dict[str, pd.DataFrame]) -> str:
    name, series = next(pair for pair in _PANELS if pair[0] in found)
    steady = histogram_of(run, series, (Phase.STEADY,))
    if not steady.n:
        return f"{name.capitalize()} was timed, but never in the steady phase"
    p99 = intervals.quantile_of(steady, 0.99)
    by_second = quantiles_over_time(run, series, (0.99,), (Phase.STEADY,))
    slowest = by_second.iloc[int(by_second[0.99].argmax())]
    return (
        f"{name.capitalize()} p99 was {quantities.span(p99)} in the steady phase; "
        f"its worst second had {quantities.span(float(slowest[0.99]))}, "
        f"{slowest['t_s']:.0f} s into the run"
    )


def _draw_latency(axes: Axes, run: RunFrames, name: str, frame: pd.DataFrame) -> None:
    few = len(frame) < 3
    for fraction, width, label in ((0.5, 1.0, "p50"), (0.99, 2.0, "p99")):
        axes.plot(
            frame["t_s"] + 0.5,
            frame[fraction],
            color=BLUE if name == "push" else GREEN,
            linewidth=width,
            marker="o" if few else None,
            markersize=3,
            label=f"{name} {label}",
        )
    limit = upper_limit(run, name, "p99")
    if limit is not None:
        limit_line(axes, limit, f"limit on p99: {quantities.limit_span(limit)}")
    low = float(frame[0.5].min())
    axes.set_ylim(min(low, limit or low) / 1.5, max(float(frame[0.99].max()), limit or 0) * 1.6)
    span_axis(axes, f"{name} latency")
    time_axis(axes, run)
    key_above(axes, 2)


def percentile_spectrum(run: RunFrames) -> Chart:
    """Return latency by percentile, as far as the number of values carries."""
    curves = {}
    for name, series, colour, dash in _SPECTRUM:
        histogram = histogram_of(run, series, SOURCES[name][1])
        if histogram.n:
            curves[name] = (_spectrum(histogram), colour, dash)
    key = "latency-by-percentile"
    if not curves:
        why = run.absences.get("hist") or "nothing was timed"
        return Chart(key, f"No percentiles to show: {why}", "")

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        for name, (curve, colour, dash) in curves.items():
            axes.plot(
                curve["nines"], curve["value_ns"], color=colour, linestyle=dash, label=words(name)
            )
        span_axis(axes, "latency")
        _percentile_axis(axes)
        key_above(axes, 4 if size.width > 6 else 2)
        return figure

    note = (
        "Steady phase; connect: the whole run. A curve ends where fewer than one value in "
        "expectation lies beyond it. Response counts from the intended time, service from the "
        "moment of sending."
    )
    return Chart(key, _spectrum_title(curves), note, draw)


def words(metric: str) -> str:
    """Return a metric's name as a chart writes it."""
    return metric.replace("_", " ").replace(".", " ")


def _spectrum(histogram: intervals.Histogram) -> pd.DataFrame:
    """Return value (ns) over nines: 1 is p90, 2 is p99, to where one value lies beyond."""
    most = np.log10(histogram.n)
    nines = np.append(np.arange(0.0, most, 0.02), most)
    sums = histogram.counts.sum(axis=0)
    ranks = np.clip(np.ceil(histogram.n * (1 - 10.0**-nines) - 1e-9), 1, histogram.n)
    ranks[-1] = histogram.n  # the curve ends at the slowest value of all
    columns = np.searchsorted(np.cumsum(sums), ranks)
    return pd.DataFrame({"nines": nines, "value_ns": histogram.tops[columns]})


def _spectrum_title(curves: dict[str, tuple[pd.DataFrame, str, str]]) -> str:
    name = next(iter(curves))
    curve = curves[name][0]

    def at(nines: float) -> str:
        return quantities.span(float(np.interp(nines, curve["nines"], curve["value_ns"])))

    last = curve.iloc[-1]
    told = f"{words(name).capitalize()}: half within {at(np.log10(2))}"
    if last["nines"] >= 2:
        told += f", 99 % within {at(2)}"
    return f"{told}, the slowest {quantities.span(float(last['value_ns']))}"


def _percentile_axis(axes: Axes) -> None:
    ticks = {0.0: "0", np.log10(2): "50", 1.0: "90", 2.0: "99", 3.0: "99.9", 4.0: "99.99"}
    ticks |= {5.0: "99.999", 6.0: "99.9999"}
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: ticks.get(value, "")))
    axes.set_xlabel("percentile, %")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="x", labelcolor=INK)
