"""Heartbeats: their difference from the announced interval, and how dead peers are detected."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import DeadPeerOutcome, Event, Phase, Series
from reports import intervals, quantities
from reports.charts.axes import span_panel
from reports.charts.canvas import BLUE, MUTED, ORANGE, Chart, Size, new_figure
from reports.charts.figures import crosstab, p99_limit, quantiles_over_time, seconds_table
from reports.charts.rows import new_rows, tell_row
from reports.measures.histograms import histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_NS_PER_S: Final = 1e9
_MARKS: Final[dict[str, tuple[str, str, str]]] = {
    DeadPeerOutcome.IN_BAND: ("o", BLUE, "in its band"),
    DeadPeerOutcome.EARLY: ("<", ORANGE, "early"),
    DeadPeerOutcome.LATE: (">", ORANGE, "late"),
    DeadPeerOutcome.UNNOTICED: ("X", ORANGE, "never detected"),
}
_MEANINGS: Final = (
    "Mute: neither reads nor writes. No pong: reads and sends, but answers no ping. Stalled: "
    "reads nothing but keeps writing pongs."
)
_MOST_POINTS: Final = 150


def heartbeat_error(run: RunFrames) -> Chart:
    """Return the difference of heartbeat gaps from the announced interval, over time."""
    frame = quantiles_over_time(run, Series.HEARTBEAT_ERROR, (0.5, 1.0))
    missed = measure(run, "heartbeat.missed")
    key = "heartbeat"
    if frame.empty:
        title = f"No heartbeats: {missed.why or 'none was timed'}"
        if missed.value:
            title = f"{quantities.counted(int(missed.value), 'heartbeat')} never arrived"
        return Chart(key, title, "")

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        middle = frame["t_s"] + 0.5
        axes.vlines(middle, frame[0.5], frame[1.0], color=BLUE, linewidth=1.2)
        axes.plot(middle, frame[0.5], "o", color=BLUE, markersize=4, label="p50")
        axes.plot(middle, frame[1.0], "_", color=BLUE, markersize=9, label="worst")
        limit = p99_limit(run, "heartbeat.error")
        low, high = float(frame[0.5].min()), max(float(frame[1.0].max()), limit or 0)
        ends = max(low / 2, 1_000), high * 2
        span_panel(axes, run, "difference from the interval", ends, limit)
        return figure

    interval_ms = run.manifest.facts.get("heartbeat_interval_ms")
    announced = quantities.limit_span(interval_ms * 1e6) if interval_ms else "unknown"
    note = (
        f"Absolute difference of heartbeat gaps from the announced interval ({announced}) in each "
        "second: p50 and worst client, on a logarithmic scale."
    )
    table = seconds_table(run, Series.HEARTBEAT_ERROR)
    return Chart(key, _heartbeat_title(run, missed.value, missed.n), note, draw, table)


def _heartbeat_title(run: RunFrames, missed: float | None, n: int | None) -> str:
    errors = histogram_of(run, Series.HEARTBEAT_ERROR, tuple(Phase))
    p99 = quantities.span(intervals.quantile_of(errors, 0.99))
    if missed is None:
        came = f"{errors.n:,} heartbeats were timed and missed ones not recorded"
    elif missed:
        came = f"{missed:,.0f} of {n:,} heartbeats never arrived"
    else:
        came = f"All {n:,} heartbeats arrived"
    return f"{came}, 99 % within {p99} of their due time"


def dead_peer_times(run: RunFrames) -> Chart:
    """Return the time that each dead peer stayed connected, by kind, beside its band."""
    rows = run["events"]
    rows = rows[rows["event"] == str(Event.DEAD_PEER)]
    key = "dead-peers"
    if rows.empty:
        why = run.absences.get("events") or "no dead peer was recorded"
        return Chart(key, f"No dead peers: {why}", "")
    bands = _bands(run)

    def draw(size: Size) -> Figure:
        kinds = list(dict.fromkeys(rows["detail"].astype(str)))
        figure, axes = new_rows(size, kinds, around=1.1, inches=(0.5, 0.7), ends=(0.7, 0.5))
        for row, kind in enumerate(kinds):
            _draw_kind(axes, row, rows[rows["detail"] == kind], bands.get(kind, []))
            if size.is_narrow:
                tell_row(axes, row - 0.34, kind, above=2)
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds until the gateway disconnected the peer")
        return figure

    note = f"{_MEANINGS} Circle: in its band. Triangle: early or late. Cross: never detected."
    if bands:
        note += " Shaded: all predicted bands; each peer is judged by its own."
    return Chart(key, _dead_peers_title(rows), note, draw, _dead_peers_table(rows))


def _bands(run: RunFrames) -> dict[str, list[tuple[float, float]]]:
    """Return the predicted bands of each kind, in seconds since the peer died."""
    rows = run["events"]
    rows = rows[(rows["event"] == str(Event.DEAD_PEER_BAND)) & rows["sent_ns"].notna()]
    first = rows["value_ns"].astype(float) / _NS_PER_S
    last = (rows["t_ns"] - rows["sent_ns"]).astype(float) / _NS_PER_S
    bands: dict[str, list[tuple[float, float]]] = {}
    for kind, begin, end in zip(rows["detail"], first, last, strict=True):
        bands.setdefault(str(kind), []).append((begin, end))
    return bands


def _draw_kind(axes: Axes, row: int, rows: pd.DataFrame, bands: list[tuple[float, float]]) -> None:
    if bands:
        begin, end = min(first for first, _ in bands), max(last for _, last in bands)
        axes.barh(
            [row], [end - begin], left=begin, height=0.56, color=MUTED, alpha=0.2, linewidth=0,
            label=f"_band {row}",
        )  # fmt: skip
    for outcome, (marker, colour, label) in _MARKS.items():
        chosen = rows[(rows["outcome"] == str(outcome)) & rows["value_ns"].notna()]
        spans = chosen["value_ns"].astype(float).to_numpy() / _NS_PER_S
        spans = np.sort(spans)[:: -(-max(len(spans), 1) // _MOST_POINTS)]
        if len(spans):
            offsets = (np.arange(len(spans)) % 7 - 3) * 0.06
            axes.plot(
                spans, row + offsets, marker, color=colour, markersize=4.5, alpha=0.8,
                label=f"_{label} {row}",
            )  # fmt: skip


def _dead_peers_title(rows: pd.DataFrame) -> str:
    outcomes = rows["outcome"].astype(str)
    right = int((outcomes == str(DeadPeerOutcome.IN_BAND)).sum())
    whole = quantities.counted(len(rows), "dead peer")
    told = f"{f'All {whole}' if right == len(rows) else f'{right:,} of {whole}'} detected in time"
    wrong = [
        f"{count:,} {words}"
        for outcome, (_, _, words) in _MARKS.items()
        if outcome is not DeadPeerOutcome.IN_BAND
        and (count := int((outcomes == str(outcome)).sum()))
    ]
    spans = rows["value_ns"].dropna()
    if len(spans):
        told += f", the slowest after {quantities.span(float(spans.max()))}"
    return f"{told}; {', '.join(wrong)}" if wrong else told


def _dead_peers_table(rows: pd.DataFrame) -> pd.DataFrame:
    counts = crosstab(rows["detail"], rows["outcome"], "kind", [str(o) for o in DeadPeerOutcome])
    spans = rows.assign(
        kind=rows["detail"].astype(str), span=rows["value_ns"].astype(float)
    ).groupby("kind")
    found = spans["span"].agg(["min", "median", "max"])
    found.columns = pd.Index(["shortest_ns", "median_ns", "longest_ns"])
    return counts.merge(found.reset_index(), on="kind", how="left")
