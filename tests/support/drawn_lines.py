"""Read the lines of a chart."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D


def line_named(axes: Axes, label: str) -> Line2D:
    """Return the line of a chart that has a label."""
    return next(line for line in axes.lines if line.get_label() == label)


def xs(line: Line2D) -> list[float]:
    """Return the x values of a line's points."""
    return [float(value) for value in np.asarray(line.get_xdata(), dtype=float)]


def ys(line: Line2D) -> list[float]:
    """Return the y values of a line's points."""
    return [float(value) for value in np.asarray(line.get_ydata(), dtype=float)]
