"""How far every time budget is from its limit, on one scale."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from loadtests.results import Verdict
from reports import quantities
from reports.charts.canvas import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SURFACE,
    Chart,
    Size,
    new_figure,
)
from reports.verdict import Decision, RunVerdict

MARKERS: Final = {
    Verdict.PASS: ("o", BLUE),
    Verdict.FAIL: ("X", ORANGE),
    Verdict.INCONCLUSIVE: ("D", PURPLE),
    Verdict.INVALID: ("s", MUTED),
}
"""Marker and colour of each verdict; the shapes are those of the table."""


def verdict_forest(outcome: RunVerdict) -> Chart:
    """Return each measured time or size budget as a share of its limit, with its interval."""
    shown = [
        decision
        for decision in outcome.decisions
        if decision.kind != "count" and decision.measurement.value and decision.budget.limit > 0
    ]
    key = "distance-to-limits"
    if not shown:
        return Chart(key, "No time budget was measured, so none can be drawn", "")

    def draw(size: Size) -> Figure:
        inner = 0.34 if size.width > 6 else 0.52
        figure, (axes,) = new_figure(size, height=0.9 + inner * len(shown))
        for row, decision in enumerate(shown):
            _draw_row(axes, row, decision, stacked=size.width < 6)
        _share_axis(axes, shown)
        return figure

    note = (
        "Measured value over its limit, with its 95 % interval, on a logarithmic scale; the "
        "dashed line is the limit. Circle: pass, cross: fail, diamond: inconclusive, "
        "square: invalid."
    )
    return Chart(key, _title(shown), note, draw)


def share(decision: Decision, value: float) -> float:
    """Return a value as a share of its budget's limit."""
    return value / decision.budget.limit


def _title(shown: list[Decision]) -> str:
    def closeness(decision: Decision) -> float:
        ratio = share(decision, decision.measurement.value or 0)
        return ratio if decision.budget.operator in ("<=", "<") else 1 / ratio

    nearest = max(shown, key=closeness)
    measured = quantities.quantity(nearest.measurement.value, nearest.kind)
    ratio = share(nearest, nearest.measurement.value or 0)
    percent = f"{ratio:.0%}".replace("%", " %")
    told = "The tightest budget is" if closeness(nearest) <= 1 else "Furthest beyond its limit is"
    return f"{told} {nearest.budget.text}: measured {measured}, {percent} of the limit"


def _draw_row(axes: Axes, row: int, decision: Decision, *, stacked: bool) -> None:
    found = decision.measurement
    marker, colour = MARKERS[decision.verdict]
    value = share(decision, found.value or 0)
    if found.low and found.high:
        ends = (share(decision, found.low), share(decision, found.high))
        axes.plot(ends, (row, row), color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot(
        [value], [row], marker=marker, color=colour, markersize=7, markeredgecolor=SURFACE,
        linestyle="none", label=decision.budget.text,
    )  # fmt: skip
    words = f"{decision.budget.text}: {quantities.quantity(found.value, decision.kind)}"
    if stacked:
        axes.annotate(
            words, (0.0, row), xycoords=("axes fraction", "data"), xytext=(2, 5),
            textcoords="offset points", va="bottom", color=INK,
        )  # fmt: skip


def _share_axis(axes: Axes, shown: list[Decision]) -> None:
    ends = [
        share(decision, end)
        for decision in shown
        for end in (decision.measurement.low, decision.measurement.value, decision.measurement.high)
        if end
    ]
    axes.set_xscale("log")
    low, high = min(*ends, 0.5) / 1.6, max(*ends, 1.0) * 2
    axes.set_xlim(low, high)
    sparse = bool(axes.texts) and high / low > 20
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if sparse else (1.0, 2.0, 5.0), numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:,.4g} %"))
    axes.set_xlabel("share of the limit")
    axes.axvline(1.0, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)))
    axes.set_ylim(len(shown) - 0.5, -0.9)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    stacked = any(axes.texts)
    labels = [] if stacked else [decision.budget.text for decision in shown]
    axes.set_yticks(range(len(labels)), labels, color=INK)
