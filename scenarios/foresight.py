"""What a scenario's budgets will have to go on, told before anything runs.

A run of a minute whose p99.9 comes from 200 values decides nothing. How many values a metric
will have follows from the scenario's rates and times; where it does not, nothing is said.
"""

from __future__ import annotations

import math
from typing import Final

from scenarios.budgets import Budget
from scenarios.model import Scenario
from scenarios.producers import expected_values

CONFIDENCE: Final = 0.95
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
