"""Push latency of the whole run as a heat map over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from reports import intervals, quantities
from reports.charts.axes import span_panel
from reports.charts.canvas import BLUE, INK, Chart, Size, new_figure
from reports.charts.figures import (
    merged,
    p99_limit,
    quantiles_over_time,
    seconds_table,
    spread_of,
    words,
)
from reports.measures.histograms import EVERY_PHASE, STEADY, histogram_of
from reports.measures.latency import SOURCES
from reports.run_frames import RunFrames

STEPS: Final = (0.0, 0.002, 0.02, 0.08, 0.2)
"""The least share of a second's messages for each of the five shades."""
_SHADES: Final = (0.1, 0.26, 0.45, 0.7, 1.0)
_BANDS_A_DECADE: Final = {"wide": 16, "narrow": 10}
_COLUMNS: Final = {"wide": 120, "narrow": 60}
_FAR: Final = 10  # times the median: the title counts slower pushes

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HeatmapGrid:
    """A histogram over time as a grid of cells.

    Attributes:
        starts_s: left edges of the columns, then the right edge of the last.
        edges_ns: edges of the bands, in order.
        shares: share (0 to 1) of each column's messages (rows) in each band (columns).
    """

    starts_s: Floats
    edges_ns: Floats
    shares: Floats


def grid_of(
    histogram: intervals.StackedHistogram, columns: int, bands_a_decade: int
) -> HeatmapGrid:
    """Return a histogram in at most ``columns`` spans of time and logarithmic bands.

    Args:
        histogram: one-second histograms.
        columns: the most spans of time.
        bands_a_decade: bands per factor of ten.
    """
    compact = merged(histogram, columns)
    width = compact.seconds[1] - compact.seconds[0] if len(compact.seconds) > 1 else 1
    starts = np.append(compact.seconds, compact.seconds[-1] + width).astype(float)
    middles = np.maximum((histogram.floors + histogram.tops) / 2, 1.0)
    first = np.floor(np.log10(middles[0]) * bands_a_decade)
    last = np.floor(np.log10(middles[-1]) * bands_a_decade) + 1
    edges = 10 ** (np.arange(first, last + 1) / bands_a_decade)
    bands = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, len(edges) - 2)
    counts = np.zeros((len(compact.seconds), len(edges) - 1))
    np.add.at(counts.T, bands, compact.counts.T)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return HeatmapGrid(starts_s=starts, edges_ns=edges, shares=shares)


def latency_heatmap(run: RunFrames, metric: str = "push") -> Chart:
    """Return the distribution of push latency in each second, with p50, p99 and the limit."""
    series = SOURCES[metric][0]
    histogram = histogram_of(run, series, EVERY_PHASE)
    key = "latency-heatmap"
    if not histogram.n:
        why = run.absences.get("hist") or f"no {words(metric)} was timed"
        return Chart(key, f"No latency: {why}", "")
    lines = quantiles_over_time(run, series, (0.5, 0.99))
    limit = p99_limit(run, metric)

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size, height=size.height * 1.15)
        grid = grid_of(histogram, _COLUMNS[size.name], _BANDS_A_DECADE[size.name])
        _draw_cells(axes, grid)
        middle = lines["t_s"] + 0.5
        axes.plot(middle, lines[0.99], color=INK, linewidth=1.2, label="p99")
        axes.plot(middle, lines[0.5], color=INK, linewidth=1.2, linestyle=":", label="p50")
        high = max(grid.edges_ns[-1], limit or 0) * (1.25 if limit else 1.1)
        low = min(grid.edges_ns[0], grid.edges_ns[0] if limit is None else limit)
        span_panel(axes, run, f"{words(metric)} latency", (low / 1.1, high), limit)
        _draw_key(axes, narrow=size.is_narrow)
        return figure

    note = (
        "Each column is a second, or several in a long run. Each cell is a band of latency: the "
        "darker, the larger its share of the second's messages. Grey background: ramp, warm-up "
        "and drain, which time budgets ignore."
    )
    return Chart(
        key, _title(run, metric), note, draw, seconds_table(run, series, (0.5, 0.9, 0.99, 1.0))
    )


def _draw_cells(axes: Axes, grid: HeatmapGrid) -> None:
    """Draw one path per shade, so that the SVG has few elements."""
    shade = np.searchsorted(STEPS, grid.shares, side="right") - 1
    for index, opacity in enumerate(_SHADES):
        corners = _rectangles(grid, (grid.shares > 0) & (shade == index))
        if not len(corners):
            continue
        codes = np.array([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY])
        path = Path(corners.reshape(-1, 2), np.tile(codes, len(corners)))
        patch = PathPatch(path, facecolor=BLUE, alpha=opacity, linewidth=0, zorder=1.5)
        patch.set_gid(f"cells-{index}")
        axes.add_patch(patch)


def _rectangles(grid: HeatmapGrid, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Return corners (rectangle, 5, x and y) of chosen cells, with neighbours in time joined."""
    padded = np.zeros((len(chosen) + 2, chosen.shape[1]), dtype=np.int8)
    padded[1:-1] = chosen
    steps = np.diff(padded, axis=0).T  # one row per band, in which each start has an end
    bands, begins = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    left, right = grid.starts_s[begins], grid.starts_s[ends]
    low, high = grid.edges_ns[bands], grid.edges_ns[bands + 1]
    around = ((left, low), (right, low), (right, high), (left, high), (left, low))
    return np.stack([np.stack(corner, axis=1) for corner in around], axis=1)


def _draw_key(axes: Axes, *, narrow: bool) -> None:
    shares = [f"{step * 100:g} %" for step in STEPS]
    patches: list[Any] = [
        Patch(facecolor=BLUE, alpha=shade, linewidth=0, label=f"> {share}")
        for shade, share in zip(_SHADES, shares, strict=True)
    ]
    axes.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(-0.01, 1.0),
        ncols=3 if narrow else len(patches),
        columnspacing=0.7 if narrow else 1.4, handlelength=1.0, handletextpad=0.4,
        borderaxespad=0.2, labelcolor=INK, title="share of the second's messages",
        alignment="left",
    )  # fmt: skip


def _title(run: RunFrames, metric: str) -> str:
    name = words(metric).capitalize()
    steady = histogram_of(run, SOURCES[metric][0], STEADY)
    whole = spread_of(run, metric)
    if whole is None:
        return f"{name} has no values in the steady phase"
    far_ns = _FAR * whole.values_ns[0.5]
    beyond = steady.counts[:, steady.floors > far_ns].sum(axis=1)
    told = f"{name} p99 was {whole.told(0.99)} in the steady phase ({whole.interval()})"
    if 0.99 not in whole.values_ns:
        told = f"{name} p50 was {whole.told(0.5)} in the steady phase"
    told += f", n = {quantities.count(whole.n)}"
    if not beyond.any():
        return f"{told}; none took longer than {_FAR} times the median"
    seconds = quantities.counted(int((beyond > 0).sum()), "second")
    return f"{told}; {int(beyond.sum()):,} took longer than {_FAR} times the median, in {seconds}"
