"""The run over time: clients, load, deliveries, latency, errors, CPU and loop lag."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
from reports.believability import dirty_seconds
from reports.charts.axes import (
    count_axis,
    mark_commands,
    name_lines,
    shade_seconds,
    span_axis,
    time_axis,
)
from reports.charts.canvas import (
    BLUE,
    GREEN,
    MOST_ROWS,
    ORANGE,
    PURPLE,
    Chart,
    Size,
    new_figure,
)
from reports.charts.figures import MOST_POINTS, quantiles_over_time
from reports.charts.generator import cpu_shares
from reports.run_frames import RunFrames

Panel = Callable[[Axes], None]

_SUMMED: Final = ("clients", "offered", "sent", "received", "errors", "missed")
_PANEL_INCHES: Final = 1.15


def flows(run: RunFrames, most: int = MOST_POINTS) -> pd.DataFrame:
    """Return the ``timeline`` counts of each second, summed over processes.

    A run of more than ``most`` seconds gives that many equal spans: the mean of each column, and
    the sum of errors and missed.
    """
    rows = run["timeline"].groupby("t_s", as_index=False)[list(_SUMMED)].sum()
    width = -(-max(len(rows), 1) // most)
    if width == 1:
        return rows
    spans = rows.groupby(np.arange(len(rows)) // width)
    found = spans.mean()
    found["t_s"] = spans["t_s"].first()
    found[["errors", "missed"]] = spans[["errors", "missed"]].sum()
    return found


def run_timeline(run: RunFrames) -> Chart:
    """Return clients, load, deliveries, latency, errors, CPU and loop lag over time."""
    rows = flows(run)
    key = "timeline"
    if rows.empty:
        return Chart(key, f"No timeline: {run.why_absent('timeline')}", "")
    panels = _panels(run, rows)
    dirty = dirty_seconds(run)

    def draw(size: Size) -> Figure:
        figure, all_axes = new_figure(
            size, rows=len(panels), height=0.45 + _PANEL_INCHES * len(panels)
        )
        for axes, (name, panel) in zip(all_axes, panels.items(), strict=True):
            panel(axes)
            axes.set_ylabel("")
            axes.set_title(name, loc="left", fontsize=size.font, y=1.0, pad=3)
            shade_seconds(axes, dirty)
            time_axis(axes, run, named=axes is all_axes[0])
            mark_commands(axes, run, named=axes is all_axes[0])
            name_lines(axes)
        for axes in all_axes[:-1]:
            axes.set_xlabel("")
        return figure

    note = "One point per second, all processes summed. Latencies have logarithmic scales."
    if len(dirty):
        note += " Hatched: dirty seconds, which the host or the generator disturbed."
    return Chart(key, _title(run, rows, len(dirty)), note, draw, _table(run))


def _panels(run: RunFrames, rows: pd.DataFrame) -> dict[str, Panel]:
    """Return the panels, by the title above each."""
    counts = partial(_counts, rows=rows)
    panels: dict[str, Panel] = {
        "clients": partial(counts, colours={"clients": BLUE}, named=False),
        "offered and sent per second": partial(
            counts, colours={"offered": ORANGE, "sent": BLUE}, dashed="offered"
        ),
        "delivered per second": partial(counts, colours={"received": BLUE}, named=False),
    }
    for series, words, colour in (
        (Series.PUSH, "push latency", BLUE),
        (Series.ACK, "acknowledgement latency", GREEN),
    ):
        frame = quantiles_over_time(run, series, (0.5, 0.99))
        if len(frame):
            panels[words] = partial(_latency, frame=frame, colour=colour)
    panels["errors and missed per second"] = partial(
        counts, colours={"errors": ORANGE, "missed": PURPLE}, dashed="missed"
    )
    shares = cpu_shares(run)
    if shares:
        panels["CPU, cores"] = partial(_cpu, shares=shares)
    lag = quantiles_over_time(run, Series.LOOP_LAG, (0.99,))
    if len(lag):
        panels["generator loop lag, p99"] = partial(_lag, lag=lag)
    return panels


def _counts(
    axes: Axes,
    rows: pd.DataFrame,
    colours: dict[str, str],
    *,
    dashed: str | None = None,
    named: bool = True,
) -> None:
    for name, colour in colours.items():
        axes.plot(
            rows["t_s"] + 0.5, rows[name].astype(float), color=colour, linewidth=1.6,
            linestyle="--" if name == dashed else "-", label=name if named else f"_{name}",
            zorder=3 if name == dashed else 2,
        )  # fmt: skip
    count_axis(axes, "", whole=True)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.0))


def _latency(axes: Axes, frame: pd.DataFrame, colour: str) -> None:
    axes.plot(frame["t_s"] + 0.5, frame[0.99], color=colour, linewidth=1.8, label="p99")
    axes.plot(frame["t_s"] + 0.5, frame[0.5], color=colour, linewidth=1, label="p50")
    axes.set_ylim(float(frame[0.5].min()) / 1.5, float(frame[0.99].max()) * 1.5)
    span_axis(axes, "", sparse=True)


def _cpu(axes: Axes, shares: dict[str, pd.DataFrame]) -> None:
    ours = [name for name in shares if name != "gateway"]
    for name in ours:
        axes.plot(
            shares[name]["t_s"] + 0.5, shares[name]["cores"], color=GREEN, linestyle="--",
            linewidth=1.3, label="generator" if name == ours[0] else f"_{name}",
        )  # fmt: skip
    if "gateway" in shares:
        frame = shares["gateway"]
        axes.plot(frame["t_s"] + 0.5, frame["cores"], color=BLUE, linewidth=1.8, label="gateway")
    count_axis(axes, "")


def _lag(axes: Axes, lag: pd.DataFrame) -> None:
    axes.plot(lag["t_s"] + 0.5, lag[0.99], color=GREEN, linewidth=1.6, label="_p99")
    low, high = float(lag[0.99].min()), float(lag[0.99].max())
    axes.set_ylim(max(low, 1_000) / 2, max(high, 10_000) * 2)
    span_axis(axes, "", sparse=True)


def _title(run: RunFrames, rows: pd.DataFrame, dirty: int) -> str:
    steady = run["timeline"]
    steady = steady[steady["phase"] == "steady"]
    clients = int(rows["clients"].max())
    told = f"Up to {quantities.counted(clients, 'client')}"
    seconds = steady["t_s"].nunique()
    if seconds:
        offered, received = (
            float(steady[name].sum()) / seconds for name in ("offered", "received")
        )
        told += (
            f", {offered:,.0f} offered and {received:,.0f} delivered per second in the steady phase"
        )
    errors, missed = (int(run["timeline"][name].sum()) for name in ("errors", "missed"))
    told += f"; {quantities.counted(errors, 'error')}, {missed:,} missed"
    if dirty:
        told += f", {quantities.counted(dirty, 'second')} dirty"
    return told


def _table(run: RunFrames) -> pd.DataFrame:
    """Return the timeline and the push p99 in at most ``MOST_ROWS`` rows."""
    table = flows(run, MOST_ROWS)
    push = quantiles_over_time(run, Series.PUSH, (0.99,), most=MOST_ROWS)
    named = push.rename(columns={0.99: "push p99_ns"})[["t_s", "push p99_ns"]]
    table["t_s"] = table["t_s"].astype(float)
    return table.merge(named, on="t_s", how="left")
