"""Space for the labels and legends around the panels of a figure.

Matplotlib's constrained layout measures every artist twice. Here figures are a column or row of
panels, and only texts and legends reach beyond the axes, so this engine measures those once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.layout_engine import LayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

_PAD_INCHES: Final = 0.042
_GAP: Final = 0.02
"""The gap between two panels, as a share of a panel."""
_LEAST: Final = 0.2
"""The least share of a figure's length for its panels; larger surroundings are cut."""

Floats = npt.NDArray[np.float64]


class PanelLayout(LayoutEngine):
    """Makes all panels of a grid equally large, as large as their surroundings allow.

    A row has the space above and below that its largest surroundings need. A column has that to
    the left and right.
    """

    _adjust_compatible = False
    _colorbar_gridspec = False

    def execute(self, fig: Any) -> None:
        """Place the panels of a figure."""
        panels = list(fig.axes)
        renderer = fig._get_renderer()  # noqa: SLF001 - as Matplotlib's own engines do
        rows, columns = panels[0].get_gridspec().get_geometry()
        across, upward = np.zeros((2, columns)), np.zeros((2, rows))
        for panel in panels:
            left, right, below, above = _margins(panel, renderer)
            row, column = _place(panel)
            across[:, column] = np.maximum(across[:, column], (left, right))
            upward[:, row] = np.maximum(upward[:, row], (above, below))
        pad = _PAD_INCHES * fig.dpi
        starts_x, width = _share_out(fig.bbox.width, across + pad)
        starts_y, height = _share_out(fig.bbox.height, upward + pad)
        for panel in panels:
            row, column = _place(panel)
            bottom = fig.bbox.height - starts_y[row] - height
            box = Bbox.from_bounds(starts_x[column], bottom, width, height)
            panel.set_position(box.transformed(fig.transFigure.inverted()), which="both")


def _place(panel: Axes) -> tuple[int, int]:
    spec = panel.get_subplotspec()
    if spec is None:
        raise RuntimeError("a panel is outside the grid of its figure")
    return spec.rowspan.start, spec.colspan.start


def _share_out(whole: float, margins: Floats) -> tuple[Floats, float]:
    """Return the start of each panel and the length of all (px) along one direction.

    Args:
        whole: length of the figure.
        margins: before each panel, and after it.
    """
    count = margins.shape[1]
    room = whole - float(margins.sum())
    if room < whole * _LEAST:
        margins = margins * (whole * (1 - _LEAST) / float(margins.sum()))
        room = whole * _LEAST
    size = room / (count + _GAP * (count - 1))
    before = margins[0] + np.concatenate([[0.0], np.cumsum(margins.sum(axis=0))[:-1]])
    return before + np.arange(count) * size * (1 + _GAP), size


def _margins(panel: Axes, renderer: Any) -> tuple[float, float, float, float]:
    """Return how far a panel's surroundings extend (px): left, right, below, above."""
    inside = panel.bbox
    boxes = [box for box in _surroundings(panel, renderer) if box.width > 0 and box.height > 0]
    if not boxes:
        return 0.0, 0.0, 0.0, 0.0
    around = Bbox.union(boxes)
    return (
        max(0.0, inside.x0 - around.x0),
        max(0.0, around.x1 - inside.x1),
        max(0.0, inside.y0 - around.y0),
        max(0.0, around.y1 - inside.y1),
    )


def _surroundings(panel: Axes, renderer: Any) -> Iterable[Bbox]:
    for axis in (panel.xaxis, panel.yaxis):
        box = axis.get_tightbbox(renderer, for_layout_only=True) if axis.get_visible() else None
        if box is not None:
            yield box
    for child in panel.get_children():
        is_said = isinstance(child, Text) and child.get_visible() and child.get_text()
        if is_said or isinstance(child, Legend):
            yield child.get_window_extent(renderer)
