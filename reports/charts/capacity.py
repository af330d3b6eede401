"""Capacity: the trials of a capacity search, by load."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.results import Verdict
from reports.capacity_answer import (
    CapacityAnswer,
    CapacityTrial,
    explain_capacity,
    load_words,
    read_capacity,
)
from reports.charts.canvas import GREEN, INK, ORANGE, SURFACE, Chart, Size
from reports.charts.rows import log_axis, new_rows, tell_row
from reports.charts.verdicts import MARKERS
from reports.report_errors import DamagedCapacityError
from reports.run_frames import RunFrames

NONE: Final = "No capacity interval: this run is not part of a capacity search"
WORDS: Final = {
    Verdict.PASS: "kept",
    Verdict.FAIL: "broken",
    Verdict.INCONCLUSIVE: "undecided",
    Verdict.INVALID: "invalid",
}
"""The outcome of a trial."""
_NOTE: Final = (
    "One row per trial, ordered by load on a logarithmic scale. Circle: all budgets kept. Cross: "
    "a budget broken. Diamond: undecided. Square: invalid, because the generator was overloaded. "
    "Shaded: the interval from the largest load kept to the smallest load that did not pass."
)


def capacity_search(run: RunFrames) -> Chart:
    """Return the trials of the search that ended with this run, and the interval found."""
    key = "capacity"
    try:
        answer = read_capacity(run)
    except DamagedCapacityError as error:
        return Chart(key, f"No capacity interval: {error}", "")
    if answer is None:
        return Chart(key, NONE, "")
    title = explain_capacity(answer)
    if not answer.trials:
        return Chart(key, f"No capacity interval: {answer.why}", "")
    trials = sorted(answer.trials, key=lambda trial: trial.load)

    def draw(size: Size) -> Figure:
        return _draw(size, answer, trials)

    note = _NOTE
    if answer.at_least is not None:
        note += " Dashed: the required load."
    return Chart(key, title, note, draw, _table(answer, trials))


def _draw(size: Size, answer: CapacityAnswer, trials: list[CapacityTrial]) -> Figure:
    line = size.font / 72 * 1.8
    names = [f"{load_words(trial.load)}{', long' if trial.is_long else ''}" for trial in trials]
    inches = (line, line)
    figure, axes = new_rows(size, names, around=0.9 + line, inches=inches, ends=(1.5, 0.5))
    axes.set_yticks(range(len(names)), names, color=INK)
    _load_axis(axes, answer, trials, sparse=size.is_narrow)
    left, right = axes.get_xlim()
    if answer.low is not None:
        axes.axvspan(
            answer.low, answer.high or right, color=GREEN, alpha=0.16, linewidth=0, zorder=0,
            label="_interval",
        )  # fmt: skip
    if answer.at_least is not None:
        _mark_demand(axes, answer.at_least, to_the_left=answer.at_least**2 > left * right)
    for row, trial in enumerate(trials):
        marker, colour = MARKERS[trial.verdict]
        word = WORDS[trial.verdict]
        axes.plot(
            [trial.load], [row], marker=marker, color=colour, markersize=7, linestyle="none",
            markeredgecolor=SURFACE, label=f"_{word}",
        )  # fmt: skip
        tell_row(axes, row, word)
    return figure


def _load_axis(
    axes: Axes, answer: CapacityAnswer, trials: list[CapacityTrial], *, sparse: bool
) -> None:
    loads = [trial.load for trial in trials]
    loads += [] if answer.at_least is None else [answer.at_least]
    low, high = min(loads) / 1.3, max(loads) * 1.3
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    subs = (1.0,) if high / low > (100 if sparse else 1_000) else (1.0, 2.0, 5.0)
    log_axis(axes.xaxis, load_words, subs, most=10)
    axes.set_xlabel(answer.unit)


def _mark_demand(axes: Axes, demand: float, *, to_the_left: bool) -> None:
    axes.axvline(
        demand, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 3)), label="_demanded", zorder=1
    )
    axes.annotate(
        f"at least {load_words(demand)}", (demand, 1.0), xycoords=("data", "axes fraction"),
        xytext=(-4 if to_the_left else 4, -3), textcoords="offset points",
        ha="right" if to_the_left else "left", va="top", color=ORANGE,
    )  # fmt: skip


def _table(answer: CapacityAnswer, trials: list[CapacityTrial]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                answer.unit: trial.load,
                "trial": "long" if trial.is_long else "short",
                "outcome": WORDS[trial.verdict],
                "why": trial.why,
            }
            for trial in trials
        ]
    )
