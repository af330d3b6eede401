"""What a scenario's budgets will have to go on, told before anything runs.

A run of a minute whose p99.9 comes from 200 values decides nothing. How many values a metric
will have follows from the scenario's rates and times; where it does not, nothing is said.
"""

from __future__ import annotations

import math
from typing import Final

from scenarios.budgets import Budget
from scenarios.model import MARKET_EVENTS, Scenario

CONFIDENCE: Final = 0.95
_HEARTBEAT_S: Final = 30.0  # the contract's default
_TIGHTEST_RATIO: Final = 1.03
"""A ratio nearer to 1 than this is beyond what six pairs on a quiet machine resolve."""


def samples_needed(quantile: float) -> int:
    """Return how many values bound a quantile from above with 95 % confidence.

    With n values all are below the quantile with probability quantile^n; the largest
    bounds it once that is at most 5 %: n ≥ ln 0.05 / ln quantile, so 299 for p99 and
    2,995 for p99.9 (Wilks 1941).

    Raises:
        ValueError: the quantile is not strictly between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile of {quantile} is not between 0 and 1")
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(quantile))


def foresee(scenario: Scenario, *, has_baseline: bool = False) -> list[str]:
    """Return in words each budget that a run of this scenario can hardly decide.

    Args:
        scenario: with its budgets.
        has_baseline: whether there will be a baseline for the relative ones.
    """
    found = [_foresee(budget, scenario, has_baseline=has_baseline) for budget in scenario.budgets]
    return [
        f"{budget.text}: {words}"
        for budget, words in zip(scenario.budgets, found, strict=True)
        if words
    ]


def _foresee(budget: Budget, scenario: Scenario, *, has_baseline: bool) -> str:
    if budget.is_relative and not has_baseline:
        return "it needs a baseline: name one with --baseline RUN, or use tidegate compare"
    if budget.is_relative and abs(math.log(budget.limit)) < math.log(_TIGHTEST_RATIO):
        words = f"changes under {_TIGHTEST_RATIO - 1:.0%} are lost in the noise of two runs"
        return f"{words}; it will hardly be decided"
    if budget.statistic is None or budget.statistic == "max":
        return ""
    needed = samples_needed(float(budget.statistic.removeprefix("p")) / 100)
    expected = expected_values(budget.metric, scenario)
    if expected is None or expected >= needed:
        return ""
    return (
        f"about {expected:,.0f} values are expected and {budget.statistic} needs {needed:,}; "
        "run longer, or with more users"
    )


def expected_values(metric: str, scenario: Scenario) -> float | None:
    """Return about how many values a run will have of a metric; None where nobody can tell."""
    steady_s = scenario.phases.steady_s
    if metric in ("push", "push_service"):
        return steady_s * sum(
            publish.rate * _receivers(publish.event, scenario) for publish in scenario.publish
        )
    if metric in ("accept", "publish_delay"):
        return steady_s * sum(publish.rate for publish in scenario.publish)
    if metric in ("ack", "ack_service", "schedule_delay"):
        trader, abuser = scenario.users.trader, scenario.users.abuser
        asked = trader.count * steady_s / trader.request_every_s if trader else 0.0
        return asked + (abuser.count * steady_s if abuser else 0.0)
    if metric in ("connect", "session", "session_delay"):
        return float(scenario.users.total)
    if metric in ("heartbeat.gap", "heartbeat.error"):
        every_s = float(scenario.gateway.get("GATEWAY_HEARTBEAT_SECONDS", _HEARTBEAT_S))
        beats = max(0.0, (scenario.phases.warm_up_s + steady_s) / every_s - 1)
        return scenario.users.total * beats
    return None


def _receivers(event: str, scenario: Scenario) -> float:
    """Return about how many users one publication reaches.

    A symbol of share w is held by about min(1, k·w) of users that hold k of them, and w of
    the publications are about it.
    """
    users = scenario.users.named()
    if event not in MARKET_EVENTS:
        return float(users["trader"].count) if "trader" in users else 0.0
    weights = scenario.market.weights()
    return sum(
        weight * users[name].count * min(1.0, symbols * weight)
        for name, symbols in scenario.users.symbols().items()
        for weight in weights
    )
