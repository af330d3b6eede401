"""One figure of a history over its runs: values, limit and changes."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import quantities
from reports.charts.axes import limit_line
from reports.charts.canvas import BLUE, INK, MOST_ROWS, MUTED, ORANGE, Chart, Size, new_figure
from reports.history.changes import Step
from reports.history.trends import Trend
from reports.ratios import change

_FAR: Final = 2.5
"""A limit further than this many times the largest value is told, not drawn."""
_UNITS: Final = {"quantiles": "_ns", "span": "_ns", "bytes": "_bytes"}
_DATES: Final = {False: 8, True: 4}
"""The most dates on the axis of a wide and of a narrow drawing."""


def trend_of_figure(trend: Trend, key: str) -> Chart:
    """Return the chart of a trend.

    Args:
        trend: of one figure.
        key: id of the chart in its page.
    """

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size, height=size.height * 0.72)
        _draw_values(axes, trend)
        _draw_levels(axes, trend)
        _scale(axes, trend)
        _date_axis(axes, trend, is_narrow=size.is_narrow)
        return figure

    return Chart(key, title_of(trend), _note(trend), draw, _table(trend))


def title_of(trend: Trend) -> str:
    """Return the finding: the newest change, or that there is none."""
    kind, runs = trend.newest.kind, quantities.counted(len(trend.rows), "run")
    newest = quantities.quantity(trend.newest.value, kind)
    if trend.unsearched:
        return f"{trend.name} is {newest} (not searched for changes: {trend.unsearched})"
    if not trend.steps:
        return f"{trend.name} shows no change over {runs}; newest {newest}"
    last = trend.steps[-1]
    ends = " to ".join(quantities.quantity(end, kind) for end in (last.before, last.after))
    verb = "rose" if last.ratio > 1 else "fell"
    size = change(abs(last.ratio - 1)).removeprefix("+")
    told = f"{trend.name} {verb} by {size}, {ends}, on {day_of(trend, last)}"
    if last is trend.regression:
        return f"Regression: {told}"
    return f"{told} and has not changed since"


def day_of(trend: Trend, step: Step) -> str:
    """Return the date of the first run after a change; its id where no date is known."""
    row = trend.rows[step.place]
    return row.created[:10] or row.run


def _note(trend: Trend) -> str:
    newest = trend.newest
    words = "Each dot is a run with its 95 % interval."
    if trend.steps:
        words += " The solid line is the median between changes, the dotted one a change."
    if newest.limit is not None:
        limit = f"{newest.operator} {quantities.quantity(newest.limit, newest.kind)}"
        words += f" The limit is {limit}"
        words += "." if _is_near(trend) else ", too far away to draw."
    if trend.left_out:
        runs = quantities.counted(trend.left_out, "run")
        words += f" {runs} left out, because the times cannot be trusted."
    return words


def _draw_values(axes: Axes, trend: Trend) -> None:
    for place, figure in enumerate(trend.figures):
        if figure.low is not None and figure.high is not None:
            axes.plot((place, place), (figure.low, figure.high), color=BLUE, linewidth=1, alpha=0.4)
    values = [figure.value for figure in trend.figures]
    axes.plot(values, "o", color=BLUE, markersize=3.5)


def _draw_levels(axes: Axes, trend: Trend) -> None:
    if not trend.steps:
        return
    ends = [0, *(step.place for step in trend.steps), len(trend.rows)]
    levels = [trend.steps[0].before, *(step.after for step in trend.steps)]
    for first, last, level in zip(ends, ends[1:], levels, strict=False):
        axes.plot((first - 0.4, last - 0.6), (level, level), color=INK, linewidth=1.4)
    for step in trend.steps:
        colour = ORANGE if trend.is_worse(step) else MUTED
        axes.axvline(step.place - 0.5, color=colour, linewidth=1, linestyle=(0, (1, 2)))
        axes.annotate(
            change(step.ratio - 1), (step.place - 0.5, 1.0), xycoords=("data", "axes fraction"),
            xytext=(0, 2), textcoords="offset points", ha="center", va="bottom", color=colour,
        )  # fmt: skip


def _is_near(trend: Trend) -> bool:
    limit, most = trend.newest.limit, max(figure.value for figure in trend.figures)
    return limit is not None and limit <= max(most, 0) * _FAR


def _scale(axes: Axes, trend: Trend) -> None:
    newest = trend.newest
    tops = [figure.high or figure.value for figure in trend.figures]
    if newest.limit is not None and _is_near(trend):
        tops.append(newest.limit)
        told = quantities.quantity(newest.limit, newest.kind)
        limit_line(axes, newest.limit, f"limit {newest.operator} {told}")
    least, most = min(0.0, *(figure.value for figure in trend.figures)), (max(tops) or 1) * 1.12
    axes.set_ylim(least, most)
    kind = newest.kind
    # Round numbers of KB are no round numbers of bytes.
    unit = next((size for _, size in quantities.SIZES if size <= most), 1) if kind == "bytes" else 1
    ticks = [tick * unit for tick in MaxNLocator(4).tick_values(least / unit, most / unit)]
    axes.set_yticks([tick for tick in ticks if least <= tick <= most])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, kind)))


def _tick(value: float, kind: str) -> str:
    return "0" if value == 0 else quantities.quantity(value, kind)


def _date_axis(axes: Axes, trend: Trend, *, is_narrow: bool) -> None:
    last = len(trend.rows) - 1
    axes.set_xlim(-0.7, last + 0.7)
    shown = min(_DATES[is_narrow], last + 1)
    places = sorted({round(last * each / max(shown - 1, 1)) for each in range(shown)})
    axes.set_xticks(places, [trend.rows[place].created[:10] for place in places])
    axes.set_xlabel("runs in order of time, dated by their start")


def _table(trend: Trend) -> pd.DataFrame:
    """Return the newest runs, newest first."""
    unit = _UNITS.get(trend.newest.kind, "")
    firsts = {step.place: change(step.ratio - 1) for step in trend.steps}
    rows = [
        {
            "run": row.run,
            "commit": f"{row.commit[:12]}{' (local changes)' if row.dirty else ''}",
            f"value{unit}": figure.value,
            f"low{unit}": figure.low,
            f"high{unit}": figure.high,
            "change": firsts.get(place, ""),
        }
        for place, (row, figure) in enumerate(zip(trend.rows, trend.figures, strict=True))
    ]
    return pd.DataFrame(rows[::-1][:MOST_ROWS])
