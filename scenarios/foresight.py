"""Warnings before a run about budgets that it can hardly decide.

A p99.9 from 200 values decides nothing. The expected number of values follows from the scenario's
rates and times; without an expectation there is no warning.
"""

from __future__ import annotations

import math
from typing import Final

from scenarios.budgets import Budget
from scenarios.model import Scenario
from scenarios.producers import expected_values

CONFIDENCE: Final = 0.95
_TIGHTEST_RATIO: Final = 1.03
"""Six pairs on a quiet machine do not resolve a ratio closer to 1 than this."""


def samples_needed(quantile: float) -> int:
    """Return the number of values that bound a quantile from above with 95 % confidence.

    All of n values are below the quantile with probability quantile^n. The largest value is an
    upper bound once that is at most 5 %: n ≥ ln 0.05 / ln quantile, so 299 for p99 and 2,995 for
    p99.9 (Wilks 1941).

    Raises:
        ValueError: the quantile is not strictly between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile {quantile} is not between 0 and 1")
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(quantile))


def foresee(scenario: Scenario, *, has_baseline: bool = False) -> list[str]:
    """Return a warning for each budget that a run of this scenario can hardly decide.

    Args:
        scenario: with its budgets.
        has_baseline: whether relative budgets will have a baseline.
    """
    found = [_foresee(budget, scenario, has_baseline=has_baseline) for budget in scenario.budgets]
    return [
        f"{budget.text}: {words}"
        for budget, words in zip(scenario.budgets, found, strict=True)
        if words
    ]


def _foresee(budget: Budget, scenario: Scenario, *, has_baseline: bool) -> str:
    if budget.is_relative and not has_baseline:
        return "a ratio needs a baseline; name one with --baseline RUN, or use tidegate compare"
    if budget.is_relative and abs(math.log(budget.limit)) < math.log(_TIGHTEST_RATIO):
        return f"two runs do not resolve changes below {_TIGHTEST_RATIO - 1:.0%}"
    if budget.statistic is None or budget.statistic == "max":
        return ""
    needed = samples_needed(float(budget.statistic.removeprefix("p")) / 100)
    expected = expected_values(budget.metric, scenario)
    if expected is None or expected >= needed:
        return ""
    return (
        f"{budget.statistic} needs {needed:,} values, and about {expected:,.0f} are expected; "
        "run longer, or with more users"
    )
