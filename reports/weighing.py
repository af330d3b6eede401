"""What a time is worth, given the checks of its run (``reports.believability``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtests.results import Verdict
from reports.believability import Check, CheckName
from reports.measures import heartbeat, latency
from scenarios.schema import METRICS, Budget

_CPU_TIMES: Final = frozenset({"cost.per_message"})
_SHRINK: Final = frozenset({"fanout.skew", "heartbeat.gap"})
"""Times between two readings: a generator that reads both late makes them shorter."""
_TIMED_RATIOS: Final = "fairness."
"""Ratios of spans, not of sizes."""

NEGLIGIBLE_SHARE: Final = 0.1
"""A delay of the generator up to this share of a budget's limit does not spoil the budget."""


def is_stream(budget: Budget) -> bool:
    """Return whether a metric has values all through a phase, so that seconds can be left out."""
    return budget.metric in latency.QUANTILES or budget.metric in heartbeat.QUANTILES


def is_timing(metric: str) -> bool:
    """Return whether a metric comes from the generator's stamps, which its bad health spoils.

    CPU time is the kernel's own account of the gateway.
    """
    kind = METRICS[metric].kind
    if kind == "span":
        return metric not in _CPU_TIMES
    return kind == "quantiles" or metric.startswith(_TIMED_RATIOS)


def weigh_checks(
    verdict: Verdict, why: str, checks: Sequence[Check], budget: Budget
) -> tuple[Verdict, str, Check | None]:
    """Return what a time is worth, and the check that makes it INVALID, if one does.

    A delay of the generator is an error of what was timed. Where it is at most a tenth of the
    limit it decides nothing: 15 ms say nothing against a drain that may take 25 s.

    Args:
        verdict: by the interval alone; a FAIL of an upper limit is confirmed already.
        why: in words.
        checks: of the run.
        budget: about a time, or a ratio of times.
    """
    broken = [check for check in checks if spoils(check, budget)]
    decisive = [check for check in broken if not _is_withstood(check, verdict, budget)]
    unknown = [check for check in checks if check.ok is None and check.is_essential]
    if decisive:
        return Verdict.INVALID, decisive[0].words, decisive[0]
    if unknown and verdict is Verdict.PASS:
        told = f"{unknown[0].name} is not known: {unknown[0].why}"
        return Verdict.INCONCLUSIVE, told, None
    if broken:
        told = "kept over all seconds" if verdict is Verdict.PASS else "broken in clean seconds too"
        told = f"{told}, though many are dirty"
        why = f"{told}; {why}" if why else told
    return verdict, why, None


def spoils(check: Check, budget: Budget) -> bool:
    """Return whether a check is broken, and by so much that it matters to a budget."""
    if check.ok is not False or not is_timing(budget.metric):
        return False
    limit_ns = time_limit(budget)
    if not check.is_delay or limit_ns is None or check.value is None:
        return True
    return check.value > limit_ns * NEGLIGIBLE_SHARE


def _is_withstood(check: Check, verdict: Verdict, budget: Budget) -> bool:
    """Return whether a verdict holds however many seconds are dirty."""
    if check.name is not CheckName.DIRTY or time_limit(budget) is None:
        return False
    if verdict is Verdict.FAIL:
        return budget.is_upper_limit and is_stream(budget)
    return verdict is Verdict.PASS and budget.is_upper_limit and budget.metric not in _SHRINK


def time_limit(budget: Budget) -> float | None:
    """Return a budget's limit in ns; None where it is none, as of a ratio."""
    is_time = METRICS[budget.metric].unit == "ns" and not budget.is_relative
    return budget.limit if is_time else None
