"""Rows of cases, one above the other: names on the left, or above each row of a narrow picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports.charts.canvas import INK, Size, new_figure


def new_rows(
    size: Size,
    names: Sequence[str],
    *,
    around: float,
    inches: tuple[float, float],
    ends: tuple[float, float] = (0.75, 0.5),
) -> tuple[Figure, Axes]:
    """Return a figure with a row for each name, first on top, and a grid across the rows.

    Args:
        size: of the drawing. A narrow one leaves the names to ``tell_row``.
        names: of the rows.
        around: height of what is around the rows, inches.
        inches: height of a row in a wide and in a narrow drawing.
        ends: space above the middle of the first row and below that of the last, in rows.
    """
    figure, (axes,) = new_figure(size, height=around + inches[size.is_narrow] * len(names))
    axes.set_ylim(len(names) - ends[1], -ends[0])
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    shown = [] if size.is_narrow else names
    axes.set_yticks(range(len(shown)), shown, color=INK)
    return figure, axes


def tell_row(
    axes: Axes, y: float, words: str, *, above: float | None = None, colour: str = INK
) -> None:
    """Write to the right of a row, or above its left end.

    Args:
        axes: with the rows.
        y: height in data units.
        words: what to write.
        above: points above that height; None writes beside it.
        colour: of the words.
    """
    axes.annotate(
        words, (1.0 if above is None else 0.0, y), xycoords=("axes fraction", "data"),
        xytext=(5, 0) if above is None else (2, above), textcoords="offset points", ha="left",
        va="center" if above is None else "bottom", color=colour, annotation_clip=False,
    )  # fmt: skip


def log_axis(axis: Axis, told: Callable[[float], str], subs: Sequence[float], *, most: int) -> None:
    """Give a logarithmic axis its ticks.

    Args:
        axis: of x or y.
        told: returns the text of a value.
        subs: the ticks of a factor of ten.
        most: number of ticks.
    """
    axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: told(value)))
