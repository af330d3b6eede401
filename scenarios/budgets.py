"""What a scenario demands: the grammar of a budget and the closed list of metrics.

    budget    = metric [ "." statistic ] operator number [ unit ]
    metric    = a name of METRICS
    statistic = "p50" | "p90" | "p95" | "p99" | "p99.9" | "max"     quantile metrics, required
    operator  = "<=" | "<" | ">=" | ">" | "=="
    unit      = "ns" | "us" | "ms" | "s"     quantile metrics, required
              | "B" | "KB" | "MB"            bytes, required
              | nothing                      counts

Examples: ``push.p99 <= 10 ms``, ``delivery.lost == 0``, ``memory.per_client <= 40 KB``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from scenarios.problems import Problem, ScenarioError, suggest
from scenarios.quantities import BYTE_UNITS, TIME_UNITS, split_quantity

Kind = Literal["quantiles", "count", "bytes"]
Operator = Literal["<=", "<", ">=", ">", "=="]

STATISTICS: Final = ("p50", "p90", "p95", "p99", "p99.9", "max")
OPERATORS: Final = ("<=", ">=", "==", "<", ">")


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that a run measures; ``unit`` is the unit of its values: ns, B or nothing."""

    name: str
    kind: Kind
    unit: str
    meaning: str


def _metrics() -> dict[str, Metric]:
    quantiles = {
        "push": "push one-way, from the publisher's intended time to the read stamp",
        "push_service": "push one-way, from the moment it was numbered to the read stamp",
        "ack": "acknowledgement round trip, from the intended time",
        "ack_service": "acknowledgement round trip, from the time it was sent",
        "connect": "from the first packet of a connection to the welcome event",
        "session": "a user's first connection, from its intended arrival to the welcome event",
        "session_delay": "a virtual user's arrival: begun − intended",
        "heartbeat.error": "how far a heartbeat's gap is off the announced interval",
        "heartbeat.gap": "between two heartbeats in a row at one client",
        "schedule_delay": "a virtual user's request: sent − intended",
        "publish_delay": "a publication: sent − intended",
        "publish_ack": "a publish request: answered − intended",
    }
    counts = {
        "heartbeat.missed": "heartbeats that never came",
        "rate_limit.accepted": "events of the abuser that the gateway accepted",
        "rate_limit.refused": "events of the abuser that the gateway refused",
        "rate_limit.false_accepts": "events accepted that the limit forbids",
        "rate_limit.false_refusals": "events refused that the limit allows",
        "rate_limit.neighbours_refused": "refusals met by users who kept within the limit",
        "delivery.owed": "deliveries owed, summed over clients",
        "delivery.received": "deliveries received, each number once",
        "delivery.lost": "deliveries owed, not conflated and never received",
        "delivery.duplicate": "deliveries received again",
        "delivery.reordered": "deliveries received after a later one",
        "delivery.late": "deliveries received after the answer that ended the stay",
        "delivery.leaked": "deliveries received and not owed",
        "delivery.conflated": "deliveries owed and replaced by a newer one",
        "errors": "failures that no scenario asked for",
        "missed": "intended publications, requests and sessions that never were",
    }
    found = [Metric(name, "quantiles", "ns", meaning) for name, meaning in quantiles.items()]
    found += [Metric(name, "count", "", meaning) for name, meaning in counts.items()]
    found.append(Metric("memory.per_client", "bytes", "B", "gateway memory that one client costs"))
    return {metric.name: metric for metric in found}


METRICS: Final[dict[str, Metric]] = _metrics()
"""The closed list of what a budget may judge, by name."""


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
    units = TIME_UNITS if metric.kind == "quantiles" else BYTE_UNITS
    if unit not in units:
        said = f"{unit} is no unit of it" if unit else "a unit is missing"
        raise ValueError(f"{said}; use one of {', '.join(units)}, such as {_example(metric)}")
    return number * units[unit], unit


def _example(metric: Metric) -> str:
    return {"quantiles": "10 ms", "bytes": "40 KB", "count": "0"}[metric.kind]
