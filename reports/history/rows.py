"""One row of the history: what is kept of a run, as one line of JSON.

Figures are the run's budgets and ``MAIN``, each with its 95 % interval. Rows are compared only
within a ``Comparable``: the same load on the same kind of machine against the same target.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from reports.baselines import ORDERED, machine_of
from reports.decisions import lacking
from reports.measures.registry import measure
from reports.report_errors import PartialRunError
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict, shortfalls
from reports.weighing import is_timing, spoils
from scenarios.schema import METRICS, Budget

FORMAT: Final = 1
MAIN: Final = (
    ("push", "p50"),
    ("push", "p90"),
    ("push", "p99"),
    ("ack", "p50"),
    ("ack", "p99"),
    ("connect", "p99"),
    ("cost.per_message", None),
    ("memory.per_client", None),
)
"""Figures that every row has where the run measured them, with a budget or without."""
_BESIDE_LOAD: Final = frozenset({"name", "question", "budgets", "health", "policy"})
"""Keys of a scenario file that change neither the load nor the gateway under it."""


class Comparable(NamedTuple):
    """What runs must have in common to be compared.

    Attributes:
        scenario: its name.
        load: hash of the load: the scenario's contents, and the options that change it.
        machine: processor, cores and architecture.
        target: ``embedded``, with how many nodes, or the address of an external gateway.
    """

    scenario: str
    load: str
    machine: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of one run.

    Attributes:
        kind: of its metric (``scenarios.catalogue.Kind``).
        value: in the metric's unit: ns, B, or a number.
        low: lower end of the 95 % interval; None without one.
        high: upper end.
        operator: of its budget, such as ``<=``; empty without an absolute budget.
        limit: of its budget.
        invalid: the broken check that spoils it; empty when it can be trusted.
    """

    kind: str
    value: float
    low: float | None
    high: float | None
    operator: str
    limit: float | None
    invalid: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run of the history.

    Attributes:
        run: its id.
        created: UTC time of its start, ISO 8601.
        commit: what was measured; empty when unknown.
        dirty: whether files differed from that commit.
        group: what it may be compared with.
        verdict: on the run.
        figures: by name, such as ``push.p99``.
    """

    run: str
    created: str
    commit: str
    dirty: bool
    group: Comparable
    verdict: str
    figures: Mapping[str, Figure]

    def as_line(self) -> str:
        """Return the row as one line of JSON, the same for the same row."""
        content = {"format": FORMAT, **asdict(self), "group": self.group._asdict()}
        return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


def row_of_line(line: str) -> Row:
    """Return the row of a line.

    Raises:
        ValueError: it is no row that this version reads; the message says why.
    """
    try:
        content: dict[str, Any] = json.loads(line)
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}; use the version that wrote it")
        group = Comparable(**{name: str(word) for name, word in content.pop("group").items()})
        figures = {name: _figure(each) for name, each in content.pop("figures").items()}
        row = Row(group=group, figures=figures, **content)
        if not all(isinstance(one, str) for one in (row.run, row.created, row.commit, row.verdict)):
            raise TypeError
        return row
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError):
        raise ValueError("it is no row of a history") from None


def _figure(content: Mapping[str, Any]) -> Figure:
    found = Figure(**content)
    numbers = [one for one in (found.low, found.high, found.limit) if one is not None]
    if found.kind not in _KINDS or not all(map(math.isfinite, (found.value, *numbers))):
        raise TypeError
    return found


_KINDS: Final = frozenset(metric.kind for metric in METRICS.values())


def row_of_run(run: RunFrames, outcome: RunVerdict, commit: str | None = None) -> Row:
    """Return the row of a run.

    Args:
        run: the run.
        outcome: its verdict.
        commit: what was measured; None for the commit that the run recorded.

    Raises:
        PartialRunError: the run was cut or interrupted, so that its figures are of a part.
    """
    short = shortfalls(run)
    if short:
        raise PartialRunError(run.directory, short[0][1])
    facts = run.manifest.facts
    return Row(
        run=run.manifest.run_id,
        created=str(facts.get("created") or ""),
        commit=commit or str(facts.get("git_commit") or ""),
        dirty=commit is None and bool(facts.get("git_dirty")),
        group=group_of(run),
        verdict=str(outcome.verdict),
        figures={
            figure_name(metric, statistic): figure
            for (metric, statistic), figure in figures_of(run, outcome).items()
        },
    )


def group_of(run: RunFrames) -> Comparable:
    """Return what a run may be compared with."""
    content = tomllib.loads(run.scenario.source)
    load = {name: content[name] for name in content if name not in _BESIDE_LOAD}
    ordered = {name: run.manifest.facts.get(name) for name in ORDERED}
    text = json.dumps([load, ordered], sort_keys=True, default=str)
    target = run.manifest.part("target")
    is_external = target.get("url") and not target.get("embedded")
    nodes = len(run.manifest.facts.get("nodes") or ())
    own = f"embedded, {nodes} nodes" if nodes else "embedded"
    return Comparable(
        scenario=run.scenario.name,
        load=hashlib.sha256(text.encode("utf-8")).hexdigest()[:16],
        machine=machine_of(run),
        target=str(target["url"]) if is_external else own,
    )


def figure_name(metric: str, statistic: str | None) -> str:
    """Return ``push.p99``, or the metric's name where it has no statistics."""
    return f"{metric}.{statistic}" if statistic else metric


def figures_of(run: RunFrames, outcome: RunVerdict) -> dict[tuple[str, str | None], Figure]:
    """Return the figures of a run by metric and statistic: those of its budgets, and ``MAIN``."""
    budgets: dict[tuple[str, str | None], Budget | None] = dict.fromkeys(MAIN)
    for decision in outcome.decisions:
        budget = decision.budget
        name = (budget.metric, budget.statistic)
        if budgets.get(name) is None:
            budgets[name] = None if budget.is_relative else budget
    found = {}
    for (metric, statistic), limiting in budgets.items():
        measured = measure(run, metric, statistic)
        if measured.value is None or lacking(measured, statistic):
            continue
        found[metric, statistic] = Figure(
            kind=METRICS[metric].kind,
            value=float(measured.value),
            low=None if measured.low is None else float(measured.low),
            high=None if measured.high is None else float(measured.high),
            operator="" if limiting is None else limiting.operator,
            limit=None if limiting is None else float(limiting.limit),
            invalid=_distrust(outcome, metric, limiting),
        )
    return found


def _distrust(outcome: RunVerdict, metric: str, budget: Budget | None) -> str:
    """Return which broken check of the run spoils a figure; empty when none does."""
    if not is_timing(metric):
        return ""
    broken = [check for check in outcome.checks if check.ok is False]
    spoiling = [check for check in broken if budget is None or spoils(check, budget)]
    return str(spoiling[0].name) if spoiling else ""
