"""Distributions side by side: one row each, on one scale of spans."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports import quantities
from reports.charts.canvas import BLUE, GRID, INK, MUTED, SURFACE, Size, new_figure
from reports.charts.figures import Spread

NOTE = (
    "Dot: p50. Bar: to the p99, both written beside it. Tick: the slowest of all. One logarithmic "
    "scale for all rows."
)


def draw_ranges(
    size: Size,
    spreads: Sequence[Spread],
    label: str,
    *,
    scale_ns: tuple[float, float] | None = None,
) -> Figure:
    """Draw one row a spread: p50, p99 and the slowest, each named by its row.

    Args:
        size: of the drawing.
        spreads: the rows, first on top.
        label: of the axis.
        scale_ns: ends of the axis, for panels that are compared; else those of the values.
    """
    stacked = size.width < 6
    figure, (axes,) = new_figure(size, height=0.75 + (0.52 if stacked else 0.36) * len(spreads))
    for row, spread in enumerate(spreads):
        _draw_row(axes, row, spread, stacked=stacked)
    low, high = scale_ns or scale_of(spreads)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    subs = (1.0,) if high / low > (200 if stacked else 20_000) else (1.0, 3.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantities.limit_span(value)))
    axes.set_xlabel(label)
    axes.set_ylim(len(spreads) - 0.5, -0.75)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    names = [] if stacked else [spread.name for spread in spreads]
    axes.set_yticks(range(len(names)), names, color=INK)
    return figure


def scale_of(spreads: Sequence[Spread]) -> tuple[float, float]:
    """Return the ends (ns) of an axis that holds all of these."""
    low = min(min(spread.values_ns.values()) for spread in spreads)
    high = max(spread.values_ns[1.0] for spread in spreads)
    return max(low, 1_000) / 1.8, max(high, 2_000) * 1.8


def _draw_row(axes: Axes, row: int, spread: Spread, *, stacked: bool) -> None:
    middle, slowest = (max(spread.values_ns[q], 1_000) for q in (0.5, 1.0))
    most = max((q for q in spread.values_ns if q <= 0.99), default=0.5)
    end = max(spread.values_ns[most], 1_000)
    axes.plot((end, slowest), (row, row), color=GRID, linewidth=1.4, label=f"_to the slowest {row}")
    axes.plot((middle, end), (row, row), color=BLUE, linewidth=3, solid_capstyle="butt",
              label=f"_{spread.name}")  # fmt: skip
    axes.plot([middle], [row], "o", color=BLUE, markersize=7, markeredgecolor=SURFACE,
              label=f"_{spread.name} p50")  # fmt: skip
    axes.plot([slowest], [row], "|", color=MUTED, markersize=8, label=f"_{spread.name} slowest")
    told = f"{spread.told(0.5)} to {spread.told(most)}"
    if not stacked:
        axes.annotate(
            told, (1.0, row), xycoords=("axes fraction", "data"), xytext=(5, 0),
            textcoords="offset points", ha="left", va="center", color=INK, annotation_clip=False,
        )  # fmt: skip
    else:
        axes.annotate(
            f"{spread.name}: {told}", (0.0, row),
            xycoords=("axes fraction", "data"), xytext=(2, 6), textcoords="offset points",
            va="bottom", color=INK,
        )  # fmt: skip
