"""The gateway's memory per client, and leaks over cycles of coming and going."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import quantities
from reports.charts.axes import mark_commands, time_axis
from reports.charts.canvas import (
    BLUE,
    INK,
    MOST_ROWS,
    MUTED,
    SKY,
    Chart,
    Size,
    new_figure,
    new_pair,
)
from reports.lines import Line
from reports.measures.departure import FEWEST_CYCLES, cycle_levels, cycle_line
from reports.measures.levels import memory_column
from reports.measures.memory import MemoryPoints, memory_levels, memory_line, memory_points
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_MB: Final = 1 << 20
_OTHERS: Final = {
    "memory.per_subscription": "{} per subscription",
    "memory.per_message": "{} per request",
    "memory.per_backlog": "{} while it does not read",
    "memory.kernel_per_client": "{} in the kernel, both ends",
}
_LEFT: Final = {"memory.left_sessions": "sessions", "memory.left_fds": "file descriptors"}


def memory_per_client(run: RunFrames) -> Chart:
    """Return the gateway's memory over time and over clients, with the fitted line."""
    points = memory_points(run)
    line = memory_line(run)
    key = "memory"
    if line is None:
        return Chart(key, f"No memory per client: {measure(run, 'memory.per_client').why}", "")

    def draw(size: Size) -> Figure:
        figure, (course, fit) = new_pair(size)
        _draw_course(course, run)
        _draw_fit(fit, points, line)
        return figure

    each = "level of the staircase" if points.is_staircase else "second of the ramp"
    note = (
        "Left (or above): memory over time; thick lines are levels. Right (or below): one point "
        f"per {each} (n = {line.n}), {points.memory.label}, with a least-squares line. The "
        f"Theil–Sen slope is {quantities.size(line.robust_slope)}. The interval covers both "
        "methods. Points of one ramp depend on each other, so the true interval may be wider."
    )
    return Chart(key, _title(run, line), note, draw, points.frame.head(MOST_ROWS))


def _title(run: RunFrames, line: Line) -> str:
    low, high = quantities.size(line.low), quantities.size(line.high)
    cost = quantities.size(line.slope)
    told = f"Each client costs {cost} of gateway memory (95 %: {low} to {high})"
    others = [
        words.format(quantities.size(found.value))
        for metric, words in _OTHERS.items()
        if (found := measure(run, metric)).value is not None and (found.low or 0) > 0
    ]
    return f"{told}; {', '.join(others)}" if others else told


def _megabytes(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.5g}"))


def _draw_course(axes: Axes, run: RunFrames) -> None:
    column = memory_column(run["server"]).name
    rows = run["server"].dropna(subset=[column]).sort_values("t_s")
    memory = rows[column].astype(float) / _MB
    axes.plot(rows["t_s"] + 0.5, memory, color=SKY, linewidth=1.3, label="_memory")
    for level in memory_levels(run).to_dict("records"):
        height = level["memory_bytes"] / _MB
        axes.plot(
            [level["start_s"], level["end_s"] + 1], [height, height], color=BLUE,
            linewidth=3.5, solid_capstyle="butt", label="_level",
        )  # fmt: skip
    _megabytes(axes, "gateway memory, MB")
    time_axis(axes, run)
    mark_commands(axes, run, named=True)


def _draw_fit(axes: Axes, found: MemoryPoints, line: Line) -> None:
    points = found.frame
    reach = np.array([0.0, float(points["clients"].max()) * 1.05])
    heights = (line.intercept + line.slope * reach) / _MB
    axes.plot(reach, heights, color=BLUE, linewidth=1.6, label="fit")
    axes.plot(
        points["clients"], points["memory_bytes"] / _MB, "o", color=INK, markersize=4.5,
        label="_points",
    )  # fmt: skip
    axes.annotate(
        f"{quantities.size(line.slope)} per client", (float(reach[1]), float(heights[1])),
        xytext=(-8, -2), textcoords="offset points", ha="right", va="bottom", color=BLUE,
    )  # fmt: skip
    axes.set_xlabel("clients")
    axes.set_xlim(0, reach[1])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    _megabytes(axes, f"{found.memory.short}, MB")
    axes.tick_params(axis="y", labelcolor=MUTED)


def leak_cycles(run: RunFrames) -> Chart:
    """Return the gateway's memory after each drop of a group, with the fitted line."""
    found = cycle_levels(run)
    measured = measure(run, "memory.per_cycle")
    key = "cycles"
    if found.empty:
        return Chart(key, f"No leak over cycles: {measured.why}", "")
    line = cycle_line(run)

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        axes.plot(
            found["cycle"], found["value"] / _MB, "o", color=INK, markersize=5, label="_levels"
        )
        if line is not None:
            reach = np.array([float(found["cycle"].min()), float(found["cycle"].max())])
            heights = (line.intercept + line.slope * reach) / _MB
            axes.plot(reach, heights, color=BLUE, linewidth=1.6, label="fit")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("cycle")
        _megabytes(axes, "memory after the drop, MB")
        low, high = axes.get_ylim()
        middle, least = (low + high) / 2, 0.02 * high
        axes.set_ylim(min(low, middle - least), max(high, middle + least))
        return figure

    note = "Each dot is the gateway's memory after the group dropped and before it returned."
    table = found.rename(columns={"value": "memory_bytes"}).head(MOST_ROWS)
    return Chart(key, _cycles_title(run, found), note, draw, table)


def _cycles_title(run: RunFrames, found: pd.DataFrame) -> str:
    measured = measure(run, "memory.per_cycle")
    if measured.value is None:
        cycles = quantities.counted(len(found), "cycle")
        return f"Too few cycles for a leak rate: {cycles}, and a slope needs {FEWEST_CYCLES}"
    low, high = quantities.size(measured.low), quantities.size(measured.high)
    told = (
        f"Each client leaves {quantities.size(measured.value)} behind per cycle "
        f"(95 %: {low} to {high}, {quantities.counted(len(found), 'cycle')})"
    )
    left = {
        noun: found_left.value
        for metric, noun in _LEFT.items()
        if (found_left := measure(run, metric)).value is not None
    }
    if left and not any(left.values()):
        return f"{told}; no {' or '.join(left)} are left behind"
    parts = [f"{value:+,.0f} {noun}" for noun, value in left.items()]
    return f"{told}; left behind: {', '.join(parts)}" if parts else told
