"""What all charts share: the ``Chart``, sizes, colours, figures and inline SVG.

Colours are written as CSS variables with the drawn value as fallback, so one picture serves a
light and a dark page. The series colours are those of Okabe and Ito (2008), which are distinct
with every common colour blindness. No meaning depends on colour alone.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.charts.layout import PanelLayout

VARIABLES: Final[Mapping[str, str]] = {
    "#1c2127": "ink",
    "#59636e": "muted",
    "#dde2e8": "grid",
    "#f1f3f6": "band",
    "#fefefe": "surface",
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#56b4e9": "sky",
    "#00795a": "green",
    "#a0427e": "purple",
}
"""Each colour, and the CSS variable that replaces it."""
INK, MUTED, GRID, BAND, SURFACE, BLUE, ORANGE, SKY, GREEN, PURPLE = VARIABLES


@dataclass(frozen=True)
class Size:
    """A drawing's size in inches and its text size in points."""

    name: str
    width: float
    height: float
    font: float

    @property
    def is_narrow(self) -> bool:
        """Whether there is no room beside the axes."""
        return self.width < 6


WIDE: Final = Size("wide", 9.0, 3.4, 8.0)
NARROW: Final = Size("narrow", 4.3, 3.7, 11.0)

MOST_ROWS: Final = 60
"""The most rows of a chart's table; the run's own tables hold the rest."""

Draw = Callable[[Size], Figure]


@dataclass(frozen=True)
class Chart:
    """One picture and the finding that it shows.

    Attributes:
        key: its id in the page, letters and dashes.
        title: the finding, with its numbers.
        note: what is drawn and how to read it, also for screen readers.
        draw: makes the figure in a size; None without a picture.
        table: the numbers behind it, with units in the column names (``p99_ns``), at most
            ``MOST_ROWS`` rows.
    """

    key: str
    title: str
    note: str
    draw: Draw | None = field(default=None, repr=False)
    table: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    @property
    def is_absent(self) -> bool:
        """Whether there is nothing to show; the title says why."""
        return self.draw is None and self.table is None

    def figure(self, size: Size = WIDE) -> Figure:
        """Return the drawn figure.

        Raises:
            ValueError: there is nothing to draw; ``title`` says why.
        """
        if self.draw is None:
            raise ValueError(f"nothing to draw: {self.title}")
        with _style(size):
            return self.draw(size)

    def svg(self, size: Size = WIDE) -> str:
        """Return the picture as an SVG element for a page, the same bytes each time."""
        figure = self.figure(size)
        with _style(size):
            return _inline_svg(figure, size.name, prefix=f"{self.key}-{size.name}")

    def _repr_html_(self) -> str:
        """Return title and picture for a notebook."""
        picture = "" if self.draw is None else self.svg()
        return f"<p><strong>{html.escape(self.title)}</strong></p>{picture}"


def _style(size: Size) -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "tidegate",
            "font.family": ["DejaVu Sans"],
            "font.size": size.font,
            "text.color": INK,
            "axes.edgecolor": GRID,
            "axes.labelcolor": MUTED,
            "axes.labelsize": size.font,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "xtick.color": GRID,
            "ytick.color": GRID,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "ytick.major.size": 0,
            "ytick.minor.size": 0,
            "lines.solid_capstyle": "round",
            "legend.frameon": False,
        }
    )


def new_figure(size: Size, *, rows: int = 1, height: float | None = None) -> tuple[Figure, Any]:
    """Return a figure and its panels, stacked on a shared x axis.

    Args:
        size: width and default height.
        rows: number of panels.
        height: in inches; None for a height that fits the rows.
    """
    tall = height or size.height * (1 if rows == 1 else 0.8 * rows)
    figure = Figure(figsize=(size.width, tall), layout=PanelLayout())
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes in panels:
        axes.grid(visible=True, axis="y")
    for axes in panels[:-1]:
        axes.xaxis.set_visible(False)  # the last panel shows it
    return figure, panels


def new_pair(size: Size) -> tuple[Figure, Any]:
    """Return a figure with two panels, side by side when wide, else stacked."""
    height = size.height * (1.7 if size.is_narrow else 1)
    figure = Figure(figsize=(size.width, height), layout=PanelLayout())
    panels = figure.subplots(2, 1) if size.is_narrow else figure.subplots(1, 2)
    for axes in panels:
        axes.grid(visible=True, axis="y")
    return figure, panels


_PATH: Final = re.compile(r'\bd="([^"]*)"')
_NUMBER: Final = re.compile(r"-?\d+\.\d{2,}")


def _inline_svg(figure: Figure, name: str, *, prefix: str) -> str:
    """Return a figure as an ``<svg>`` of a class; ``prefix`` makes its ids unique in a page."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
        text, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"'?DejaVu Sans'?[^;\"]*", "var(--font, system-ui, sans-serif)", svg)
    svg = svg.replace("<svg ", f'<svg class="{name}" aria-hidden="true" ', 1)
    svg = _PATH.sub(lambda found: f'd="{_shortened(found[1])}"', svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable}, {colour})")
    return svg.strip()


def _shortened(path: str) -> str:
    """Return a path rounded to tenths of a point; most of a picture's bytes are digits."""
    path = _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", path)
    return " ".join(path.split())
