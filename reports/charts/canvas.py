"""What all charts share: sizes, a palette that a page can turn, axes, and SVG to inline.

Colours are drawn as fixed values and written as CSS variables with those values behind
them, so that one picture serves light and dark. The series colours are Okabe and Ito's
(2008), told apart with every common colour blindness; no meaning rests on colour alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from loadtests.results import Phase
from reports import quantities
from reports.frames import RunFrames

INK: Final = "#1c2127"
MUTED: Final = "#59636e"
GRID: Final = "#dde2e8"
BAND: Final = "#f1f3f6"
SURFACE: Final = "#fefefe"
BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GREEN: Final = "#00795a"
PURPLE: Final = "#a0427e"
VARIABLES: Final[Mapping[str, str]] = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BAND: "band",
    SURFACE: "surface",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
}
"""Each colour drawn, and the CSS variable that a page may set in its place."""


@dataclass(frozen=True)
class Size:
    """A drawing's size in inches and its text's in points."""

    name: str
    width: float
    height: float
    font: float


WIDE: Final = Size("wide", 9.0, 3.4, 8.0)
NARROW: Final = Size("narrow", 4.3, 3.5, 9.5)

Draw = Callable[[Size], Figure]


@dataclass(frozen=True)
class Chart:
    """One picture and the sentence that it proves.

    Attributes:
        key: names it in the page, letters and dashes.
        title: the answer, with its figures.
        note: what is drawn and how to read it, for eyes and for screen readers.
        draw: makes the figure in a size; None when there is nothing to draw.
    """

    key: str
    title: str
    note: str
    draw: Draw | None = field(default=None, repr=False)

    def figure(self, size: Size = WIDE) -> Figure:
        """Draw it.

        Raises:
            ValueError: there is nothing to draw; ``title`` says why.
        """
        if self.draw is None:
            raise ValueError(f"nothing to draw: {self.title}")
        with _style(size):
            return self.draw(size)

    def svg(self, size: Size = WIDE) -> str:
        """Return the picture as an SVG element to stand inside a page, the same each time."""
        return inline_svg(self.figure(size), size=size, prefix=f"{self.key}-{size.name}")

    def _repr_html_(self) -> str:
        """Show title and picture in a notebook."""
        picture = "" if self.draw is None else self.svg()
        return f"<p><strong>{self.title}</strong></p>{picture}"


def _style(size: Size) -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "tidegate",
            "font.family": ["sans-serif"],
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
    """Return a figure and its panels, one above the other on a shared x axis."""
    tall = height or size.height * (1 if rows == 1 else 0.8 * rows)
    figure = Figure(figsize=(size.width, tall), layout="constrained")
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes in panels:
        axes.grid(visible=True, axis="y")
    return figure, panels


def span_axis(axes: Axes, label: str, *, logarithmic: bool = True) -> None:
    """Make y an axis of spans in ns whose ticks carry their own units."""
    if logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        subs = (1.0, 2.0, 5.0) if high / low < 2_000 else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=14))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: quantities.limit_span(value)))
    axes.set_ylabel(label)


def time_axis(axes: Axes, run: RunFrames, *, end_s: float | None = None) -> None:
    """Make x the seconds of the run and shade every phase but the steady one."""
    axes.set_xlabel("seconds since the run began")
    phases = run.manifest.phases
    last = end_s if end_s is not None else max((end for _, _, end in phases), default=None)
    if last:
        axes.set_xlim(0, last)
    for phase, start, end in phases:
        if phase is Phase.STEADY:
            continue
        axes.axvspan(start, end, color=BAND, linewidth=0, zorder=0)
        if last and end - start >= 0.1 * last:
            _label_phase(axes, phase, (start + end) / 2)


def _label_phase(axes: Axes, phase: Phase, middle: float) -> None:
    axes.annotate(
        str(phase),
        (middle, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=MUTED,
    )


def limit_line(axes: Axes, limit: float, words: str) -> None:
    """Draw a limit across the axes, with its name on it."""
    axes.axhline(limit, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)), zorder=2.5)
    axes.annotate(
        words,
        (1.0, limit),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=ORANGE,
        bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 0.8},
    )


def key_above(axes: Axes, columns: int) -> None:
    """Put the key above the axes, where it hides nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.6,
        labelcolor=INK,
    )


def inline_svg(figure: Figure, *, size: Size, prefix: str) -> str:
    """Return a figure as an ``<svg>`` to stand in a page: no date, ids of its own, no size."""
    text = io.StringIO()
    with _style(size):
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
            text, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"'?DejaVu Sans'?[^;\"]*", "var(--font, system-ui, sans-serif)", svg)
    svg = svg.replace("<svg ", f'<svg class="{size.name}" aria-hidden="true" ', 1)
    return _with_variables(svg)


def _with_variables(svg: str) -> str:
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.strip()
