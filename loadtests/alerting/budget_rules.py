"""A recording rule and an alert for each budget that has a series.

A quantile is taken over five minutes. A maximum counts the values in the buckets above its limit,
so it rounds up to a bucket and gives no false alarm. A count is what came in ten minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from loadtests.alerting.rules import Alert, Record, RuleGroup
from loadtests.alerting.series import SERIES, Computed, Counted, Times, why_absent
from scenarios.budgets import Budget
from scenarios.schema import Scenario

SECTION: Final = "Alerts of budgets"
QUANTILE_WINDOW: Final = "5m"
COUNT_WINDOW: Final = "10m"
_NS_PER_S: Final = 1e9
_BROKEN: Final = {"<=": ">", "<": ">=", ">=": "<", ">": "<=", "==": "!="}
"""By the operator of a budget: the operator of its alert."""
_IS_ABOVE: Final = ("<=", "<", "==")


class BudgetRule(NamedTuple):
    """What a budget becomes.

    Attributes:
        budget: the budget.
        record: the value as a series.
        alert: fires while the value breaks the budget.
        limit: of the alert, in the unit of the record.
        unit: Grafana's name for the unit of the record.
    """

    budget: Budget
    record: Record
    alert: Alert
    limit: float
    unit: str


class AbsentRule(NamedTuple):
    """A budget without a series, and the reason."""

    budget: Budget
    reason: str


class BudgetRules(NamedTuple):
    """The rules of a scenario's budgets, and the budgets that have none."""

    rules: Sequence[BudgetRule]
    absent: Sequence[AbsentRule]


def rules_of(scenario: Scenario) -> BudgetRules:
    """Return what the budgets of a scenario become; each is in one of the two lists."""
    rules: list[BudgetRule] = []
    absent: list[AbsentRule] = []
    for budget in scenario.budgets:
        reason = _reason(budget)
        if reason:
            absent.append(AbsentRule(budget, reason))
        else:
            rules.append(_rule(budget, scenario.name))
    return BudgetRules(rules, absent)


def groups_of(scenario: str, rules: Sequence[BudgetRule]) -> list[RuleGroup]:
    """Return the groups of a scenario's rules: first what is recorded, then the alerts."""
    records = {rule.record.name: rule.record for rule in rules}
    return [
        RuleGroup(f"tidegate-{scenario}-records", [*records.values()]),
        RuleGroup(f"tidegate-{scenario}-budgets", [rule.alert for rule in rules]),
    ]


def _reason(budget: Budget) -> str:
    """Return why a budget has no rule; empty when it has one."""
    if budget.is_relative:
        return "it compares two runs"
    series = SERIES.get(budget.metric)
    if series is None:
        return why_absent(budget.metric)
    if isinstance(series, Counted) and (budget.operator not in _IS_ABOVE or _is_exact(budget)):
        return "a least or exact count depends on the load of the scenario"
    if isinstance(series, Times) and budget.statistic == "max":
        if budget.operator not in _IS_ABOVE:
            return "a maximum can only be limited from above"
        if not series.maximum and _bound_s(series, budget) is None:
            return f"no bucket of {series.name} ends above the limit"
    return ""


def _is_exact(budget: Budget) -> bool:
    return budget.operator == "==" and budget.limit > 0


def _rule(budget: Budget, scenario: str) -> BudgetRule:
    series = SERIES[budget.metric]
    expression, unit = _expression(series, budget)
    limit, operator = _limit(series, budget), _BROKEN[budget.operator]
    if _counts_above(series, budget):
        limit, operator = 0.0, ">"
    name = f"instance:tidegate_{budget.metric.replace('.', '_')}:{_operation(series, budget)}"
    labels = {"scenario": scenario}
    record = Record(name=name, expression=expression, labels=labels)
    alert = Alert(
        name=f"TidegateBudget{_camel(budget)}",
        expression=f'{name}{{scenario="{scenario}"}} {operator} {limit:.12g}',
        lasts="0m" if isinstance(series, Counted) else "2m",
        severity="page",
        summary=f'{{{{ $labels.instance }}}} breaks the budget "{budget.text}"',
        section=SECTION,
        labels=labels,
    )
    return BudgetRule(budget, record, alert, limit, unit)


def _counts_above(series: object, budget: Budget) -> bool:
    return isinstance(series, Times) and budget.statistic == "max" and not series.maximum


def _expression(series: Times | Counted | Computed, budget: Budget) -> tuple[str, str]:
    """Return the PromQL of a budget's value, and Grafana's name for its unit."""
    if isinstance(series, Computed):
        return series.expression, "ns"
    if isinstance(series, Counted):
        labels = f"{{{series.labels}}}" if series.labels else ""
        return (
            f"sum by (instance) (increase({series.name}{labels}[{COUNT_WINDOW}]))",
            "short",
        )
    if budget.statistic == "max" and series.maximum:
        return f"max by (instance) ({series.maximum})", "s"
    if budget.statistic == "max":
        total = f"sum by (instance) (increase({series.name}_count[{QUANTILE_WINDOW}]))"
        within = f'{series.name}_bucket{{le="{_bound_s(series, budget)}"}}[{QUANTILE_WINDOW}]'
        return f"{total} - sum by (instance) (increase({within}))", "short"
    rank = float((budget.statistic or "p50").removeprefix("p")) / 100
    buckets = f"sum by (instance, le) (rate({series.name}_bucket[{QUANTILE_WINDOW}]))"
    return f"histogram_quantile({rank:.6g}, {buckets})", "s"


def _bound_s(series: Times, budget: Budget) -> float | None:
    """Return the least upper bound of a bucket that is not below the limit, s."""
    return next((bound for bound in series.bounds_s if bound >= budget.limit / _NS_PER_S), None)


def _limit(series: object, budget: Budget) -> float:
    return budget.limit / _NS_PER_S if isinstance(series, Times) else budget.limit


def _operation(series: object, budget: Budget) -> str:
    if isinstance(series, Counted):
        return f"increase{COUNT_WINDOW}"
    if isinstance(series, Computed):
        return f"ratio_rate{QUANTILE_WINDOW}"
    if _counts_above(series, budget):
        return f"over_{budget.limit / _NS_PER_S * 1_000:g}ms".replace(".", "_")
    return (budget.statistic or "").replace(".", "_")


def _camel(budget: Budget) -> str:
    words = f"{budget.metric}.{budget.statistic or ''}".replace(".", "_").split("_")
    side = "" if budget.operator in _IS_ABOVE else "Low"
    return "".join(word[:1].upper() + word[1:] for word in words) + side
