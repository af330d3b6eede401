"""A broken time explained: where the excess over its budget or base went, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.results import CutBy, Verdict
from reports import quantities
from reports.decisions import Decision
from reports.measures.histograms import quantile_fraction
from reports.places import TimePlace, divide_by_profiles, is_divisible, parts_of
from reports.run_frames import RunFrames
from reports.stack_counts import Growth, StackCounts, grown, read_profile
from scenarios.schema import Budget


@dataclass(frozen=True, kw_only=True)
class BreachExplanation:
    """Where the excess of one broken time went.

    Attributes:
        budget: its text.
        metric: what was judged, such as ``push p99``.
        excess_ns: measured time less the reference.
        reference_ns: the budget's limit, or what the base measured.
        base_run: the id of the base; empty when the reference is the limit.
        shares: of the excess by place, largest first, without zeros; they sum to 1.
    """

    budget: str
    metric: str
    excess_ns: float
    reference_ns: float
    base_run: str
    shares: tuple[tuple[TimePlace, float], ...]

    @property
    def words(self) -> str:
        """The explanation in a sentence."""
        what = f"base ({self.base_run})" if self.base_run else "budget"
        told = ", ".join(
            f"{place} {share * 100:.0f} %" for place, share in self.shares if share >= 0.005
        )
        over = f"{quantities.span(self.excess_ns)} over its {what}"
        return f"{self.metric} is {over}; that time went to: {told}"

    def as_json(self) -> dict[str, Any]:
        """Return its part of ``verdict.json``."""
        return {
            "budget": self.budget,
            "metric": self.metric,
            "excess_ns": self.excess_ns,
            "reference_ns": self.reference_ns,
            "base_run": self.base_run or None,
            "shares": {str(place): share for place, share in self.shares},
            "words": self.words,
        }


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """The profiles of a run and its base; None for one that is missing."""

    head: StackCounts | None
    base: StackCounts | None

    @classmethod
    def of(cls, run: RunFrames, baseline: RunFrames | None) -> Profiles:
        """Return the profiles that the runs recorded."""
        base = None if baseline is None else read_profile(baseline.directory)
        return cls(head=read_profile(run.directory), base=base)

    def grown(self) -> list[Growth]:
        """Return the functions whose share grew; none without both profiles."""
        if self.head is None or self.base is None:
            return []
        return grown(self.base, self.head)


def explain_breach(
    run: RunFrames, decisions: Sequence[Decision], baseline: RunFrames | None
) -> BreachExplanation | None:
    """Return where the excess of the worst broken push time went.

    With a baseline the excess is what the run took longer than it, else the time over the budget.

    Args:
        run: the run.
        decisions: on its budgets.
        baseline: the run to compare with; None without one.

    Returns:
        None when no push time is broken, or none of it is over the reference.
    """
    is_cut = run.manifest.facts.get("cut_by") == CutBy.GROSS_BREACH
    broken = [one for one in decisions if _is_explained(one, is_cut=is_cut)]
    return explain_time(run, max(broken, key=_ratio).budget, baseline) if broken else None


def explain_time(
    run: RunFrames, budget: Budget, baseline: RunFrames | None
) -> BreachExplanation | None:
    """Return where the excess of a push time went, whatever the verdict on it.

    Args:
        run: the run.
        budget: on a push time.
        baseline: the run to compare with; None for the budget's limit.

    Returns:
        None when the time is not over the reference, or has none.
    """
    statistic = budget.statistic or "max"
    fraction = 1.0 if statistic == "max" else quantile_fraction(statistic)
    head = parts_of(run, budget.metric, fraction)
    base = None if baseline is None else parts_of(baseline, budget.metric, fraction)
    if head is None or (budget.is_relative and base is None):
        return None
    reference_ns = budget.limit if base is None else base.whole_ns
    excess_ns = head.whole_ns - reference_ns
    if excess_ns <= 0:
        return None
    found = head.places() if base is None else head.beyond(base)
    more = {place: max(0.0, span_ns) for place, span_ns in found.items()}
    profiles = Profiles.of(run, baseline)
    if base is not None and profiles.head is not None and profiles.base is not None:
        collections = head.pauses.share_of_collections(base.pauses)
        more = divide_by_profiles(more, profiles.base, profiles.head, collections)
    total = sum(more.values())
    ordered = sorted(((place, span / total) for place, span in more.items()), key=lambda p: -p[1])
    return BreachExplanation(
        budget=budget.text,
        metric=f"{budget.metric} {statistic}",
        excess_ns=excess_ns,
        reference_ns=reference_ns,
        base_run="" if base is None or baseline is None else baseline.manifest.run_id,
        shares=tuple((place, share) for place, share in ordered if share > 0),
    )


def _is_explained(decision: Decision, *, is_cut: bool) -> bool:
    """Return whether a decision is on a broken push time. A run that was cut has few values."""
    budget = decision.budget
    is_over = _ratio(decision) > 1
    is_broken = decision.verdict is Verdict.FAIL or (is_cut and is_over)
    return is_broken and budget.is_upper_limit and is_divisible(budget.metric)


def _ratio(decision: Decision) -> float:
    """Return how many times its limit a time is."""
    limit = decision.budget.limit
    return (decision.measurement.value or 0.0) / limit if limit else 0.0
