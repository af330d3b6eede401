"""Freshness of the prices that clients hold, and fairness between clients."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtests.results import Series
from reports import quantities
from reports.charts.axes import span_axis, span_panel
from reports.charts.canvas import BLUE, INK, MUTED, Chart, Size, new_figure
from reports.charts.figures import p99_limit, quantiles_over_time, seconds_table, spread_of
from reports.charts.rows import tell_row
from reports.measures.fairness import client_means
from reports.measures.measurement import Measurement
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_BINS: Final = 40
_FEWEST_A_BIN: Final = 5


def staleness_over_time(run: RunFrames) -> Chart:
    """Return the age of the newest price that clients hold, sampled once a second."""
    whole = spread_of(run, "staleness")
    key = "staleness"
    if whole is None:
        return Chart(key, f"No price ages: {measure(run, 'staleness', 'p99').why}", "")
    frame = quantiles_over_time(run, Series.STALENESS, (0.5, 0.99))

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        axes.plot(frame["t_s"] + 0.5, frame[0.99], color=BLUE, linewidth=2, label="p99")
        axes.plot(frame["t_s"] + 0.5, frame[0.5], color=BLUE, linewidth=1, label="p50")
        limit = p99_limit(run, "staleness")
        high = max(float(frame[0.99].max()), limit or 0)
        ends = max(float(frame[0.5].min()), 1_000) / 1.6, high * 1.6
        span_panel(axes, run, "age of the newest price", ends, limit)
        return figure

    title = (
        f"The newest price of a client was {whole.told(0.5)} old at p50, {whole.told(0.99)} at p99 "
        f"({whole.interval()}, n = {quantities.count(whole.n)})"
    )
    note = (
        "Sampled once a second on some users, for each symbol with a price. The age includes the "
        "time between two publications of the symbol."
    )
    return Chart(key, title, note, draw, seconds_table(run, Series.STALENESS))


def fairness_by_arrival(run: RunFrames) -> Chart:
    """Return the clients' mean push latency by their place in the order of arrival."""
    means = client_means(run)
    key = "fairness"
    order = measure(run, "fairness.join_order")
    if order.value is None:
        return Chart(key, f"No fairness: {order.why}", "")
    bins = binned(means)

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        _draw_bins(axes, bins, float(means["mean_ns"].median()))
        axes.xaxis.set_major_locator(MaxNLocator(3 if size.is_narrow else 6, integer=True))
        return figure

    note = (
        f"Each bar is {quantities.counted(int(bins['clients'].max()), 'client')} that arrived one "
        "after another. It spans the middle half of their mean latencies; the dot is the median."
    )
    return Chart(key, _title(order, measure(run, "fairness.spread")), note, draw, bins)


def binned(means: pd.DataFrame) -> pd.DataFrame:
    """Return the quartiles of the clients' means (ns) in at most 40 equal groups by place."""
    groups = max(1, min(_BINS, len(means) // _FEWEST_A_BIN))
    rows = []
    for part in np.array_split(np.arange(len(means)), groups):
        chosen = means.iloc[part]
        low, middle, high = np.quantile(chosen["mean_ns"], [0.25, 0.5, 0.75])
        first, last = int(chosen["place"].iloc[0]), int(chosen["place"].iloc[-1])
        rows.append((first, last, len(chosen), low, middle, high))
    names = ["first place", "last place", "clients", "quarter_ns", "median_ns", "three quarters_ns"]
    return pd.DataFrame(rows, columns=names)


def _draw_bins(axes: Axes, bins: pd.DataFrame, median_ns: float) -> None:
    middle = (bins["first place"] + bins["last place"]) / 2
    axes.vlines(middle, bins["quarter_ns"], bins["three quarters_ns"], color=BLUE, linewidth=2.5)
    axes.plot(middle, bins["median_ns"], "o", color=BLUE, markersize=4, label="_median of a group")
    axes.axhline(median_ns, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
    tell_row(axes, median_ns, "median client", colour=MUTED)
    low, high = float(bins["quarter_ns"].min()), float(bins["three quarters_ns"].max())
    axes.set_ylim(low / 1.25, high * 1.25)
    span_axis(axes, "mean push latency")
    axes.set_xlim(left=-1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("place in the order of arrival")
    axes.tick_params(axis="x", labelcolor=INK)


def _title(order: Measurement, spread: Measurement) -> str:
    value = order.value or 0.0
    sure = order.low is not None and order.high is not None and not order.low <= 0 <= order.high
    how = "as fast as" if not sure else "later than" if value > 0 else "sooner than"
    told = (
        f"Late joiners are served {how} early ones (rank correlation {_signed(value)}, "
        f"95 %: {_signed(order.low)} to {_signed(order.high)}, n = {quantities.count(order.n)})"
    )
    if spread.value is not None:
        told += f"; the p99 client waits {spread.value:.2f} times as long as the median client"
    return told


def _signed(value: float | None) -> str:
    return quantities.ABSENT if value is None else f"{value:+.2f}".replace("-", "−")
