"""Budgets: what a scenario demands of its metrics.

    budget    = metric [ "." statistic ] ( absolute | relative )
    absolute  = operator number [ unit ]
    relative  = "ratio" operator number [ "above" number unit ]
    metric    = a name of METRICS
    statistic = "p50" | "p90" | "p95" | "p99" | "p99.9" | "p99.99" | "max"
                                             quantile metrics, required
    operator  = "<=" | "<" | ">=" | ">" | "=="           (a ratio takes no "==")
    unit      = "ns" | "us" | "µs" | "ms" | "s" | "m" | "h"
                                             quantile metrics and spans, required
              | "B" | "KB" | "MB"            bytes, required
              | nothing                      counts, which are whole, and ratios

A relative budget judges the ratio of the run's value to a baseline's. It passes, whatever the
ratio, if the upper end of the run's interval is not above the limit after ``above``.

Examples: ``push.p99 <= 10 ms`` (absolute), ``delivery.lost == 0`` (count),
``memory.per_client <= 6 KB`` (slope), ``cost.per_message <= 20 us`` (cost),
``push.p99 ratio <= 1.10 above 2 ms`` (relative).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from scenarios.catalogue import METRICS, Metric
from scenarios.problems import Problem, ScenarioError, suggest
from scenarios.units import BYTE_UNITS, TIME_UNITS, split_quantity

Operator = Literal["<=", "<", ">=", ">", "=="]

STATISTICS: Final = ("p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
LONGEST: Final = 120
"""Characters of a budget."""
OPERATORS: Final = ("<=", ">=", "==", "<", ">")
_EXAMPLES: Final = {
    "quantiles": "10 ms",
    "span": "20 us",
    "number": "50_000",
    "bytes": "40 KB",
    "ratio": "1.5",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """One budget.

    Attributes:
        text: as written.
        metric: a name of ``METRICS``.
        statistic: of a quantile metric; None for any other.
        operator: between the value and the limit.
        limit: in the metric's unit (ns, B, or a plain number); for a relative budget, the ratio
            of the run's value to the baseline's.
        unit: as written.
        line: in its file, from 1.
        is_relative: whether it judges the ratio to a baseline.
        floor: of a relative budget, in the metric's unit: a value not above it keeps the budget;
            None without one.
        path: its file, when it is not the scenario's own; else empty.
    """

    text: str
    metric: str
    statistic: str | None
    operator: Operator
    limit: float
    unit: str
    line: int
    is_relative: bool = False
    floor: float | None = None
    path: str = ""

    @property
    def is_upper_limit(self) -> bool:
        """Whether the value must not exceed the limit."""
        return self.operator in ("<=", "<")

    @property
    def subject(self) -> tuple[str, str | None, bool]:
        """Metric, statistic, is_relative: an added budget replaces those with the same."""
        return self.metric, self.statistic, self.is_relative


_BUDGET: Final = re.compile(
    r"\s*(?P<name>[^\s<>=!]+)(?P<ratio>\s+ratio)?\s*(?P<operator>[<>=!~]+)\s*"
    r"(?P<number>.+?)(?:\s+above\s+(?P<floor>.+?))?\s*"
)


def parse_budget(text: str, line: int, path: str = "") -> Budget:
    """Return the budget of a text.

    Args:
        text: such as ``push.p99 <= 10 ms``.
        line: in its file, for messages and annotations.
        path: its file, when it is not the scenario's own.

    Raises:
        ScenarioError: the text is not a budget.
    """
    try:
        return _parse(text, line, path)
    except ValueError as error:
        problem = Problem(line, f'budget "{text[:LONGEST]}": {error}')
        raise ScenarioError(path or "budget", [problem]) from None


def _parse(text: str, line: int, path: str) -> Budget:
    if len(text) > LONGEST:
        raise ValueError(f"has {len(text):,} characters; a budget has at most {LONGEST}")
    match = _BUDGET.fullmatch(text)
    if match is None:
        raise ValueError('write metric, operator, number and unit, such as "push.p99 <= 10 ms"')
    if match["operator"] not in OPERATORS:
        raise ValueError(
            f"{match['operator']} is not an operator; use one of {', '.join(OPERATORS)}"
        )
    metric, statistic = _split_name(match["name"])
    is_relative = match["ratio"] is not None
    if is_relative:
        limit, unit = _ratio(match["number"], match["operator"], metric), ""
    else:
        limit, unit = _limit(match["number"], metric)
    return Budget(
        text=text,
        metric=metric.name,
        statistic=statistic,
        operator=cast(Operator, match["operator"]),
        limit=limit,
        unit=unit,
        line=line,
        is_relative=is_relative,
        floor=_floor(match["floor"], metric, is_relative=is_relative),
        path=path,
    )


def _split_name(name: str) -> tuple[Metric, str | None]:
    held = [m for m in METRICS if name == m or name.startswith(f"{m}.")]
    if not held:
        raise ValueError(f"unknown metric {name}; {_suggest_metric(name)}")
    metric = METRICS[max(held, key=len)]
    statistic = name[len(metric.name) + 1 :] or None
    if metric.kind == "quantiles" and statistic not in STATISTICS:
        said = f"{statistic} is not a statistic" if statistic else "the statistic is missing"
        allowed = ", ".join(STATISTICS)
        raise ValueError(f"{said}; use one of {allowed}, such as {metric.name}.p99")
    if metric.kind != "quantiles" and statistic:
        raise ValueError(f"{metric.name} has no statistics; write {metric.name} alone")
    return metric, statistic


def _suggest_metric(name: str) -> str:
    for statistic in STATISTICS:
        name = name.removesuffix(f".{statistic}")
    return suggest(name, METRICS)


def _ratio(text: str, operator: str, metric: Metric) -> float:
    if metric.kind in ("count", "ratio"):
        raise ValueError(
            f"{metric.name} is a {metric.kind}; "
            "only times, numbers and bytes take a ratio to a baseline"
        )
    if operator == "==":
        raise ValueError("no two runs are equal; a ratio takes one of <=, <, >=, >")
    found = split_quantity(text)
    if found is None or found[1] or not found[0]:
        raise ValueError(
            f"{text} is not a ratio; write a number over 0 without a unit, such as ratio <= 1.10"
        )
    return found[0]


def _floor(text: str | None, metric: Metric, *, is_relative: bool) -> float | None:
    if text is None:
        return None
    if not is_relative:
        raise ValueError(
            f'"above" needs a ratio; write such as {metric.name} ratio <= 1.10 above {text}'
        )
    return _limit(text, metric)[0]


def _limit(text: str, metric: Metric) -> tuple[float, str]:
    found = split_quantity(text)
    if found is None:
        raise ValueError(f"{text} is not a number with a unit; write such as {_example(metric)}")
    number, unit = found
    if metric.kind == "count":
        if unit or number != int(number):
            raise ValueError(
                f"{metric.name} is a count; its limit is a whole number without a unit"
            )
        return number, ""
    if metric.kind in ("number", "ratio"):
        if unit:
            raise ValueError(
                f"{metric.name} is a {metric.kind}; its limit is a number without a unit"
            )
        return number, ""
    units = BYTE_UNITS if metric.kind == "bytes" else TIME_UNITS
    if unit not in units:
        said = f"{unit} is not a unit of {metric.name}" if unit else "the unit is missing"
        raise ValueError(f"{said}; use one of {', '.join(units)}, such as {_example(metric)}")
    return number * units[unit], unit


def _example(metric: Metric) -> str:
    return _EXAMPLES.get(metric.kind, "0")
