"""What the scenario commanded and when, as marks on a chart's time."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes

from reports.charts.canvas import MUTED
from reports.measures.orders import orders
from reports.run_frames import RunFrames

_GAP: Final = 1.02
"""Of a name's width: what it takes from the next."""
_CHARACTER: Final = 0.58
"""A character's width over the size of the font, on average."""


def mark_commands(axes: Axes, run: RunFrames, *, named: bool) -> None:
    """Draw a line at each command; ``named`` writes above the axes what it was.

    A name that would run into the one before is left out; its line stays.
    """
    first, last = axes.get_xlim()
    character = _character_width(axes)
    free_from = 0.0
    for order in orders(run):
        axes.axvline(order.start_s, color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1.6)
        place, width = (order.start_s - first) / (last - first), character * len(order.do) * _GAP
        is_right = place + width > 1
        begin = place - width if is_right else place
        if not named or begin < free_from:
            continue
        free_from = begin + width
        axes.annotate(
            order.do, (order.start_s, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="right" if is_right else "left", va="bottom",
            color=MUTED,
        )  # fmt: skip


def _character_width(axes: Axes) -> float:
    """Return about how much of the axes' width a character takes."""
    points = axes.get_position().width * axes.figure.get_figwidth() * 72  # type: ignore[union-attr]  # a sub-figure has it too
    return _CHARACTER * float(axes.xaxis.label.get_fontsize()) / points
