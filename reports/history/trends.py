"""The trend of each figure of a history, with its changes and the runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.results import Verdict
from reports.decisions import compare
from reports.history.changes import FEWEST, Step, find_steps
from reports.history.rows import Comparable, Figure, Row

MOST: Final = 200
"""The newest runs of a group that a trend holds."""
RECENT: Final = 10
"""A worsening is a regression while it began within this many runs."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One figure of one group over its runs.

    Attributes:
        name: of the figure, such as ``push.p99``.
        rows: the runs whose figure can be trusted, oldest first.
        left_out: number of runs whose figure cannot be trusted.
        steps: the changes; ``place`` is an index of ``rows``.
        unsearched: why the trend was not searched for changes; empty when it was.
    """

    name: str
    rows: tuple[Row, ...]
    left_out: int
    steps: tuple[Step, ...]
    unsearched: str

    @property
    def figures(self) -> list[Figure]:
        """The figure of each run."""
        return [row.figures[self.name] for row in self.rows]

    @property
    def newest(self) -> Figure:
        """The figure of the newest run that can be trusted."""
        return self.rows[-1].figures[self.name]

    @property
    def grows_better(self) -> bool:
        """Whether more is better: its budget limits it from below."""
        return self.newest.operator in (">=", ">")

    def is_worse(self, step: Step) -> bool:
        """Return whether a change went in the direction that the budget limits, or up."""
        return (step.ratio < 1) if self.grows_better else (step.ratio > 1)

    @property
    def regression(self) -> Step | None:
        """The newest change, if it is for the worse and began within ``RECENT`` runs."""
        if not self.steps:
            return None
        last = self.steps[-1]
        is_recent = len(self.rows) - last.place <= RECENT
        return last if is_recent and self.is_worse(last) else None


@dataclass(frozen=True, kw_only=True)
class GroupTrends:
    """The trends of one group.

    Attributes:
        group: what its runs have in common.
        rows: its runs, oldest first.
        trends: of the figures that a run had that can be trusted, times first.
        is_current: whether it has the newest run of its scenario. Only such a group is judged.
    """

    group: Comparable
    rows: tuple[Row, ...]
    trends: tuple[Trend, ...]
    is_current: bool


def trends_of(rows: Sequence[Row]) -> list[GroupTrends]:
    """Return the trends of each group, the one with the newest run first.

    Args:
        rows: of the history, oldest first.
    """
    groups: dict[Comparable, list[Row]] = {}
    for row in reversed(rows):
        groups.setdefault(row.group, []).append(row)
    told: set[str] = set()
    found = []
    for group, newest_first in groups.items():
        held = tuple(reversed(newest_first[:MOST]))
        names = dict.fromkeys(name for row in newest_first[:MOST] for name in row.figures)
        trends = [trend for name in names if (trend := _trend(name, held)) is not None]
        trends.sort(key=lambda trend: (trend.newest.kind == "count", trend.name))
        is_current = group.scenario not in told
        told.add(group.scenario)
        found.append(
            GroupTrends(group=group, rows=held, trends=tuple(trends), is_current=is_current)
        )
    return found


def is_still(trend: Trend) -> bool:
    """Return whether a trend is a count that had one value in every run and kept its limit."""
    values = {figure.value for figure in trend.figures}
    newest = trend.newest
    if newest.kind != "count" or newest.limit is None or len(values) > 1:
        return False
    return compare(newest.operator, newest.limit, *values, *values) is Verdict.PASS


def _trend(name: str, rows: Sequence[Row]) -> Trend | None:
    having = [row for row in rows if name in row.figures]
    trusted = tuple(row for row in having if not row.figures[name].invalid)
    if not trusted:
        return None
    values = [row.figures[name].value for row in trusted]
    unsearched = _unsearched(trusted[-1].figures[name].kind, values)
    return Trend(
        name=name,
        rows=trusted,
        left_out=len(having) - len(trusted),
        steps=() if unsearched else tuple(find_steps(values)),
        unsearched=unsearched,
    )


def _unsearched(kind: str, values: Sequence[float]) -> str:
    if kind == "count":
        return "a count: its budget judges each run exactly"
    if len(values) < FEWEST:
        return f"{len(values)} of {FEWEST} runs"
    return "" if min(values) > 0 else "not always above zero, so a change is no ratio"
