"""What a scenario demands: the grammar of a budget and the closed list of metrics.

    budget    = metric [ "." statistic ] operator number [ unit ]
    metric    = a name of METRICS
    statistic = "p50" | "p90" | "p95" | "p99" | "p99.9" | "p99.99" | "max"
                                             quantile metrics, required
    operator  = "<=" | "<" | ">=" | ">" | "=="
    unit      = "ns" | "us" | "ms" | "s"     quantile metrics and spans, required
              | "B" | "KB" | "MB"            bytes, required
              | nothing                      counts, which are whole, and ratios

Examples: ``push.p99 <= 10 ms``, ``delivery.lost == 0``, ``memory.per_client <= 40 KB``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from scenarios.metrics import METRICS, Metric
from scenarios.problems import Problem, ScenarioError, suggest
from scenarios.quantities import BYTE_UNITS, TIME_UNITS, split_quantity

Operator = Literal["<=", "<", ">=", ">", "=="]

STATISTICS: Final = ("p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
OPERATORS: Final = ("<=", ">=", "==", "<", ">")


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """One demand. ``limit`` is in the metric's own unit: ns, B, or a plain count."""

    text: str
    metric: str
    statistic: str | None
    operator: Operator
    limit: float
    unit: str
    line: int


_BUDGET: Final = re.compile(
    r"\s*(?P<name>[^\s<>=!]+)\s*(?P<operator>[<>=!~]+)\s*(?P<number>.+?)\s*"
)


def parse_budget(text: str, line: int) -> Budget:
    """Return the budget that a text states.

    Raises:
        ScenarioError: with one problem, on ``line``, that says what would be right.
    """
    try:
        return _parse(text, line)
    except ValueError as error:
        raise ScenarioError("budget", [Problem(line, f'budget "{text}": {error}')]) from None


def _parse(text: str, line: int) -> Budget:
    match = _BUDGET.fullmatch(text)
    if match is None:
        raise ValueError('write metric, operator, number and unit, such as "push.p99 <= 10 ms"')
    if match["operator"] not in OPERATORS:
        raise ValueError(f"{match['operator']} is no operator; use one of {', '.join(OPERATORS)}")
    metric, statistic = _split_name(match["name"])
    limit, unit = _limit(match["number"], metric)
    return Budget(
        text=text,
        metric=metric.name,
        statistic=statistic,
        operator=cast(Operator, match["operator"]),
        limit=limit,
        unit=unit,
        line=line,
    )


def _split_name(name: str) -> tuple[Metric, str | None]:
    held = [m for m in METRICS if name == m or name.startswith(f"{m}.")]
    if not held:
        raise ValueError(f"unknown metric {name}; {_suggest_metric(name)}")
    metric = METRICS[max(held, key=len)]
    statistic = name[len(metric.name) + 1 :] or None
    if metric.kind == "quantiles" and statistic not in STATISTICS:
        said = f"{statistic} is no statistic" if statistic else "a statistic is missing"
        allowed = ", ".join(STATISTICS)
        raise ValueError(f"{said}; use one of {allowed}, such as {metric.name}.p99")
    if metric.kind != "quantiles" and statistic:
        raise ValueError(f"{metric.name} has no statistics; write {metric.name} alone")
    return metric, statistic


def _suggest_metric(name: str) -> str:
    for statistic in STATISTICS:
        name = name.removesuffix(f".{statistic}")
    return suggest(name, METRICS)


def _limit(text: str, metric: Metric) -> tuple[float, str]:
    found = split_quantity(text)
    if found is None:
        raise ValueError(
            f"{text} is no number with an optional unit; write such as {_example(metric)}"
        )
    number, unit = found
    if metric.kind == "count":
        if unit or number != int(number):
            raise ValueError(f"{metric.name} counts: its limit is a whole number without a unit")
        return number, ""
    if metric.kind == "ratio":
        if unit:
            raise ValueError(f"{metric.name} is a ratio: its limit is a number without a unit")
        return number, ""
    units = BYTE_UNITS if metric.kind == "bytes" else TIME_UNITS
    if unit not in units:
        said = f"{unit} is no unit of it" if unit else "a unit is missing"
        raise ValueError(f"{said}; use one of {', '.join(units)}, such as {_example(metric)}")
    return number * units[unit], unit


def _example(metric: Metric) -> str:
    examples = {"quantiles": "10 ms", "span": "20 us", "bytes": "40 KB", "ratio": "1.5"}
    return examples.get(metric.kind, "0")
