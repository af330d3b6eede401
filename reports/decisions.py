"""Decide one budget of a run by the interval of what it judges, not by the value alone.

    every value of the interval keeps the limit      PASS
    none does                                        FAIL
    some do, or the data are too few, or absent      INCONCLUSIVE
    a time that cannot be believed                   INVALID (``reports.believability``)

Counts are exact, so they pass or fail. ``reports.ratios`` decides a relative budget from this
run (head) and one other (base). The ratio's interval is [head.low / base.high, head.high /
base.low]. It is this wide because one run of each gateway gives no estimate of run-to-run
variance.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtests.results import Verdict
from reports import quantities
from reports.baselines import Baseline
from reports.believability import Check, dirty_percent, dirty_seconds
from reports.measures import heartbeat, latency
from reports.measures.histograms import STEADY
from reports.measures.latency import measure_stream
from reports.measures.measurement import Measurement
from reports.measures.registry import measure
from reports.ratios import Ratio, change, judge_ratio, unjudged
from reports.run_frames import RunFrames
from reports.shifts import Shift
from reports.weighing import is_stream, is_timing, time_limit, weigh_checks
from scenarios.schema import METRICS, Budget

SEVERITY: Final = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INVALID, Verdict.FAIL)
"""From the mildest to the worst."""

Finding = tuple[Verdict, str]
"""What something came to, and in words why."""

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What stands behind a ratio: both values, in the metric's own unit, and what it can see."""

    base: float | None
    head: float | None
    base_run: str
    visible: float | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One budget and what it came to; ``why`` is a sentence for a human.

    The measurement of a relative budget is the ratio; ``compared`` has what it is made of.
    ``spoiler`` is the broken check that makes it INVALID.
    """

    budget: Budget
    measurement: Measurement
    verdict: Verdict
    why: str
    compared: Compared | None = None
    spoiler: Check | None = None

    @property
    def kind(self) -> str:
        """What the value is: the metric's kind, or ``ratio`` for a relative budget."""
        return "ratio" if self.budget.is_relative else METRICS[self.budget.metric].kind

    def as_json(self) -> dict[str, Any]:
        """Return its part of ``verdict.json``."""
        budget, measurement, compared = self.budget, self.measurement, self.compared
        return {
            "text": budget.text,
            "path": budget.path,
            "line": budget.line,
            "metric": budget.metric,
            "statistic": budget.statistic,
            "operator": budget.operator,
            "limit": budget.limit,
            "unit": budget.unit,
            "relative": budget.is_relative,
            "floor": budget.floor,
            "value": measurement.value,
            "low": measurement.low,
            "high": measurement.high,
            "n": measurement.n,
            "base": None if compared is None else compared.base,
            "head": None if compared is None else compared.head,
            "base_run": None if compared is None else compared.base_run,
            "visible": None if compared is None else compared.visible,
            "verdict": str(self.verdict),
            "why": self.why,
        }


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of FAIL > INVALID > INCONCLUSIVE > PASS; of nothing, INCONCLUSIVE."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.INCONCLUSIVE)


def decide(
    run: RunFrames, budget: Budget, checks: Sequence[Check], baseline: Baseline | None = None
) -> Decision:
    """Decide one budget.

    Args:
        run: the run.
        budget: of its scenario, or laid over it.
        checks: of the run (``reports.believability.check_run``).
        baseline: what a relative budget compares with.
    """
    measurement = measure(run, budget.metric, budget.statistic)
    if budget.is_relative:
        return _decide_ratio(budget, measurement, checks, baseline)
    verdict, why = _judge_measurement(budget, measurement)
    spoiler: Check | None = None
    if is_timing(budget.metric) and measurement.value is not None:
        if verdict is Verdict.FAIL and budget.is_upper_limit and time_limit(budget) is not None:
            verdict, why = _confirm_failure(run, budget, why)
        verdict, why, spoiler = weigh_checks(verdict, why, checks, budget)
    return Decision(
        budget=budget, measurement=measurement, verdict=verdict, why=why, spoiler=spoiler
    )


def _confirm_failure(run: RunFrames, budget: Budget, why: str) -> Finding:
    """Return what a broken upper limit comes to without the seconds that lost more than it.

    Such a second can have broken the limit by itself. Times that came all through a phase are
    measured anew. Others have too few values for that, so only the number of such seconds counts.
    """
    has_stream = is_stream(budget)
    phases = latency.SOURCES[budget.metric][1] if has_stream else STEADY
    dirty = dirty_seconds(run, phases, limit_ns=budget.limit)
    if not dirty:
        return Verdict.FAIL, why
    without = (
        f"without the {quantities.counted(len(dirty), 'second')} that are dirty or lost more than "
        f"{quantities.limit_span(budget.limit)}"
    )
    if not has_stream:
        too_many = dirty_percent(run, dirty) > run.scenario.health.dirty_seconds_percent
        unknown = Verdict.INVALID, f"broken, but nothing can be told {without}"
        return unknown if too_many else (Verdict.FAIL, why)
    anew = heartbeat.measure_gaps if budget.metric in heartbeat.QUANTILES else measure_stream
    found = anew(run, budget.metric, budget.statistic or "", without=frozenset(dirty))
    verdict, _ = _judge_measurement(budget, found)
    if verdict is Verdict.PASS:
        return Verdict.INVALID, f"broken, but kept {without}"
    if verdict is Verdict.INCONCLUSIVE:
        return verdict, f"broken, but too little is left to tell {without}"
    return Verdict.FAIL, why


def _judge_measurement(budget: Budget, measurement: Measurement) -> Finding:
    kind = METRICS[budget.metric].kind
    without = lacking(measurement, budget.statistic)
    if without:
        words = f"no data: {without}" if measurement.value is None else without
        return Verdict.INCONCLUSIVE, words
    if measurement.low is None or measurement.high is None:
        return Verdict.INCONCLUSIVE, measurement.why
    verdict = compare(budget.operator, budget.limit, measurement.low, measurement.high)
    why = measurement.why
    if verdict is Verdict.INCONCLUSIVE:
        low, high = (quantities.quantity(end, kind) for end in (measurement.low, measurement.high))
        straddled = f"the limit lies inside the interval, {low} to {high}"
        why = f"{straddled}; {why}" if why else straddled
    return verdict, why


def lacking(measurement: Measurement, statistic: str | None) -> str:
    """Return why a measurement cannot be judged at all; empty when it can."""
    if measurement.value is None:
        return measurement.why or "no data"
    if measurement.needed and (measurement.n or 0) < measurement.needed:
        return f"{measurement.n:,} values; {statistic} needs {measurement.needed:,}"
    return ""


def compare(comparison: str, limit: float, low: float, high: float) -> Verdict:
    """Return the verdict on an interval: PASS if all of it keeps the limit, FAIL if none does.

    Args:
        comparison: ``<=``, ``<``, ``>=``, ``>`` or ``==``.
        limit: the budget's limit, in the metric's unit.
        low: lower end of the interval, same unit.
        high: upper end, same unit.
    """
    if comparison == "==":
        if low == high == limit:
            return Verdict.PASS
        return Verdict.INCONCLUSIVE if low <= limit <= high else Verdict.FAIL
    keeps = _COMPARISONS[comparison]
    ends = (keeps(low, limit), keeps(high, limit))
    if all(ends):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if any(ends) else Verdict.FAIL


def _decide_ratio(
    budget: Budget, head: Measurement, checks: Sequence[Check], baseline: Baseline | None
) -> Decision:
    if baseline is None:
        why = "no baseline; name one with --baseline RUN, or use tidegate compare"
        return _decided(budget, unjudged(why), head, None, "")
    base = measure(baseline.run, budget.metric, budget.statistic)
    run_id = baseline.run.manifest.run_id
    if budget.floor is not None and head.high is not None and head.high <= budget.floor:
        floor = quantities.quantity(budget.floor, METRICS[budget.metric].kind)
        ratio = Ratio(
            value=_over(head.value, base.value), low=None, high=None, visible=None,
            verdict=Verdict.PASS, why=f"not above {floor}, where the ratio does not matter",
        )  # fmt: skip
    else:
        ratio = ratio_of(budget, base, head)
    found = _decided(budget, ratio, head, base, run_id)
    verdict, why, spoiler = found.verdict, found.why, found.spoiler
    if is_timing(budget.metric) and ratio.value is not None:
        verdict, why, spoiler = weigh_checks(verdict, why, checks, budget)
        if any(check.ok is False for check in baseline.checks):
            verdict, spoiler = Verdict.INVALID, None
            why = "the baseline's generator was in bad health"
    if baseline.advice and verdict in (Verdict.FAIL, Verdict.PASS):
        # What another machine measured decides nothing; what it would have said is told.
        verdict, why = Verdict.INCONCLUSIVE, f"advisory, would be {verdict}: {baseline.advice}"
    return replace(found, verdict=verdict, why=why, spoiler=spoiler)


def ratio_of(budget: Budget, base: Measurement, head: Measurement) -> Ratio:
    """Return the ratio of two runs' measurements under a relative budget.

    Args:
        budget: a budget whose limit is a ratio.
        base: the baseline's measurement.
        head: the measurement that is judged.
    """
    for name, side in (("the baseline: ", base), ("", head)):
        without = lacking(side, budget.statistic)
        if without:
            return unjudged(f"{name}{without}")
        if side.low is None or side.high is None:
            return unjudged(f"{name}{side.why}")
        if side.low <= 0:
            return unjudged(f"{name}its interval reaches down to nothing, so no ratio is safe")
    ends = [
        math.log(float(upper) / float(lower))  # type: ignore[arg-type]  # None was sent away above
        for upper, lower in ((head.value, base.value), (head.low, base.high), (head.high, base.low))
    ]
    return judge_ratio(budget, Shift(value=ends[0], low=ends[1], high=ends[2], coverage=None, n=1))


def _over(head: float | None, base: float | None) -> float | None:
    return head / base if head is not None and base else None


def _decided(
    budget: Budget, ratio: Ratio, head: Measurement, base: Measurement | None, base_run: str
) -> Decision:
    measurement = Measurement(
        value=ratio.value, low=ratio.low, high=ratio.high, n=head.n, why=ratio.why
    )
    compared = Compared(
        base=base.value if base else None,
        head=head.value,
        base_run=base_run,
        visible=ratio.visible,
    )
    return Decision(
        budget=budget,
        measurement=measurement,
        verdict=ratio.verdict,
        why=ratio.why,
        compared=compared,
    )


def explain(decision: Decision) -> str:
    """Return a budget and what it came to in one line."""
    measured = quantities.quantity(decision.measurement.value, decision.kind)
    told = decision.budget.text
    if decision.measurement.value is not None:
        told += f": {measured}"
        if decision.budget.is_relative:
            told += f" ({change(decision.measurement.value - 1)})"
    separator = " · " if decision.measurement.value is not None else ": "
    return f"{told}{separator}{decision.why}" if decision.why else told
