"""Heartbeats: their difference from the announced interval."""

from __future__ import annotations

from matplotlib.figure import Figure

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.charts.axes import span_panel
from reports.charts.canvas import BLUE, Chart, Size, new_figure
from reports.charts.figures import p99_limit, quantiles_over_time, seconds_table
from reports.measures.histograms import histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames


def heartbeat_error(run: RunFrames) -> Chart:
    """Return the difference of heartbeat gaps from the announced interval, over time."""
    frame = quantiles_over_time(run, Series.HEARTBEAT_ERROR, (0.5, 1.0))
    missed = measure(run, "heartbeat.missed")
    key = "heartbeat"
    if frame.empty:
        title = f"No heartbeats: {missed.why or 'none was timed'}"
        if missed.value:
            title = f"{quantities.counted(int(missed.value), 'heartbeat')} never arrived"
        return Chart(key, title, "")

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        middle = frame["t_s"] + 0.5
        axes.vlines(middle, frame[0.5], frame[1.0], color=BLUE, linewidth=1.2)
        axes.plot(middle, frame[0.5], "o", color=BLUE, markersize=4, label="p50")
        axes.plot(middle, frame[1.0], "_", color=BLUE, markersize=9, label="worst")
        limit = p99_limit(run, "heartbeat.error")
        low, high = float(frame[0.5].min()), max(float(frame[1.0].max()), limit or 0)
        ends = max(low / 2, 1_000), high * 2
        span_panel(axes, run, "difference from the interval", ends, limit)
        return figure

    interval_ms = run.manifest.facts.get("heartbeat_interval_ms")
    announced = quantities.limit_span(interval_ms * 1e6) if interval_ms else "unknown"
    note = (
        f"Absolute difference of heartbeat gaps from the announced interval ({announced}) in each "
        "second: p50 and worst client, on a logarithmic scale."
    )
    table = seconds_table(run, Series.HEARTBEAT_ERROR)
    return Chart(key, _title(run, missed.value, missed.n), note, draw, table)


def _title(run: RunFrames, missed: float | None, n: int | None) -> str:
    errors = histogram_of(run, Series.HEARTBEAT_ERROR, tuple(Phase))
    p99 = quantities.span(intervals.quantile_of(errors, 0.99))
    if missed is None:
        came = f"{errors.n:,} heartbeats were timed and missed ones not recorded"
    elif missed:
        came = f"{missed:,.0f} of {n:,} heartbeats never arrived"
    else:
        came = f"All {n:,} heartbeats arrived"
    return f"{came}, 99 % within {p99} of their due time"
