"""What a promise says of a measurement: kept, broken, or undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tests.benchmarks.transport.intervals import (
    Estimate,
    estimate_difference,
    estimate_ratio,
)

MOST_RATIO: Final = 1.25
MOST_MORE_MS: Final = 2.0
_COVERAGE: Final = 0.95  # six pairs give 96.9 %: their extremes


class Verdict(StrEnum):
    """What came of a promise."""

    KEPT = "kept"
    BROKEN = "broken"
    UNDECIDED = "undecided"
    UNMEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table.

    Attributes:
        key: in JSON.
        title: what was done.
        measured: what came out, in words.
        promise: what should have.
        verdict: whether it did.
        figures: behind the words.
    """

    key: str
    title: str
    measured: str
    promise: str
    verdict: Verdict
    figures: Mapping[str, Any] = field(default_factory=dict)


def judge(is_kept: bool) -> Verdict:
    """Return the verdict on something that was counted, not estimated."""
    return Verdict.KEPT if is_kept else Verdict.BROKEN


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Bystanders' p99 beside a hostile client and without, from pairs.

    Attributes:
        ratio: with : without.
        more_ms: with − without.
        verdict: kept when either bound holds by its interval's upper end; broken when both are
            passed by the lower ends.
    """

    ratio: Estimate
    more_ms: Estimate
    verdict: Verdict


def compare(with_ms: Sequence[float], without_ms: Sequence[float]) -> Comparison:
    """Compare paired p99s; fewer than six pairs decide nothing.

    Raises:
        ValueError: no pairs, or unequal lengths.
    """
    ratio = estimate_ratio(with_ms, without_ms, _COVERAGE)
    more = estimate_difference(with_ms, without_ms, _COVERAGE)
    verdict = Verdict.UNDECIDED
    if _lies_below(ratio, MOST_RATIO) or _lies_below(more, MOST_MORE_MS):
        verdict = Verdict.KEPT
    elif _lies_above(ratio, MOST_RATIO) and _lies_above(more, MOST_MORE_MS):
        verdict = Verdict.BROKEN
    return Comparison(ratio=ratio, more_ms=more, verdict=verdict)


def _lies_below(estimate: Estimate, bound: float) -> bool:
    return _is_wide_enough(estimate) and estimate.high is not None and estimate.high <= bound


def _lies_above(estimate: Estimate, bound: float) -> bool:
    return _is_wide_enough(estimate) and estimate.low is not None and estimate.low > bound


def _is_wide_enough(estimate: Estimate) -> bool:
    """Return whether there were pairs enough for an interval that can be trusted."""
    return estimate.coverage >= _COVERAGE
