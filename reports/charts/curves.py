"""Reconnect storm and drain: the share of clients that reached a state, over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from loadtests.results import Event, Series
from reports import quantities
from reports.charts.canvas import BLUE, GREEN, MUTED, SURFACE, Chart, Size, new_figure
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames

_MARKS: Final = (0.5, 0.95, 0.99, 1.0)
_NS_PER_S: Final = 1e9
_MOST_STEPS: Final = 400
_ROOM: Final = 0.15


@dataclass(frozen=True, kw_only=True)
class ArrivalCurve:
    """The share of a group that reached a state, over time.

    Attributes:
        name: of the state, in one word.
        spans_ns: when each share was reached, in order.
        shares: of the whole group, in order, at most 1.
        n: number of members that reached the state.
        whole: size of the group.
    """

    name: str
    spans_ns: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    n: int
    whole: int

    def reached(self, share: float) -> float | None:
        """Return the time (ns) at which a share was reached; None when it never was."""
        place = int(np.searchsorted(self.shares, share - 1e-9))
        return float(self.spans_ns[place]) if place < len(self.spans_ns) else None


def storm_recovery(run: RunFrames) -> Chart:
    """Return the share of dropped clients that were back and fresh, over time since the drop."""
    came = histogram_of(run, Series.STORM_BACK, EVERY_PHASE).n
    missing = int(measure(run, "storm.not_back").value or 0)
    states = {"back": Series.STORM_BACK, "fresh": Series.STORM_FRESH}
    curves = _curves_of(run, states, came + missing)
    key = "storm"
    if "back" not in curves:
        return Chart(key, f"No reconnect storm: {measure(run, 'storm.back', 'p99').why}", "")

    def draw(size: Size) -> Figure:
        colours = (BLUE, GREEN)
        return _draw_curves(size, curves, colours, since="the drop", of="dropped clients")[0]

    note = (
        "Back: the next welcome. Fresh: the first market event after it. Dots: 50, 95, 99 and "
        "100 % of the dropped clients. All storms of the run are combined."
    )
    return Chart(key, _storm_title(run, curves), note, draw, _curves_table(curves))


def _storm_title(run: RunFrames, curves: dict[str, ArrivalCurve]) -> str:
    back = curves["back"]
    words = f"{quantities.counted(back.whole, 'dropped client')} back: {_told(back)}"
    if "fresh" in curves:
        words += f"; fresh: {_told(curves['fresh'])}"
    rows = run["events"]
    tried = rows[rows["event"] == str(Event.ATTEMPT)]
    if len(tried):
        words += f"; {quantities.counted(len(tried), 'attempt')}"
    return words


def drain_course(run: RunFrames) -> Chart:
    """Return the share of clients notified and disconnected, over time since the command."""
    closed = histogram_of(run, Series.DRAIN_CLOSE, EVERY_PHASE).n
    states = {"notified": Series.DRAIN_NOTICE, "disconnected": Series.DRAIN_CLOSE}
    curves = _curves_of(run, states, closed)
    key = "drain"
    if not curves:
        return Chart(key, f"No drain: {measure(run, 'drain.close', 'p99').why}", "")
    exit_ns = measure(run, "drain.exit").value

    def draw(size: Size) -> Figure:
        figure, axes = _draw_curves(
            size, curves, (GREEN, BLUE), since="the terminate command", of="clients"
        )
        if exit_ns is not None:
            _mark_exit(axes, exit_ns / _NS_PER_S)
        return figure

    note = "Notified: the client read server:draining. Dots: 50, 95, 99 and 100 % of the clients."
    return Chart(key, _drain_title(run, curves, exit_ns), note, draw, _curves_table(curves))


def _mark_exit(axes: Axes, at_s: float) -> None:
    axes.set_xlim(0, max(axes.get_xlim()[1], at_s * 1.05))
    axes.axvline(at_s, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), label="_gateway's exit")
    axes.annotate(
        "gateway exit", (at_s, 0.0), xycoords=("data", "axes fraction"), xytext=(-4, 6),
        textcoords="offset points", ha="right", va="bottom", color=MUTED,
    )  # fmt: skip


def _drain_title(run: RunFrames, curves: dict[str, ArrivalCurve], exit_ns: float | None) -> str:
    parts = [
        f"{curve.n:,} clients {name} within {quantities.span(float(curve.spans_ns[-1]))}"
        for name, curve in curves.items()
    ]
    unannounced = int(measure(run, "drain.unannounced").value or 0)
    if unannounced:
        parts.insert(0, f"{quantities.counted(unannounced, 'client')} not notified")
    if exit_ns is not None:
        parts.append(f"gateway exit after {quantities.span(exit_ns)}")
    return f"Drain: {'; '.join(parts)}"


def _curves_of(run: RunFrames, states: Mapping[str, Series], whole: int) -> dict[str, ArrivalCurve]:
    """Return the curve of each state that somebody reached, by its name."""
    curves = {name: _curve_of(run, series, name, whole) for name, series in states.items()}
    return {name: curve for name, curve in curves.items() if curve is not None}


def _curve_of(run: RunFrames, series: Series, name: str, whole: int) -> ArrivalCurve | None:
    histogram = histogram_of(run, series, EVERY_PHASE)
    if not histogram.n:
        return None
    whole = max(whole, histogram.n)
    shares = np.cumsum(histogram.counts.sum(axis=0)) / whole
    return ArrivalCurve(
        name=name, spans_ns=histogram.tops, shares=shares, n=histogram.n, whole=whole
    )


def _draw_curves(
    size: Size, curves: dict[str, ArrivalCurve], colours: tuple[str, ...], *, since: str, of: str
) -> tuple[Figure, Axes]:
    """Return a figure of the curves as steps over seconds, with their marks."""
    figure, (axes,) = new_figure(size)
    last_s = max(float(curve.spans_ns[-1]) for curve in curves.values()) / _NS_PER_S
    for curve, colour in zip(curves.values(), colours, strict=False):
        thin = -(-len(curve.spans_ns) // _MOST_STEPS)
        keep = np.unique(
            np.append(np.arange(0, len(curve.spans_ns), thin), len(curve.spans_ns) - 1)
        )
        seconds = np.concatenate([[0.0], curve.spans_ns[keep] / _NS_PER_S])
        shares = np.concatenate([[0.0], curve.shares[keep]])
        axes.step(
            np.append(seconds, last_s * 1.02), np.append(shares, shares[-1]), where="post",
            color=colour, linewidth=2, label=curve.name,
        )  # fmt: skip
        _name_curve(axes, curve, colour, last_s, is_first=curve is next(iter(curves.values())))
        reached = [(share, at) for share in _MARKS if (at := curve.reached(share)) is not None]
        axes.plot(
            [at / _NS_PER_S for _, at in reached], [share for share, _ in reached], "o",
            color=colour, markersize=6, markeredgecolor=SURFACE, label=f"_{curve.name} marks",
            clip_on=False, zorder=3,
        )  # fmt: skip
    axes.set_xlim(0, last_s * 1.02)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    axes.set_ylabel(f"share of {of}")
    axes.set_xlabel(f"seconds since {since}")
    return figure, axes


def _name_curve(
    axes: Axes, curve: ArrivalCurve, colour: str, last_s: float, *, is_first: bool
) -> None:
    """Write a curve's name beside its middle; the first one on the left, where there is room."""
    half_ns = curve.reached(0.5)
    if half_ns is None:
        half_ns = float(curve.spans_ns[-1])
    at_s = half_ns / _NS_PER_S
    is_left = is_first and at_s > _ROOM * last_s
    axes.annotate(
        curve.name, (at_s, min(0.5, float(curve.shares[-1]))), xytext=(-9 if is_left else 9, 0),
        textcoords="offset points", ha="right" if is_left else "left", va="center", color=colour,
    )  # fmt: skip


def _told(curve: ArrivalCurve) -> str:
    """Return ``50 % in 0.6 s, 95 % in 1.9 s, 99 % in 2.2 s, all in 2.4 s``, as far as reached."""
    words = {0.5: "50 %", 0.95: "95 %", 0.99: "99 %", 1.0: "all"}
    parts = [
        f"{words[share]} in {quantities.span(at)}"
        for share in _MARKS
        if (at := curve.reached(share)) is not None
    ]
    missing = curve.whole - curve.n
    if missing:
        parts.append(f"{missing:,} of {curve.whole:,} never")
    return ", ".join(parts)


def _curves_table(curves: dict[str, ArrivalCurve]) -> pd.DataFrame:
    """Return the marks of each curve, one row each."""
    return pd.DataFrame(
        [
            {
                "state": curve.name,
                "members": curve.whole,
                "arrived": curve.n,
                **{f"{share * 100:g} %_ns": curve.reached(share) for share in _MARKS},
            }
            for curve in curves.values()
        ]
    )
