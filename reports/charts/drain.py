"""Drain: when clients are notified and disconnected, and when the gateway exits."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
from reports.charts.canvas import BLUE, GREEN, MUTED, Chart, Size
from reports.charts.curves import ArrivalCurve, curves_of, curves_table, draw_curves
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_NS_PER_S = 1e9


def drain_course(run: RunFrames) -> Chart:
    """Return the share of clients notified and disconnected, over time since the command."""
    closed = histogram_of(run, Series.DRAIN_CLOSE, EVERY_PHASE).n
    states = {"notified": Series.DRAIN_NOTICE, "disconnected": Series.DRAIN_CLOSE}
    curves = curves_of(run, states, closed)
    key = "drain"
    if not curves:
        return Chart(key, f"No drain: {measure(run, 'drain.close', 'p99').why}", "")
    exit_ns = measure(run, "drain.exit").value

    def draw(size: Size) -> Figure:
        figure, axes = draw_curves(
            size, curves, (GREEN, BLUE), since="the terminate command", of="clients"
        )
        if exit_ns is not None:
            _mark_exit(axes, exit_ns / _NS_PER_S)
        return figure

    note = "Notified: the client read server:draining. Dots: 50, 95, 99 and 100 % of the clients."
    return Chart(key, _title(run, curves, exit_ns), note, draw, curves_table(curves))


def _mark_exit(axes: Axes, at_s: float) -> None:
    axes.set_xlim(0, max(axes.get_xlim()[1], at_s * 1.05))
    axes.axvline(at_s, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), label="_gateway's exit")
    axes.annotate(
        "gateway exit", (at_s, 0.0), xycoords=("data", "axes fraction"), xytext=(-4, 6),
        textcoords="offset points", ha="right", va="bottom", color=MUTED,
    )  # fmt: skip


def _title(run: RunFrames, curves: dict[str, ArrivalCurve], exit_ns: float | None) -> str:
    parts = [
        f"{curve.n:,} clients {name} within {quantities.span(float(curve.spans_ns[-1]))}"
        for name, curve in curves.items()
    ]
    unannounced = int(measure(run, "drain.unannounced").value or 0)
    if unannounced:
        parts.insert(0, f"{quantities.counted(unannounced, 'client')} not notified")
    if exit_ns is not None:
        parts.append(f"gateway exit after {quantities.span(exit_ns)}")
    return f"Drain: {'; '.join(parts)}"
