"""Axes and marks that the charts share: times, seconds of the run, limits, line labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtests.results import Phase
from reports import quantities
from reports.charts.canvas import BAND, INK, MUTED, ORANGE, PURPLE, SURFACE
from reports.charts.rows import log_axis
from reports.measures.orders import orders
from reports.run_frames import RunFrames

_POINTS: Final = 72  # of an inch
_LINE_HEIGHT: Final = 1.2


def span_axis(axes: Axes, label: str, *, sparse: bool = False) -> None:
    """Make y a logarithmic axis of times in ns, with units on the ticks.

    Args:
        axes: with its limits set.
        label: of the axis.
        sparse: fewer ticks, for a panel about an inch high.
    """
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low > (60 if sparse else 2_000):
        subs: tuple[float, ...] = (1.0,)
        most = 5 if sparse else 14
    else:
        subs, most = (1.0, 3.0) if sparse and high / low > 8 else (1.0, 2.0, 5.0), 14
    log_axis(axes.yaxis, quantities.limit_span, subs, most=most)
    axes.set_ylabel(label)


def time_axis(
    axes: Axes, run: RunFrames, *, end_s: float | None = None, named: bool = True
) -> None:
    """Make x the seconds of the run and shade every phase except the steady one.

    Args:
        axes: to change.
        run: the run.
        end_s: right end in seconds; None for the end of the last phase.
        named: write the phases' names.
    """
    axes.set_xlabel("seconds since the start of the run")
    phases = run.manifest.phases
    last = end_s if end_s is not None else max((end for _, _, end in phases), default=None)
    if last:
        axes.set_xlim(0, last)
    for phase, start, end in phases:
        if phase is Phase.STEADY:
            continue
        axes.axvspan(start, end, color=BAND, linewidth=0, zorder=0)
        if named and last and end - start >= 0.1 * last:
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


def limit_line(axes: Axes, limit: float, label: str) -> None:
    """Draw a labelled limit across the axes.

    Args:
        axes: to draw in.
        limit: in data units.
        label: written at the right end.
    """
    axes.axhline(limit, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)), zorder=2.5)
    axes.annotate(
        label,
        (1.0, limit),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=ORANGE,
        bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 0.8},
    )


def span_panel(
    axes: Axes, run: RunFrames, label: str, ends: tuple[float, float], limit_ns: float | None
) -> None:
    """Complete a panel of times over the run: limit, axes, and the names of its lines.

    Args:
        axes: with its lines.
        run: the run.
        label: of the y axis.
        ends: of the y axis, ns.
        limit_ns: on the p99; None without one.
    """
    if limit_ns is not None:
        limit_line(axes, limit_ns, f"limit on p99: {quantities.limit_span(limit_ns)}")
    axes.set_ylim(*ends)
    span_axis(axes, label)
    time_axis(axes, run)
    name_lines(axes)


def key_above(axes: Axes, columns: int) -> None:
    """Put the legend above the axes, where it covers no data."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.6,
        labelcolor=INK,
    )


def shade_seconds(axes: Axes, seconds: Iterable[float]) -> None:
    """Hatch seconds of the run; those that follow each other become one area."""
    ordered = np.sort(np.fromiter(seconds, dtype=float))
    for run in np.split(ordered, np.flatnonzero(np.diff(ordered) != 1) + 1) if len(ordered) else ():
        axes.axvspan(
            run[0], run[-1] + 1, facecolor="none", edgecolor=PURPLE, hatch="////", linewidth=0,
            alpha=0.5, zorder=0.5,
        )  # fmt: skip


def count_axis(axes: Axes, label: str, *, whole: bool = False) -> None:
    """Make y an axis of numbers from zero, with separated thousands.

    Args:
        axes: to change.
        label: of the axis.
        whole: whole numbers only.
    """
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
    axes.set_ylabel(label)


def name_lines(axes: Axes, *, at_edge: bool = True) -> None:
    """Write each line's label in its colour at its end, without overlap.

    Call it last, because it reads the limits. A label that starts with ``_`` is not written.

    Args:
        axes: with its lines.
        at_edge: write at the right edge of the axes, not at each line's last point.
    """
    ends = [end for line in axes.lines if (end := _end_of(axes, line)) is not None]
    figure = axes.figure
    font = float(axes.yaxis.label.get_fontsize())
    tall = axes.get_position().height * figure.get_figheight() * _POINTS  # type: ignore[union-attr]  # a sub-figure has it too
    places = spread([y for _, _, y in ends], gap=font * _LINE_HEIGHT / tall)
    for (line, x, _), y in zip(ends, places, strict=True):
        axes.annotate(
            str(line.get_label()), (1.0 if at_edge else x, y), xycoords="axes fraction",
            xytext=(5, 0), textcoords="offset points", ha="left", va="center",
            color=line.get_color(), annotation_clip=False,
            bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
        )  # fmt: skip


def _end_of(axes: Axes, line: Line2D) -> tuple[Line2D, float, float] | None:
    """Return a labelled line and its last point in axes coordinates; None without a label."""
    if str(line.get_label()).startswith("_"):
        return None
    points = np.column_stack(
        [np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)]
    )
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None
    seen = axes.transAxes.inverted().transform(axes.transData.transform(points[-1:]))[0]
    return line, float(seen[0]), float(np.clip(seen[1], 0, 1))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return places at least ``gap`` apart, in the same order and as near as they can be.

    Less their ranks times the gap, they are the isotonic regression of the given places, by its
    max-min formula (Robertson, Wright and Dykstra 1988, §1.4).
    """
    order = np.argsort(places, kind="stable")
    ranks = np.arange(len(places))
    given = np.asarray(places, dtype=float)[order] - ranks * gap
    found = np.empty(len(places))
    for rank in ranks:
        found[order[rank]] = rank * gap + max(
            min(given[first:last].mean() for last in ranks[rank:] + 1)
            for first in ranks[: rank + 1]
        )
    return [float(place) for place in found]


def _count(value: float) -> str:
    """Return a tick's number without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


_GAP: Final = 1.02
"""Space that a command's name takes, over its width."""
_CHARACTER: Final = 0.58
"""Average width of a character over the font size."""


def mark_commands(axes: Axes, run: RunFrames, *, named: bool) -> None:
    """Draw a line at each command.

    Args:
        axes: with its limits set.
        run: the run.
        named: write the commands above the axes, except where names would overlap.
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
    """Return the approximate width of a character as a share of the axes' width."""
    points = axes.get_position().width * axes.figure.get_figwidth() * 72  # type: ignore[union-attr]  # a sub-figure has it too
    return _CHARACTER * float(axes.xaxis.label.get_fontsize()) / points
