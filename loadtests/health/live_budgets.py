"""The present state of each budget during a run, as far as live figures tell it. Pure.

The report decides a budget from the whole run, its intervals and its dirty seconds. Here a time
is the quantile of all steady seconds so far, and a count is the count so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtests.health.live_table import ABSENT, kilobytes, span
from loadtests.record.histogram import Histogram
from scenarios.schema import Budget

_COUNTS: Final[Mapping[str, str]] = {
    "errors": "errors",
    "missed": "missed",
    "heartbeat.missed": "heartbeats_missed",
    "rate_limit.accepted": "limits_accepted",
    "rate_limit.refused": "limits_refused",
}
"""Metrics that are members of ``logs/live.json``."""
_LIMIT_ERRORS: Final = frozenset(
    {
        "rate_limit.false_accepts",
        "rate_limit.false_refusals",
        "rate_limit.neighbours_refused",
    }
)
"""Metrics that ``limits_wrong`` counts together: each is 0 while that is 0."""
_MEMORY: Final = "memory.per_client"


class BudgetState(StrEnum):
    """What is known of a budget now."""

    KEPT = "kept so far"
    BROKEN = "broken so far"
    EMPTY = "no data yet"
    LATER = "judged at the end"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveBudget:
    """A budget, its state, and the present value with its unit; a dash without one."""

    text: str
    state: BudgetState
    now: str


def describe_budgets(
    budgets: Sequence[Budget], live: Mapping[str, Any], push: Histogram
) -> tuple[LiveBudget, ...]:
    """Return the state of each budget.

    Args:
        budgets: of the scenario.
        live: the newest second, as in ``logs/live.json``; empty before the first.
        push: all pushes of the steady phase so far.
    """
    return tuple(_describe(budget, live, push) for budget in budgets)


def _describe(budget: Budget, live: Mapping[str, Any], push: Histogram) -> LiveBudget:
    if budget.is_relative:
        return LiveBudget(text=budget.text, state=BudgetState.LATER, now=ABSENT)
    if budget.metric == "push":
        return _state(budget, push.quantile_ns(_fraction(budget.statistic)), span)
    if budget.metric in _COUNTS:
        return _state(budget, live.get(_COUNTS[budget.metric]), "{:,}".format)
    if budget.metric == _MEMORY:
        return _state(budget, live.get("memory_per_client_bytes"), kilobytes)
    if budget.metric in _LIMIT_ERRORS and live.get("limits_wrong") == 0:
        return _state(budget, 0, "{:,}".format)
    return LiveBudget(text=budget.text, state=BudgetState.LATER, now=ABSENT)


def _state(budget: Budget, value: float | None, show: Callable[[Any], str]) -> LiveBudget:
    if value is None:
        return LiveBudget(text=budget.text, state=BudgetState.EMPTY, now=ABSENT)
    is_kept = {
        "<=": value <= budget.limit,
        "<": value < budget.limit,
        ">=": value >= budget.limit,
        ">": value > budget.limit,
        "==": value == budget.limit,
    }[budget.operator]
    state = BudgetState.KEPT if is_kept else BudgetState.BROKEN
    return LiveBudget(text=budget.text, state=state, now=show(value))


def _fraction(statistic: str | None) -> float:
    """Return 0.99 for ``p99``, and 1 for ``max``."""
    return float(statistic.removeprefix("p")) / 100 if statistic not in (None, "max") else 1.0
