"""Cumulative curves of arrival times, with marks at 50 to 100 %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Series
from reports import quantities
from reports.charts.axes import share_axis
from reports.charts.canvas import SURFACE, Size, new_figure
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.run_frames import RunFrames

MARKS: Final = (0.5, 0.95, 0.99, 1.0)
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


def curves_of(run: RunFrames, states: Mapping[str, Series], whole: int) -> dict[str, ArrivalCurve]:
    """Return the curve of each state that somebody reached, by its name.

    Args:
        run: the run.
        states: a series by name of the state, with one value for each member that reached it.
        whole: size of the group.
    """
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


def draw_curves(
    size: Size, curves: dict[str, ArrivalCurve], colours: tuple[str, ...], *, since: str, of: str
) -> tuple[Figure, Axes]:
    """Return a figure of the curves as steps over seconds, with their marks.

    Args:
        size: of the drawing.
        curves: by name.
        colours: one for each curve.
        since: the moment at which time begins.
        of: the members of the group.
    """
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
        reached = [(share, at) for share in MARKS if (at := curve.reached(share)) is not None]
        axes.plot(
            [at / _NS_PER_S for _, at in reached], [share for share, _ in reached], "o",
            color=colour, markersize=6, markeredgecolor=SURFACE, label=f"_{curve.name} marks",
            clip_on=False, zorder=3,
        )  # fmt: skip
    axes.set_xlim(0, last_s * 1.02)
    share_axis(axes, f"share of {of}")
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


def told(curve: ArrivalCurve) -> str:
    """Return ``50 % in 0.6 s, 95 % in 1.9 s, 99 % in 2.2 s, all in 2.4 s``, as far as reached."""
    words = {0.5: "50 %", 0.95: "95 %", 0.99: "99 %", 1.0: "all"}
    parts = [
        f"{words[share]} in {quantities.span(at)}"
        for share in MARKS
        if (at := curve.reached(share)) is not None
    ]
    missing = curve.whole - curve.n
    if missing:
        parts.append(f"{missing:,} of {curve.whole:,} never")
    return ", ".join(parts)


def curves_table(curves: dict[str, ArrivalCurve]) -> pd.DataFrame:
    """Return the marks of each curve, one row each."""
    return pd.DataFrame(
        [
            {
                "state": curve.name,
                "members": curve.whole,
                "arrived": curve.n,
                **{f"{share * 100:g} %_ns": curve.reached(share) for share in MARKS},
            }
            for curve in curves.values()
        ]
    )
