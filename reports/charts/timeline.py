"""The run second by second: who was there, what was asked, what came, how both sides felt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
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
from reports.taint import tainted_seconds

Panel = Callable[[Axes], None]

_SUMMED: Final = ("clients", "offered", "sent", "received", "errors", "missed")
_PANEL_INCHES: Final = 1.15


def flows(run: RunFrames, most: int = MOST_POINTS) -> pd.DataFrame:
    """Return the run by second, all processes added up: ``t_s`` and what ``timeline`` counts.

    Counts are a second's; of a run of more than ``most`` seconds, the mean over each of that
    many equal spans, but for errors and missed, which are added up.
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
    """Return clients, load, deliveries, latencies, errors, the gateway and the generator."""
    rows = flows(run)
    key = "timeline"
    if rows.empty:
        return Chart(key, f"No timeline to show: {run.why_absent('timeline')}", "")
    panels = _panels(run, rows)
    tainted = tainted_seconds(run)

    def draw(size: Size) -> Figure:
        figure, all_axes = new_figure(
            size, rows=len(panels), height=0.45 + _PANEL_INCHES * len(panels)
        )
        for axes, (name, panel) in zip(all_axes, panels.items(), strict=True):
            panel(axes)
            axes.set_ylabel("")
            axes.set_title(name, loc="left", fontsize=size.font, pad=3)
            shade_seconds(axes, tainted["t_s"])
            time_axis(axes, run, named=axes is all_axes[0])
            mark_commands(axes, run, named=axes is all_axes[0])
            name_lines(axes)
        for axes in all_axes[:-1]:
            axes.set_xlabel("")
        return figure

    note = "One second a point, all processes added up; latencies on logarithmic scales."
    if len(tainted):
        note += " Striped: tainted seconds, in which machine or generator was not to be trusted."
    return Chart(key, _title(run, rows, len(tainted)), note, draw, _table(run))


def _panels(run: RunFrames, rows: pd.DataFrame) -> dict[str, Panel]:
    """Return what there is to draw, by the words above it."""
    panels: dict[str, Panel] = {
        "clients": lambda axes: _counts(axes, rows, {"clients": BLUE}, named=False),
        "offered and begun, a second": lambda axes: _counts(
            axes, rows, {"offered": ORANGE, "sent": BLUE}, dashed="offered"
        ),
        "delivered, a second": lambda axes: _counts(axes, rows, {"received": BLUE}, named=False),
    }
    for series, words, colour in (
        (Series.PUSH, "push latency", BLUE),
        (Series.ACK, "acknowledgement latency", GREEN),
    ):
        frame = quantiles_over_time(run, series, (0.5, 0.99))
        if len(frame):
            panels[words] = _latency_panel(frame, colour)
    panels["errors and missed, a second"] = lambda axes: _counts(
        axes, rows, {"errors": ORANGE, "missed": PURPLE}, dashed="missed"
    )
    shares = cpu_shares(run)
    if shares:
        panels["CPU, cores"] = _cpu_panel(shares)
    lag = quantiles_over_time(run, Series.LOOP_LAG, (0.99,))
    if len(lag):
        panels["generator's loop lag, p99"] = _lag_panel(lag)
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


def _latency_panel(frame: pd.DataFrame, colour: str) -> Panel:
    def panel(axes: Axes) -> None:
        axes.plot(frame["t_s"] + 0.5, frame[0.99], color=colour, linewidth=1.8, label="p99")
        axes.plot(frame["t_s"] + 0.5, frame[0.5], color=colour, linewidth=1, label="p50")
        axes.set_ylim(float(frame[0.5].min()) / 1.5, float(frame[0.99].max()) * 1.5)
        span_axis(axes, "", sparse=True)

    return panel


def _cpu_panel(shares: dict[str, pd.DataFrame]) -> Panel:
    def panel(axes: Axes) -> None:
        ours = [name for name in shares if name != "gateway"]
        for name in ours:
            label = "generator" if name == ours[0] else f"_{name}"
            frame = shares[name]
            axes.plot(
                frame["t_s"] + 0.5, frame["cores"], color=GREEN, linestyle="--", linewidth=1.3,
                label=label,
            )  # fmt: skip
        if "gateway" in shares:
            frame = shares["gateway"]
            axes.plot(
                frame["t_s"] + 0.5, frame["cores"], color=BLUE, linewidth=1.8, label="gateway"
            )
        count_axis(axes, "")

    return panel


def _lag_panel(lag: pd.DataFrame) -> Panel:
    def panel(axes: Axes) -> None:
        axes.plot(lag["t_s"] + 0.5, lag[0.99], color=GREEN, linewidth=1.6, label="_p99")
        low, high = float(lag[0.99].min()), float(lag[0.99].max())
        axes.set_ylim(max(low, 1_000) / 2, max(high, 10_000) * 2)
        span_axis(axes, "", sparse=True)

    return panel


def _title(run: RunFrames, rows: pd.DataFrame, tainted: int) -> str:
    steady = run["timeline"]
    steady = steady[steady["phase"] == "steady"]
    clients = int(rows["clients"].max())
    told = f"{quantities.counted(clients, 'client')} at most"
    seconds = steady["t_s"].nunique()
    if seconds:
        offered, received = (
            float(steady[name].sum()) / seconds for name in ("offered", "received")
        )
        told += f"; in the steady phase {offered:,.0f} a second offered, {received:,.0f} delivered"
    errors, missed = (int(run["timeline"][name].sum()) for name in ("errors", "missed"))
    told += f"; {quantities.counted(errors, 'error')}, {missed:,} missed"
    if tainted:
        told += f", {quantities.counted(tainted, 'second')} tainted"
    return told


def _table(run: RunFrames) -> pd.DataFrame:
    """Return the timeline in few rows, with the push p99 of the same spans."""
    table = flows(run, MOST_ROWS)
    push = quantiles_over_time(run, Series.PUSH, (0.99,), most=MOST_ROWS)
    named = push.rename(columns={0.99: "push p99_ns"})[["t_s", "push p99_ns"]]
    table["t_s"] = table["t_s"].astype(float)
    return table.merge(named, on="t_s", how="left")
