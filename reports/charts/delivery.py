"""Deliveries: what clients were owed and received, and events that reached the wrong user."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from loadtests.results import Event, LeakOutcome
from reports import quantities
from reports.charts.axes import key_above
from reports.charts.canvas import BLUE, INK, ORANGE, SKY, SURFACE, Chart, Size
from reports.charts.figures import crosstab
from reports.charts.rows import new_rows, tell_row
from reports.measures.registry import measure
from reports.run_frames import RunFrames

COUNTS: Final = (
    "owed", "received", "conflated", "lost", "duplicate", "reordered", "late", "leaked",
)  # fmt: skip
"""The ledger's columns, in the order of the report."""
WRONG: Final = ("lost", "duplicate", "reordered", "late", "leaked")
MOST_WRONG_STREAMS: Final = 10
_PARTS: Final = (("received", BLUE, ""), ("conflated", SKY, ""), ("lost", ORANGE, "////"))
_LEAKS: Final = {
    "isolation.foreign": "private to another user",
    "isolation.private_fields": "public with a private field",
    "isolation.unsubscribed": "without a subscription",
    "isolation.unentitled": "without an entitlement",
}


def ledger_by_family(run: RunFrames) -> pd.DataFrame:
    """Return the ledger summed by kind of stream and group, with a row for all at the end."""
    ledger = run["ledger"]
    if ledger.empty:
        return ledger
    family = ledger["stream"].str.split(":", n=1).str[0]
    rows = (
        ledger.assign(streams=family)
        .groupby(["streams", "group"], as_index=False)[list(COUNTS)]
        .sum()
    )
    rows = rows[rows[list(COUNTS)].any(axis=1)]  # an unused stream says nothing
    total = rows[list(COUNTS)].sum()
    whole = pd.DataFrame([{"streams": "all streams", "group": "", **total.to_dict()}])
    return pd.concat([rows, whole], ignore_index=True)


def worst_streams(run: RunFrames) -> pd.DataFrame:
    """Return the streams with the most wrong deliveries, worst first."""
    rows = run["ledger"]
    wrong = rows[list(WRONG)].sum(axis=1)
    rows = rows.assign(wrong=wrong)[wrong > 0]
    return rows.sort_values("wrong", ascending=False, kind="stable").head(MOST_WRONG_STREAMS)


def delivery_ledger(run: RunFrames) -> Chart:
    """Return the deliveries owed, by kind of stream and group, and what became of them."""
    table = ledger_by_family(run)
    key = "ledger"
    if table.empty:
        return Chart(key, f"No deliveries: {run.why_absent('ledger')}", "")
    rows = table[table["owed"] > 0].iloc[:-1]
    note = (
        "A client is owed every event of a stream between joining and leaving it. After the drain, "
        "owed = received + conflated + lost."
    )
    if rows.empty:
        return Chart(key, "No delivery was owed", note, None, table)

    def draw(size: Size) -> Figure:
        names = list(rows["streams"] + " · " + rows["group"])
        figure, axes = new_rows(size, names, around=1.0, inches=(0.34, 0.5), ends=(0.8, 0.4))
        _draw_parts(axes, rows, names, stacked=size.is_narrow)
        return figure

    return Chart(key, _title(table), f"{note} Bars are shares of the deliveries owed.", draw, table)


def _draw_parts(axes: Axes, rows: pd.DataFrame, names: list[str], *, stacked: bool) -> None:
    places = np.arange(len(rows))
    left = np.zeros(len(rows))
    owed = rows["owed"].to_numpy(dtype=float)
    for name, colour, hatch in _PARTS:
        widths = rows[name].to_numpy(dtype=float) / owed
        if not widths.any():
            continue
        axes.barh(
            places, widths, left=left, height=0.34 if stacked else 0.6, color=colour,
            hatch=hatch, edgecolor=SURFACE, linewidth=0, label=name,
        )  # fmt: skip
        left += widths
    for place, (name, row) in enumerate(zip(names, rows.to_dict("records"), strict=True)):
        wrong = sum(int(row[column]) for column in WRONG)
        told = f"{row['owed']:,} owed" + (f", {wrong:,} wrong" if wrong else "")
        colour = ORANGE if wrong else INK
        if stacked:
            tell_row(axes, place - 0.2, f"{name}: {told}", above=3, colour=colour)
        else:
            tell_row(axes, place, told, colour=colour)
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    axes.set_xlabel("share of the deliveries owed")
    key_above(axes, 3)


def _title(table: pd.DataFrame) -> str:
    total = table.iloc[-1]

    def told(name: str) -> str:
        return quantities.count(float(total[name]))

    wrong = [f"{told(name)} {name}" for name in WRONG if total[name]]
    head = f"Wrong deliveries: {', '.join(wrong)}" if wrong else "No delivery was lost or wrong"
    words = f"{head}; {told('received')} of {told('owed')} received"
    return f"{words}, {told('conflated')} conflated" if total["conflated"] else words


def isolation(run: RunFrames) -> Chart:
    """Return the events that reached the wrong user, as a table without a picture."""
    found = {metric: measure(run, metric) for metric in _LEAKS}
    key = "isolation"
    told = {metric: each for metric, each in found.items() if each.value is not None}
    if not told:
        why = next(iter(found.values())).why
        return Chart(key, f"No isolation check: {why}", "")
    table = pd.DataFrame(
        [
            {"wrong event": _LEAKS[metric], "events": each.value, "checked": each.n}
            for metric, each in told.items()
        ]
    )
    leaks = int(table["events"].sum())
    checked = quantities.count(float(max(each.n or 0 for each in told.values())))
    title = f"No event reached the wrong user, of {checked} checked"
    if leaks:
        parts = [
            f"{each.value:,.0f} {_LEAKS[metric]}" for metric, each in told.items() if each.value
        ]
        who = _who_leaked(run)
        title = f"{quantities.counted(leaks, 'event')} reached the wrong user: {', '.join(parts)}"
        table = pd.concat([table, who], ignore_index=True) if len(who) else table
    note = "Every private event names its owner, and each client compares the name with its own."
    return Chart(key, title, note, None, table)


def _who_leaked(run: RunFrames) -> pd.DataFrame:
    """Return the wrong events by receiving group, for the table."""
    rows = run["events"]
    rows = rows[rows["event"] == str(Event.LEAK)]
    if rows.empty:
        return pd.DataFrame()
    counts = crosstab(rows["group"], rows["outcome"], "group", [str(o) for o in LeakOutcome])
    totals = counts.set_index("group").sum(axis=1)
    return pd.DataFrame(
        {
            "wrong event": [f"… received by {name}" for name in totals.index],
            "events": totals.to_numpy(),
        }
    )
