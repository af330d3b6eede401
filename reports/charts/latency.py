"""Latency of pushes and acknowledgements, over time and by percentile."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.charts.axes import name_lines, span_axis, span_panel
from reports.charts.canvas import BLUE, GREEN, INK, PURPLE, Chart, Size, new_figure
from reports.charts.figures import (
    judged,
    p99_limit,
    quantiles_over_time,
    seconds_table,
    spread_of,
    spreads_table,
    words,
)
from reports.measures.histograms import histogram_of, quantile_fraction
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_PANELS: Final = (("push", Series.PUSH), ("ack", Series.ACK))
_SPECTRUM: Final = (
    ("push", BLUE, "-"),
    ("push_service", BLUE, ":"),
    ("ack", GREEN, "-"),
    ("connect", PURPLE, "--"),
)
_BANDED: Final = frozenset({"push", "ack"})
_STATISTICS: Final = ("p50", "p90", "p95", "p99", "p99.9", "p99.99")


def latency_over_time(run: RunFrames) -> Chart:
    """Return p50 and p99 of push and acknowledgement latency, second by second."""
    found = {
        name: frame
        for name, series in _PANELS
        if len(frame := quantiles_over_time(run, series, (0.5, 0.99)))
    }
    key = "latency-over-time"
    if not found:
        why = run.absences.get("hist") or "no push and no acknowledgement was timed"
        return Chart(key, f"No latency: {why}", "")

    def draw(size: Size) -> Figure:
        figure, panels = new_figure(size, rows=len(found))
        for axes, (name, frame) in zip(panels, found.items(), strict=True):
            _draw_latency(axes, run, name, frame)
        for axes in panels[:-1]:
            axes.set_xlabel("")
        return figure

    note = (
        "Response time in each second on a logarithmic scale: p50 thin, p99 thick. "
        "Grey background: ramp, warm-up and drain, which time budgets ignore."
    )
    table = seconds_table(run, Series.PUSH if "push" in found else Series.ACK)
    return Chart(key, _latency_title(run, found), note, draw, table)


def _latency_title(run: RunFrames, found: dict[str, pd.DataFrame]) -> str:
    name, series = next(pair for pair in _PANELS if pair[0] in found)
    steady = histogram_of(run, series, (Phase.STEADY,))
    if not steady.n:
        return f"{name.capitalize()} has no values in the steady phase"
    p99 = intervals.quantile_of(steady, 0.99)
    by_second = quantiles_over_time(run, series, (0.99,), (Phase.STEADY,))
    slowest = by_second.iloc[int(by_second[0.99].argmax())]
    return (
        f"{name.capitalize()} p99 was {quantities.span(p99)} in the steady phase; "
        f"the worst second was {quantities.span(float(slowest[0.99]))}, "
        f"{slowest['t_s']:.0f} s into the run"
    )


def _draw_latency(axes: Axes, run: RunFrames, name: str, frame: pd.DataFrame) -> None:
    few = len(frame) < 3
    for fraction, width, label in ((0.5, 1.0, "p50"), (0.99, 2.0, "p99")):
        axes.plot(
            frame["t_s"] + 0.5, frame[fraction], color=BLUE if name == "push" else GREEN,
            linewidth=width, marker="o" if few else None, markersize=3, label=label,
        )  # fmt: skip
    limit = p99_limit(run, name)
    low = float(frame[0.5].min())
    ends = min(low, limit or low) / 1.5, max(float(frame[0.99].max()), limit or 0) * 1.6
    span_panel(axes, run, f"{name} latency", ends, limit)


def percentile_spectrum(run: RunFrames) -> Chart:
    """Return latency by percentile, as far as the number of values supports."""
    curves = {}
    for name, colour, dash in _SPECTRUM:
        histogram = judged(run, name)
        if histogram.n:
            curves[name] = (spectrum_of(histogram), colour, dash)
    key = "latency-by-percentile"
    if not curves:
        why = run.absences.get("hist") or "nothing was timed"
        return Chart(key, f"No percentiles: {why}", "")
    bands = {name: interval_band(run, name) for name in curves if name in _BANDED}

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size, height=size.height * 1.1)
        for name, (curve, colour, dash) in curves.items():
            axes.plot(
                curve["nines"], curve["value_ns"], color=colour, linestyle=dash, label=words(name)
            )
            if name in bands:
                band = bands[name]
                axes.fill_between(
                    band["nines"], band["low_ns"], band["high_ns"], color=colour, alpha=0.2,
                    linewidth=0, label=f"_{name} band",
                )  # fmt: skip
        span_axis(axes, "latency")
        percentile_axis(axes, sparse=size.is_narrow)
        name_lines(axes, at_edge=False)
        return figure

    note = (
        "Steady phase; connect covers the whole run. Shaded: the 95 % interval of push and "
        "acknowledgement. Each curve ends at its slowest value. Push and ack count from the "
        "intended time, push service from the sequence number."
    )
    return Chart(key, _spectrum_title(curves), note, draw, _spectrum_table(run, curves))


def spectrum_of(histogram: intervals.StackedHistogram) -> pd.DataFrame:
    """Return value (ns) over nines (1 is p90, 2 is p99), up to the slowest value."""
    most = np.log10(histogram.n)
    nines = np.append(np.arange(0.0, most, 0.02), most)
    sums = histogram.counts.sum(axis=0)
    ranks = np.clip(np.ceil(histogram.n * (1 - 10.0**-nines) - 1e-9), 1, histogram.n)
    ranks[-1] = histogram.n  # the curve ends at the slowest value
    columns = np.searchsorted(np.cumsum(sums), ranks)
    return pd.DataFrame({"nines": nines, "value_ns": histogram.tops[columns]})


def interval_band(run: RunFrames, metric: str) -> pd.DataFrame:
    """Return the 95 % interval (``low_ns``, ``high_ns``) at the supported ``nines``."""
    rows = []
    for statistic in _STATISTICS:
        found = measure(run, metric, statistic)
        if found.low is None or (found.n or 0) < (found.needed or 0):
            continue
        nines = -np.log10(1 - quantile_fraction(statistic))
        rows.append((nines, found.low, found.high))
    return pd.DataFrame(rows, columns=["nines", "low_ns", "high_ns"], dtype=float)


def _spectrum_title(curves: dict[str, tuple[pd.DataFrame, str, str]]) -> str:
    name = next(iter(curves))
    curve = curves[name][0]

    def at(nines: float) -> str:
        return quantities.span(float(np.interp(nines, curve["nines"], curve["value_ns"])))

    last = curve.iloc[-1]
    told = f"{words(name).capitalize()} took {at(np.log10(2))} at p50"
    if last["nines"] >= 2:
        told += f", {at(2)} at p99"
    count = quantities.count(float(10 ** last["nines"]))
    return f"{told}; the slowest of {count} took {quantities.span(float(last['value_ns']))}"


def _spectrum_table(
    run: RunFrames, curves: dict[str, tuple[pd.DataFrame, str, str]]
) -> pd.DataFrame:
    spreads = [spread_of(run, name, name=words(name)) for name in curves]
    return spreads_table([spread for spread in spreads if spread], "latency")


def percentile_axis(axes: Axes, *, sparse: bool = False) -> None:
    """Make x an axis of nines, at least up to p99.99."""
    ticks = {0.0: "" if sparse else "0", np.log10(2): "50", 1.0: "90", 2.0: "99", 3.0: "99.9"}
    ticks |= {4.0: "99.99", 5.0: "99.999", 6.0: "99.9999"}
    axes.set_xlim(0, max(4.0, axes.get_xlim()[1]))
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: ticks.get(value, "")))
    axes.set_xlabel("percentile, %")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="x", labelcolor=INK)
