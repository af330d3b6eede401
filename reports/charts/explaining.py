"""A broken time explained: places of the excess, the flame graph, and the functions that grew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from reports import quantities
from reports.charts.canvas import (
    BAND,
    BLUE,
    INK,
    ORANGE,
    SURFACE,
    Chart,
    Size,
    new_figure,
)
from reports.charts.rows import new_rows, tell_row
from reports.explanation import BreachExplanation, Profiles
from reports.places import MEANINGS
from reports.stack_counts import Growth, StackCounts, grown

_MOST_GROWN: Final = 12
_DEEPEST: Final = 22
_NARROWEST: Final = 0.004
"""The narrowest box of a flame graph, as a share of the samples."""
_SHRUNK_BY: Final = 0.01


def places_of_excess(explanation: BreachExplanation | None) -> Chart:
    """Return where the excess of a broken time went, as shares."""
    key = "places-of-excess"
    if explanation is None:
        return Chart(key, "No breach to explain: no push time is broken", "")
    shares = explanation.shares

    def draw(size: Size) -> Figure:
        names = [str(place) for place, _ in shares]
        figure, axes = new_rows(size, names, around=0.6, inches=(0.3, 0.5), ends=(0.9, 0.5))
        values = [share for _, share in shares]
        height = 0.34 if size.is_narrow else 0.6
        axes.barh(np.arange(len(values)), values, height=height, color=BLUE)
        for row, (name, share) in enumerate(zip(names, values, strict=True)):
            told = f"{share * 100:.0f} %, {quantities.span(share * explanation.excess_ns)}"
            if size.is_narrow:
                tell_row(axes, row - 0.2, f"{name}: {told}", above=3)
            else:
                tell_row(axes, row, told)
        axes.set_xlim(0, max(values) * 1.02)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
        axes.set_xlabel("share of the excess")
        return figure

    table = pd.DataFrame(
        {
            "place": [str(place) for place, _ in shares],
            "share_percent": [share * 100 for _, share in shares],
            "of_the_excess_ns": [share * explanation.excess_ns for _, share in shares],
            "what": [MEANINGS[place] for place, _ in shares],
        }
    )
    first, share = shares[0]
    title = (
        f"{share * 100:.0f} % of what {explanation.metric} is over its "
        f"{'base' if explanation.base_run else 'budget'} went to {first}: "
        f"{quantities.span(share * explanation.excess_ns)} of "
        f"{quantities.span(explanation.excess_ns)}"
    )
    note = (
        f"Budget: {explanation.budget}. The excess is divided by the stages of a push, the "
        "gateway's pauses and its waits for a core, as docs/budgets.md explains."
    )
    return Chart(key, title, note, draw, table)


def functions_that_grew(profiles: Profiles) -> Chart:
    """Return the functions whose share of the samples grew, with their counts."""
    key = "what-changed"
    if profiles.head is None:
        return Chart(key, "No profile: the gateway was not profiled", "")
    if profiles.base is None:
        return Chart(key, "Nothing to compare the profile with: the base has none", "")
    found = profiles.grown()[:_MOST_GROWN]
    if not found:
        return Chart(key, "No function grew beyond what sampling explains", "")
    table = pd.DataFrame(
        {
            "function": [one.function for one in found],
            "base_samples": [one.base for one in found],
            "head_samples": [one.head for one in found],
            "base_percent": [100 * one.base / one.base_total for one in found],
            "head_percent": [100 * one.head / one.head_total for one in found],
        }
    )
    most = found[0]
    title = f"What changed: {_told(most)}"
    note = (
        f"Samples in which a function ran or had called another: {most.base_total:,} in the base's "
        f"profile, {most.head_total:,} in the head's. Listed are functions whose 95 % intervals "
        "of the two shares do not meet."
    )
    return Chart(key, title, note, None, table)


def _told(growth: Growth) -> str:
    return (
        f"{growth.function} has {growth.head:,} of {growth.head_total:,} samples, "
        f"in the base {growth.base:,} of {growth.base_total:,}"
    )


@dataclass
class _Box:
    """A function below its callers: its samples here and in the base."""

    name: str = "all"
    head: int = 0
    base: int = 0
    inner: dict[str, _Box] = field(default_factory=dict)

    def add(self, stack: Sequence[str], head: int, base: int) -> None:
        """Count the samples of one stack."""
        box = self
        for name in ("", *stack):
            if name:
                box = box.inner.setdefault(name, _Box(name))
            box.head += head
            box.base += base


def flame_graph(profiles: Profiles) -> Chart:
    """Return the head's profile as a flame graph, coloured by what grew since the base."""
    key = "flame-graph"
    head, base = profiles.head, profiles.base
    if head is None:
        return Chart(key, "No flame graph: the gateway was not profiled", "")
    root = _Box()
    for stack, count in head.stacks.items():
        root.add(stack, count, 0)
    for stack, count in (base or StackCounts({})).stacks.items():
        root.add(stack, 0, count)
    names = {one.function for one in grown(base, head)} if base is not None else set()

    def draw(size: Size) -> Figure:
        boxes = list(_laid_out(root, 0.0, 0))
        deepest = max(depth for _, _, depth in boxes)
        figure, (axes,) = new_figure(size, height=0.5 + 0.19 * (deepest + 1))
        axes.set_xlim(0, 1)
        axes.set_ylim(deepest + 1, 0)
        axes.grid(visible=False)
        axes.set_yticks([])
        for box, left, depth in boxes:
            _draw_box(axes, size, root, box, (left, depth), names)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
        axes.set_xlabel(f"share of the {root.head:,} samples")
        return figure

    title = f"The gateway's profile: {root.head:,} samples"
    note = "Each box is a function below its callers; its width is its share of the samples."
    if base is not None:
        title += f", compared with {root.base:,} of the base"
        note += " Orange: its share grew beyond what sampling explains. Blue: its share shrank."
    return Chart(key, title, note, draw, _functions_table(head, base))


def _laid_out(box: _Box, left: float, depth: int) -> Iterator[tuple[_Box, float, int]]:
    """Yield each box that is wide enough, with its left end and its depth."""
    yield from _inside(box, left, depth, box.head)


def _inside(box: _Box, left: float, depth: int, total: int) -> Iterator[tuple[_Box, float, int]]:
    yield box, left, depth
    if depth >= _DEEPEST:
        return
    for inner in sorted(box.inner.values(), key=lambda one: one.name):
        if inner.head / total >= _NARROWEST:
            yield from _inside(inner, left, depth + 1, total)
        left += inner.head / total


def _draw_box(
    axes: Axes,
    size: Size,
    root: _Box,
    box: _Box,
    corner: tuple[float, int],
    names: set[str],
) -> None:
    width = box.head / root.head
    change = width - box.base / root.base if root.base else 0.0
    colour, ink = BAND, INK
    if box.name in names and change > 0:
        colour, ink = ORANGE, SURFACE
    elif change < -_SHRUNK_BY:
        colour, ink = BLUE, SURFACE
    axes.add_patch(
        Rectangle(corner, width, 0.94, facecolor=colour, edgecolor=SURFACE, linewidth=0.5)
    )
    room = int(width * size.width * 72 / (size.font * 0.56)) - 1
    if room >= 4:
        name = box.name.partition(" (")[0] if len(box.name) > room else box.name
        words = name if len(name) <= room else f"{name[: room - 1]}…"
        axes.text(
            corner[0] + 0.002, corner[1] + 0.5, words, va="center", ha="left", color=ink,
            fontsize=size.font * 0.85, clip_on=True,
        )  # fmt: skip


def _functions_table(head: StackCounts, base: StackCounts | None) -> pd.DataFrame:
    most = head.by_function().most_common(_MOST_GROWN * 2)
    table = pd.DataFrame(
        {
            "function": [name for name, _ in most],
            "samples": [count for _, count in most],
            "percent": [100 * count / head.total for _, count in most],
        }
    )
    if base is not None:
        before = base.by_function()
        table["base_samples"] = [before[name] for name, _ in most]
    return table
