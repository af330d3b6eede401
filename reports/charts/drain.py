"""How the gateway said good-bye: who was told, who was closed, when it was gone."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
from reports.charts.canvas import BLUE, GREEN, MUTED, Chart, Size, new_figure
from reports.charts.curves import ArrivalCurve, curve_of, curves_table, draw_curves
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_NS_PER_S = 1e9


def drain_course(run: RunFrames) -> Chart:
    """Return the share of clients that were told and closed, by time since the command."""
    closed = histogram_of(run, Series.DRAIN_CLOSE, EVERY_PHASE).n
    curves = {
        name: curve
        for name, series in (("told", Series.DRAIN_NOTICE), ("closed", Series.DRAIN_CLOSE))
        if (curve := curve_of(run, series, name, closed))
    }
    key = "drain"
    if not curves:
        return Chart(key, f"No drain to show: {measure(run, 'drain.close', 'p99').why}", "")
    exit_ns = measure(run, "drain.exit").value

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        draw_curves(axes, curves, (GREEN, BLUE))
        if exit_ns is not None:
            _mark_exit(axes, exit_ns / _NS_PER_S)
        axes.set_xlabel("seconds since the command to terminate")
        axes.set_ylabel("share of the clients")
        return figure

    note = "Told: server:draining. Closed: the end of the connection. Dots: 50, 95, 99 and 100 %."
    return Chart(key, _title(run, curves, exit_ns), note, draw, curves_table(curves))


def _mark_exit(axes: Axes, at_s: float) -> None:
    axes.set_xlim(0, max(axes.get_xlim()[1], at_s * 1.05))
    axes.axvline(at_s, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), label="_gateway's exit")
    axes.annotate(
        "gateway gone", (at_s, 0.0), xycoords=("data", "axes fraction"), xytext=(-4, 6),
        textcoords="offset points", ha="right", va="bottom", color=MUTED,
    )  # fmt: skip


def _title(run: RunFrames, curves: dict[str, ArrivalCurve], exit_ns: float | None) -> str:
    parts = [
        f"{curve.n:,} {name}, the last after {quantities.span(float(curve.spans_ns[-1]))}"
        for name, curve in curves.items()
    ]
    unannounced = int(measure(run, "drain.unannounced").value or 0)
    if unannounced:
        parts.append(f"{quantities.counted(unannounced, 'client')} closed without a word")
    if exit_ns is not None:
        parts.append(f"the gateway was gone after {quantities.span(exit_ns)}")
    return f"Terminated with clients connected: {'; '.join(parts)}"
