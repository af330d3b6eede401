"""The rate limiter's decisions about the abusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.results import Event, LimitOutcome
from reports import quantities
from reports.charts.axes import limit_line, name_lines, time_axis
from reports.charts.canvas import BLUE, INK, MUTED, ORANGE, PURPLE, Chart, Size, new_figure
from reports.measures.limits import decided_windows
from reports.measures.registry import measure
from reports.run_frames import Manifest, RunFrames

_LET_THROUGH: Final = (str(LimitOutcome.ACCEPTED), str(LimitOutcome.FALSE_ACCEPT))
_MARKS: Final = {
    LimitOutcome.REFUSED: ("|", MUTED, 8, "refused"),
    LimitOutcome.FALSE_ACCEPT: ("X", ORANGE, 9, "wrongly accepted"),
    LimitOutcome.FALSE_REFUSAL: ("P", ORANGE, 9, "wrongly refused"),
    LimitOutcome.UNDECIDABLE: ("D", PURPLE, 6, "undecidable"),
}
_S: Final = 1_000_000_000


def event_limit(manifest: Manifest) -> tuple[int, float] | None:
    """Return the announced limit of a connection: events and window (s); None without one."""
    events = manifest.part("limits").get("events")
    found = events.get("connection") if isinstance(events, Mapping) else None
    if not isinstance(found, Mapping) or not found.get("limit") or not found.get("windowMs"):
        return None
    return int(found["limit"]), float(found["windowMs"]) / 1_000


def accepted_in_window(
    accepted_s: npt.NDArray[np.float64], at_s: npt.NDArray[np.float64], window_s: float
) -> npt.NDArray[np.int64]:
    """Return the number of events accepted in (t − window, t] for each t.

    Args:
        accepted_s: times of accepted events, s.
        at_s: the times t, s.
        window_s: length of the window, s.
    """
    ordered = np.sort(accepted_s)
    until = np.searchsorted(ordered, at_s, side="right")
    return until - np.searchsorted(ordered, at_s - window_s, side="right")


def limiter_decisions(run: RunFrames) -> Chart:
    """Return one connection's accepted events in the rolling window, and its refusals."""
    rows = run["events"]
    rows = rows[(rows["event"] == str(Event.LIMIT)) & rows["sent_ns"].notna()]
    rows = rows[rows["outcome"] != str(LimitOutcome.NEIGHBOUR_REFUSED)]
    key = "rate-limit"
    if rows.empty:
        why = measure(run, "rate_limit.accepted").why or "no decision was recorded"
        return Chart(key, f"No rate limit: {why}", "")
    senders = decided_windows(rows)["sender"]
    busiest = str(senders.value_counts().idxmax())
    mine = rows[senders == busiest]
    announced = event_limit(run.manifest)

    def draw(size: Size) -> Figure:
        figure, (axes,) = new_figure(size)
        _draw_decisions(axes, mine, announced)
        time_axis(axes, run, end_s=_end_s(run, mine))
        axes.set_ylabel("events in the window")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        name_lines(axes)
        return figure

    others = senders.nunique() - 1
    note = f"{busiest}: events accepted in the rolling window, and each refusal."
    if others:
        more = quantities.counted(others, "more connection")
        note += f" {more} not drawn; budgets count all."
    return Chart(key, _title(run, announced), note, draw, _table(rows))


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the number of each decision, with the range of ``retryAfter``."""
    found = (
        rows.assign(wait=rows["value_ns"].astype(float))
        .groupby("outcome", as_index=False)
        .agg(events=("sent_ns", "size"), shortest=("wait", "min"), longest=("wait", "max"))
    )
    names = {"shortest": "shortest retryAfter_ns", "longest": "longest retryAfter_ns"}
    return found.rename(columns={"outcome": "decision", **names})


def _end_s(run: RunFrames, rows: pd.DataFrame) -> float:
    ends = [end for _, _, end in run.manifest.phases]
    return max([*ends, float(rows["sent_ns"].max()) / _S])


def _draw_decisions(axes: Axes, rows: pd.DataFrame, announced: tuple[int, float] | None) -> None:
    sent_s = rows["sent_ns"].astype(float).to_numpy() / _S
    accepted_s = sent_s[rows["outcome"].isin(_LET_THROUGH).to_numpy()]
    window_s = announced[1] if announced else np.inf
    leaving = accepted_s + window_s
    moments = np.unique(np.concatenate([sent_s, accepted_s, leaving[leaving <= sent_s.max()]]))
    held = accepted_in_window(accepted_s, moments, window_s)
    axes.step(
        np.concatenate([[0.0, moments[0]], moments]), np.concatenate([[0, 0], held]), where="post",
        color=BLUE, linewidth=2, label="accepted",
    )  # fmt: skip
    top = max(int(held.max()), announced[0] if announced else 0, 1)
    for outcome, (marker, colour, size, label) in _MARKS.items():
        times = sent_s[(rows["outcome"] == str(outcome)).to_numpy()]
        if len(times):
            axes.plot(
                times, np.full(len(times), top * 1.22), marker, color=colour, markersize=size,
                label=f"{label} ({len(times):,})",
            )  # fmt: skip
    if announced:
        limit_line(axes, announced[0], f"limit {announced[0]} in {announced[1]:g} s")
    axes.set_ylim(0, top * 1.35)
    axes.tick_params(axis="y", labelcolor=INK)


def _title(run: RunFrames, announced: tuple[int, float] | None) -> str:
    def found(name: str) -> int:
        return int(measure(run, f"rate_limit.{name}").value or 0)

    wrong = found("false_accepts") + found("false_refusals")
    head = f"{quantities.counted(wrong, 'wrong decision')}" if wrong else "Every decision was right"
    told = f"{head}: {found('accepted'):,} events accepted, {found('refused'):,} refused"
    if announced:
        told += f" at a limit of {announced[0]} in {announced[1]:g} s"
    undecided = measure(run, "rate_limit.accepted").why
    return f"{told}; {undecided}" if undecided else told
