"""The distance of every budget from its limit, on one scale."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Verdict
from reports import quantities
from reports.charts.canvas import BLUE, MUTED, ORANGE, PURPLE, SURFACE, Chart, Size
from reports.charts.rows import log_axis, new_rows, tell_row
from reports.decisions import Decision
from reports.forest import is_drawn, share
from reports.verdict import RunVerdict

MARKERS: Final = {
    Verdict.PASS: ("o", BLUE),
    Verdict.FAIL: ("X", ORANGE),
    Verdict.INCONCLUSIVE: ("D", PURPLE),
    Verdict.INVALID: ("s", MUTED),
}
"""Marker and colour of each verdict, with the shapes of the table."""


def verdict_forest(outcome: RunVerdict) -> Chart:
    """Return each measured time, size or ratio as a share of its limit."""
    shown = [decision for decision in outcome.decisions if is_drawn(decision)]
    key = "distance-to-limits"
    if not shown:
        return Chart(key, "No distances to limits: only counts were measured", "")

    def draw(size: Size) -> Figure:
        names = [decision.budget.text for decision in shown]
        inches = min(0.34, 4.2 / len(shown)), 0.5
        figure, axes = new_rows(size, names, around=0.8, inches=inches, ends=(0.9, 0.5))
        _share_axis(axes, shown, stacked=size.is_narrow)
        for row, decision in enumerate(shown):
            _draw_row(axes, row, decision, stacked=size.is_narrow)
        return figure

    return Chart(key, _title(shown), _note(outcome, len(shown)), draw)


def _note(outcome: RunVerdict, shown: int) -> str:
    words = (
        "Measured value over its limit with its 95 % interval, on a logarithmic scale. The dashed "
        "line is the limit. Circle: pass. Cross: fail. Diamond: inconclusive. Square: invalid."
    )
    rest = len(outcome.decisions) - shown
    if not rest:
        return words
    return f"{words} Not drawn: {rest} counts or budgets without a value; see the table."


def _title(shown: list[Decision]) -> str:
    def closeness(decision: Decision) -> float:
        ratio = share(decision, decision.measurement.value or 0)
        return ratio if decision.budget.operator in ("<=", "<", "==") else 1 / ratio

    nearest = max(shown, key=closeness)
    measured = quantities.quantity(nearest.measurement.value, nearest.kind)
    ratio = share(nearest, nearest.measurement.value or 0)
    percent = f"{ratio:,.0%}".replace("%", " %")
    told = "The tightest budget is" if closeness(nearest) <= 1 else "The worst budget is"
    return f"{told} {nearest.budget.text}: measured {measured}, {percent} of the limit"


def _draw_row(axes: Axes, row: int, decision: Decision, *, stacked: bool) -> None:
    found = decision.measurement
    marker, colour = MARKERS[decision.verdict]
    value = share(decision, found.value or 0)
    if found.low is not None and found.high is not None:
        least = axes.get_xlim()[0]
        ends = (max(share(decision, found.low), least), share(decision, found.high))
        axes.plot(ends, (row, row), color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot(
        [value], [row], marker=marker, color=colour, markersize=7, markeredgecolor=SURFACE,
        linestyle="none", label=decision.budget.text,
    )  # fmt: skip
    measured = quantities.quantity(found.value, decision.kind)
    if stacked:
        tell_row(axes, row, f"{decision.budget.text}: {measured}", above=5)
    else:
        tell_row(axes, row, measured, colour=colour)


def _share_axis(axes: Axes, shown: list[Decision], *, stacked: bool) -> None:
    ends = [
        share(decision, end)
        for decision in shown
        for end in (decision.measurement.low, decision.measurement.value, decision.measurement.high)
        if end is not None and end > 0
    ]
    axes.set_xscale("log")
    low, high = min(*ends, 0.5) / 1.6, max(*ends, 1.0) * 2
    axes.set_xlim(low, high)
    is_wide = high / low > (20 if stacked else 2_000)
    subs = (1.0,) if is_wide else (1.0, 2.0, 5.0)
    log_axis(axes.xaxis, lambda value: f"{value * 100:,.4g} %", subs, most=8)
    axes.set_xlabel("share of the limit")
    axes.axvline(1.0, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)))
