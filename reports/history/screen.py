"""A history on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports import quantities
from reports.console import ROOMY_COLUMNS
from reports.history.changes import Step
from reports.history.rows import Figure
from reports.history.suspects import suspects_between
from reports.history.trends import GroupTrends, Trend, is_still
from reports.ratios import change

BARS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 20
"""The newest runs that a line of bars shows."""


def print_trends(found: Sequence[GroupTrends], console: Console) -> None:
    """Print a table for each group, with a line of bars for each figure."""
    for one in found:
        console.print(Text(describe_group(one), style="bold"))
        is_roomy = console.width >= ROOMY_COLUMNS
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("figure", overflow="fold")
        table.add_column("newest", justify="right", no_wrap=True)
        if is_roomy:
            table.add_column("95 % interval", justify="right", no_wrap=True)
        table.add_column("limit", justify="right", no_wrap=True)
        table.add_column(f"last {WIDTH} runs", no_wrap=True)
        table.add_column("newest change")
        shown = [trend for trend in one.trends if not is_still(trend)]
        for trend in shown:
            newest = trend.newest
            cells = [quantities.quantity(newest.value, newest.kind), limit_words(trend)]
            if is_roomy:
                cells.insert(1, interval_words(newest))
            bars = sparkline([figure.value for figure in trend.figures[-WIDTH:]])
            style = "bold red" if trend.regression else ""
            table.add_row(Text(trend.name), *cells, bars, Text(newest_change(trend), style=style))
        console.print(table)
        for words in (*still_words(one), *untrusted(one)):
            console.print(Text(words))
        console.print()


def still_words(one: GroupTrends) -> list[str]:
    """Return in words how many counts are not shown, if any is not."""
    still = sum(is_still(trend) for trend in one.trends)
    counts = quantities.counted(still, "count")
    return [f"Not shown: {counts} with one value in every run, within the limit"] if still else []


def untrusted(one: GroupTrends) -> list[str]:
    """Return in words which figures of the newest run are left out, by the check that spoils."""
    spoilt: dict[str, list[str]] = {}
    for name, figure in one.rows[-1].figures.items():
        if figure.invalid:
            spoilt.setdefault(figure.invalid, []).append(name)
    return [
        f"Left out of the newest run ({check}): {', '.join(names)}"
        for check, names in spoilt.items()
    ]


def interval_words(figure: Figure) -> str:
    """Return ``4.9 ms – 5.4 ms``; a dash without an interval."""
    if figure.low is None or figure.high is None:
        return quantities.ABSENT
    ends = (quantities.quantity(end, figure.kind) for end in (figure.low, figure.high))
    return " – ".join(ends)


def newest_change(trend: Trend) -> str:
    """Return the newest change and its day, or why there is none."""
    if trend.newest.kind == "count":
        return quantities.ABSENT
    if not trend.steps:
        return trend.unsearched or "none"
    last = trend.steps[-1]
    return f"{change(last.ratio - 1)}, {_day(trend, last)}"


def limit_words(trend: Trend) -> str:
    """Return a figure's limit such as ``<= 10 ms``; a dash without one."""
    newest = trend.newest
    if newest.limit is None:
        return quantities.ABSENT
    return f"{newest.operator} {quantities.quantity(newest.limit, newest.kind)}"


def describe_group(one: GroupTrends) -> str:
    """Return what the runs of a group have in common."""
    group = one.group
    return (
        f"{group.scenario}, {quantities.counted(len(one.rows), 'run')} "
        f"({group.machine}; {group.target}; load {group.load[:8]})"
    )


def sparkline(values: Sequence[float]) -> str:
    """Return a bar for each value, from the least to the greatest of them."""
    low, high = min(values), max(values)
    if low == high:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def describe_step(trend: Trend, step: Step) -> str:
    """Return a change in one line: ``push.p99 +24 % (95 %: …), 5.1 ms to 6.3 ms, since …``."""
    kind = trend.newest.kind
    ends = [quantities.quantity(end, kind) for end in (step.before, step.after)]
    interval = "no interval: too few runs"
    if step.low is not None and step.high is not None:
        interval = f"95 %: {change(step.low - 1)} to {change(step.high - 1)}"
    return (
        f"{trend.name} {change(step.ratio - 1)} ({interval}), {ends[0]} to {ends[1]}, "
        f"since {trend.rows[step.place].run}"
    )


def _day(trend: Trend, step: Step) -> str:
    return trend.rows[step.place].created[:10] or trend.rows[step.place].run


def print_changes(found: Sequence[GroupTrends], console: Console) -> None:
    """Print every change of the groups that are judged, regressions first, with suspects."""
    for one in found:
        if not one.is_current:
            continue
        console.print(Text(describe_group(one), style="bold"))
        changes = [(trend, step) for trend in one.trends for step in trend.steps]
        changes.sort(key=lambda pair: pair[0].regression is not pair[1])
        for trend, step in changes:
            _print_change(trend, step, console)
        if not changes:
            searched = sum(not trend.unsearched for trend in one.trends)
            told = f"  no change in {quantities.counted(searched, 'figure')}"
            console.print(Text(told if searched else "  too few runs to find a change in"))


def _print_change(trend: Trend, step: Step, console: Console) -> None:
    if step is trend.regression:
        mark, style = "✕ regression", "bold red"
    elif trend.is_worse(step):
        mark, style = "· earlier, worse", ""
    else:
        mark, style = "· better", "green"
    console.print(Text.assemble((f"  {mark}: ", style), describe_step(trend, step)))
    if step is trend.regression:
        for line in suspects_between(trend.rows[step.place - 1], trend.rows[step.place]):
            console.print(Text(f"      suspect: {line}"))


def trends_as_json(found: Sequence[GroupTrends]) -> list[dict[str, Any]]:
    """Return the trends for a program; times in ns, sizes in B."""
    return [
        {
            **one.group._asdict(),
            "runs": len(one.rows),
            "judged": one.is_current,
            "figures": [_trend_as_json(trend, judged=one.is_current) for trend in one.trends],
        }
        for one in found
    ]


def _trend_as_json(trend: Trend, *, judged: bool) -> dict[str, Any]:
    points = zip(trend.rows, trend.figures, strict=True)
    return {
        "figure": trend.name,
        "kind": trend.newest.kind,
        "operator": trend.newest.operator,
        "limit": trend.newest.limit,
        "left_out": trend.left_out,
        "unsearched": trend.unsearched,
        "points": [
            {
                "run": row.run,
                "created": row.created,
                "commit": row.commit,
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
            }
            for row, figure in points
        ],
        "changes": [
            {
                **asdict(step),
                "ratio": step.ratio,
                "worse": trend.is_worse(step),
                "regression": judged and step is trend.regression,
                "last_run_before": trend.rows[step.place - 1].run,
                "first_run_after": trend.rows[step.place].run,
                "suspects": suspects_between(trend.rows[step.place - 1], trend.rows[step.place]),
            }
            for step in trend.steps
        ],
    }
