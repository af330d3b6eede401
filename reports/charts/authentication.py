"""Authentication: how the gateway answered each kind of token."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.results import AuthOutcome, Event, Series
from reports import intervals, quantities
from reports.charts.axes import key_above
from reports.charts.canvas import BLUE, ORANGE, SKY, SURFACE, Chart, Size
from reports.charts.figures import crosstab
from reports.charts.rows import new_rows, tell_row
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.run_frames import RunFrames

RIGHT: Final = (AuthOutcome.ACCEPTED, AuthOutcome.REFUSED, AuthOutcome.EXPIRED)
_COLOURS: Final = {AuthOutcome.ACCEPTED: BLUE, AuthOutcome.REFUSED: SKY, AuthOutcome.EXPIRED: SKY}


def auth_cases(run: RunFrames) -> Chart:
    """Return the attempts and outcomes of each authentication case."""
    rows = run["events"]
    rows = rows[rows["event"] == str(Event.AUTH)]
    key = "auth"
    if rows.empty:
        why = run.absences.get("events") or "no authentication case was tried"
        return Chart(key, f"No authentication: {why}", "")
    table = crosstab(rows["detail"], rows["outcome"], "case", [str(o) for o in AuthOutcome])
    table = table.sort_values("case", kind="stable").reset_index(drop=True)

    def draw(size: Size) -> Figure:
        cases = list(table["case"])
        figure, axes = new_rows(size, cases, around=1.1, inches=(0.24, 0.44), ends=(0.9, 0.4))
        _draw_cases(axes, table, stacked=size.is_narrow)
        return figure

    note = "Bars count attempts per case. A hatched bar is a wrong answer of the gateway."
    return Chart(key, _title(run, table), note, draw, table)


def _draw_cases(axes: Axes, table: pd.DataFrame, *, stacked: bool) -> None:
    places = np.arange(len(table))
    left = np.zeros(len(table))
    for outcome in AuthOutcome:
        if str(outcome) not in table:
            continue
        widths = table[str(outcome)].to_numpy(dtype=float)
        axes.barh(
            places, widths, left=left, height=0.3 if stacked else 0.62,
            color=_COLOURS.get(outcome, ORANGE), hatch="" if outcome in RIGHT else "////",
            edgecolor=SURFACE, linewidth=0, label=str(outcome).replace("-", " "),
        )  # fmt: skip
        left += widths
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("attempts")
    if stacked:
        for place, case in enumerate(table["case"]):
            tell_row(axes, place - 0.17, str(case), above=1)
    key_above(axes, 2 if stacked else 5)


def _title(run: RunFrames, table: pd.DataFrame) -> str:
    counts = table.drop(columns="case").sum()
    tried = int(counts.sum())
    wrong = [
        f"{int(counts[str(outcome)]):,} {str(outcome).replace('-', ' ')}"
        for outcome in AuthOutcome
        if outcome not in RIGHT and str(outcome) in counts and counts[str(outcome)]
    ]
    total = quantities.counted(tried, "attempt")
    told = f"{', '.join(wrong)} in {total}" if wrong else f"All {total} were answered correctly"
    told += f" ({quantities.counted(len(table), 'case')})"
    expiry = histogram_of(run, Series.EXPIRY, EVERY_PHASE)
    if expiry.n:
        slowest = quantities.span(intervals.quantile_of(expiry, 1.0))
        told += f"; expired tokens were disconnected within {slowest}"
    return told
