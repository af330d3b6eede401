"""Where the time of a push goes: by stage, by kind of stream, and over its copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
from reports.charts.axes import span_panel
from reports.charts.canvas import BLUE, GRID, MUTED, SURFACE, Chart, Size, new_figure
from reports.charts.figures import (
    Spread,
    families_of,
    p99_limit,
    quantiles_over_time,
    seconds_table,
    spread_of,
    spreads_table,
)
from reports.charts.rows import log_axis, new_rows, tell_row
from reports.measures.latency import SOURCES
from reports.run_frames import RunFrames

STAGES: Final = (
    ("accept", "accept"),
    ("kernel", "gateway and kernel"),
    ("read", "read"),
)
"""The stages of a push, in order, with their names in the chart."""
_MEANINGS: Final = (
    "Accept: from the publisher's intended time to the sequence number. Gateway and kernel: from "
    "there to the client's kernel. Read: from there to the client's read, inside the generator. "
    "The last two are sampled. Quantiles of stages do not add up."
)


def latency_by_stage(run: RunFrames) -> Chart:
    """Return a push and its stages, on one scale."""
    stages = [found for metric, name in STAGES if (found := spread_of(run, metric, name=name))]
    key = "latency-by-stage"
    if not stages:
        why = run.absences.get("hist") or "no stage of a push was timed"
        return Chart(key, f"No stages: {why}", "")
    whole = spread_of(run, "push", name="whole push")
    if whole is None:
        whole = spread_of(run, "push_service", name="push service")
    rows = [whole, *stages] if whole else stages

    def draw(size: Size) -> Figure:
        return _draw_ranges(size, rows, "time in the steady phase")

    note = f"{_MEANINGS} {NOTE}"
    return Chart(key, _stage_title(whole, stages), note, draw, spreads_table(rows, "stage"))


def _stage_title(whole: Spread | None, stages: list[Spread]) -> str:
    slowest = max(stages, key=lambda stage: stage.values_ns.get(0.99, 0.0))
    parts = ", ".join(f"{stage.name} {stage.told(0.5)}" for stage in stages)
    head = f"at p50: {whole.name} {whole.told(0.5)}, {parts}" if whole else f"at p50: {parts}"
    if 0.99 not in slowest.values_ns:
        return f"Stages {head}"
    most = f"The slowest stage at p99 is {slowest.name}, {slowest.told(0.99)}"
    return f"{most} ({slowest.interval()}); {head}"


def latency_by_family(run: RunFrames) -> Chart:
    """Return push latency by kind of stream, on one scale."""
    key = "latency-by-stream"
    metric = "push" if families_of(run, Series.PUSH) else "push_service"
    rows = [
        found
        for family in families_of(run, SOURCES[metric][0])
        if (found := spread_of(run, metric, name=family, family=family))
    ]
    if not rows:
        why = run.absences.get("hist") or "no push names its kind of stream"
        return Chart(key, f"No kinds of stream: {why}", "")

    def draw(size: Size) -> Figure:
        return _draw_ranges(size, rows, f"{words} in the steady phase")

    words = "push" if metric == "push" else "push service"
    return Chart(key, _family_title(rows), NOTE, draw, spreads_table(rows, "stream"))


def _family_title(rows: list[Spread]) -> str:
    judged = [row for row in rows if 0.99 in row.values_ns]
    if len(judged) < 2:
        row = rows[0]
        return f"Pushes of {row.name} took {row.told(0.5)} at p50 (n = {quantities.count(row.n)})"
    slowest = max(judged, key=lambda row: row.values_ns[0.99])
    quickest = min(judged, key=lambda row: row.values_ns[0.99])
    return (
        f"The slowest streams at p99 are {slowest.name}, {slowest.told(0.99)} "
        f"({slowest.interval()}), the fastest {quickest.name}, {quickest.told(0.99)}"
    )


def fanout_skew(run: RunFrames) -> Chart:
    """Return the time from first to last copy of a publication, over time."""
    whole = spread_of(run, "fanout.skew")
    frame = quantiles_over_time(run, Series.FANOUT_SKEW, (0.5, 0.99, 1.0))
    key = "fan-out-skew"
    if whole is None:
        why = run.absences.get("hist") or "no publication had two copies in one process"
        return Chart(key, f"No fan-out: {why}", "")

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        middle = frame["t_s"] + 0.5
        axes.plot(middle, frame[1.0], ".", color=MUTED, markersize=3, label="slowest")
        axes.plot(middle, frame[0.99], color=BLUE, linewidth=2, label="p99")
        axes.plot(middle, frame[0.5], color=BLUE, linewidth=1, label="p50")
        limit = p99_limit(run, "fanout.skew")
        low, high = float(frame[0.5].min()), max(float(frame[1.0].max()), limit or 0)
        ends = max(low / 1.6, 1_000), max(high, 2_000) * 1.6
        span_panel(axes, run, "first to last copy", ends, limit)
        return figure

    title = (
        f"The last copy of a publication arrived {whole.told(0.5)} after the first at p50, "
        f"{whole.told(0.99)} at p99 ({whole.interval()}, n = {quantities.count(whole.n)})"
    )
    note = "From the first to the last read of one publication within one process."
    return Chart(key, title, note, draw, seconds_table(run, Series.FANOUT_SKEW))


NOTE = (
    "Dot: p50. Bar: up to p99, with both values beside it. Tick: slowest. All rows share one "
    "logarithmic scale."
)


def _draw_ranges(size: Size, spreads: Sequence[Spread], label: str) -> Figure:
    """Return a figure with one row per spread: p50, p99 and the slowest value."""
    names = [spread.name for spread in spreads]
    figure, axes = new_rows(size, names, around=0.75, inches=(0.36, 0.52))
    for row, spread in enumerate(spreads):
        _draw_row(axes, row, spread, stacked=size.is_narrow)
    values = [value for spread in spreads for value in spread.values_ns.values()]
    low, high = max(min(values), 1_000) / 1.8, max(*values, 2_000) * 1.8
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    subs = (1.0,) if high / low > (200 if size.is_narrow else 20_000) else (1.0, 3.0)
    log_axis(axes.xaxis, quantities.limit_span, subs, most=12)
    axes.set_xlabel(label)
    return figure


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
    if stacked:
        tell_row(axes, row, f"{spread.name}: {told}", above=6)
    else:
        tell_row(axes, row, told)
