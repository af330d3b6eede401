"""What one client costs the gateway in memory."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import quantities
from reports.charts.canvas import BLUE, INK, MUTED, Chart, Size, key_above, new_figure
from reports.frames import RunFrames
from reports.metrics import measure, memory_line, memory_points

_MB: Final = 1 << 20


def memory_per_client(run: RunFrames) -> Chart:
    """Return memory against clients during the ramp, with the fitted line."""
    points, words = memory_points(run)
    line = memory_line(run)
    key = "memory"
    if line is None:
        return Chart(key, f"No memory per client: {measure(run, 'memory.per_client').why}", "")

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        reach = np.array([0.0, float(points["clients"].max()) * 1.05])
        fitted = (line.intercept + line.slope * reach) / _MB
        axes.plot(reach, fitted, color=BLUE, linewidth=1.6, label="fit")
        axes.plot(
            points["clients"], points["memory_bytes"] / _MB, "o", color=INK, markersize=4.5,
            label="one second of the ramp",
        )  # fmt: skip
        axes.set_xlabel("clients")
        axes.set_ylabel(f"{words.split(' (', 1)[-1].rstrip(')')}, MB")
        axes.set_xlim(0, reach[1])
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
        axes.tick_params(axis="y", labelcolor=MUTED)
        key_above(axes, 2)
        return figure

    low, high = quantities.size(line.low), quantities.size(line.high)
    cost = quantities.size(line.slope)
    title = f"A client costs {cost} of the gateway's memory (95 %: {low} to {high})"
    note = (
        f"Least squares over {quantities.counted(line.n, 'second')} of the ramp, {words}; "
        f"Theil–Sen gives {quantities.size(line.robust_slope)}. The interval covers both; "
        "points of one ramp depend on each other, so the true one is no narrower."
    )
    return Chart(key, title, note, draw)
