"""The trends of a history as one HTML file without network access, scripts or other files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports import quantities
from reports.charts.canvas import Chart
from reports.charts.trends import trend_of_figure
from reports.history.screen import describe_step, still_words, untrusted
from reports.history.suspects import suspects_between
from reports.history.trends import GroupTrends, is_still
from reports.page import template_of


@dataclass(frozen=True, kw_only=True)
class TrendSection:
    """One group in the page: its title, what its runs have in common, charts and remarks."""

    title: str
    about: str
    charts: tuple[Chart, ...]
    remarks: tuple[str, ...]


def render_history(found: Sequence[GroupTrends]) -> str:
    """Return the page, the same bytes for the same history and repository."""
    found = sorted(found, key=lambda one: not (one.is_current and _regressed(one)))
    regressions = [words for one in found if one.is_current for words in _regressions(one)]
    runs = sum(len(one.rows) for one in found)
    ends = sorted(row.created[:10] for one in found for row in one.rows)
    headline = (
        f"{quantities.counted(len(regressions), 'regression')} found"
        if regressions
        else "No regression in the last runs"
    )
    return template_of("history.html").render(
        headline=headline,
        runs=f"{quantities.counted(runs, 'run')} from {ends[0]} to {ends[-1]}",
        regressions=regressions,
        sections=[_section(one, number) for number, one in enumerate(found, 1)],
    )


def _regressed(one: GroupTrends) -> bool:
    return any(trend.regression for trend in one.trends)


def _regressions(one: GroupTrends) -> list[str]:
    told = []
    for trend in one.trends:
        step = trend.regression
        if step is None:
            continue
        suspects = suspects_between(trend.rows[step.place - 1], trend.rows[step.place])
        told.append(
            f"{one.group.scenario}: {describe_step(trend, step)}. Suspects: {'; '.join(suspects)}."
        )
    return told


def _section(one: GroupTrends, number: int) -> TrendSection:
    shown = [trend for trend in one.trends if not is_still(trend)]
    shown.sort(key=lambda trend: trend.regression is None)
    group = one.group
    return TrendSection(
        title=f"{group.scenario} on {group.machine}",
        about=(
            f"{quantities.counted(len(one.rows), 'run')}, target {group.target}, "
            f"load {group.load[:8]}"
            f"{'' if one.is_current else '; not judged, newer runs have another load or machine'}"
        ),
        charts=tuple(
            trend_of_figure(trend, f"trend-{number}-{trend.name.replace('.', '-')}")
            for trend in shown
        ),
        remarks=(*still_words(one), *untrusted(one)),
    )
