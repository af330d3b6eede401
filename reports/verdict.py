"""From measurements to a verdict that nobody has to argue with.

A budget is decided by the interval of what it judges, not by the value alone:

    every value of the interval keeps the limit      PASS
    none does                                        FAIL
    some do, or the data are too few, or absent      INCONCLUSIVE
    a time, measured by a generator in bad health    INVALID

Counts are exact, so they pass or fail. The run is the worst of its budgets, FAIL over
INVALID over INCONCLUSIVE over PASS: a counted loss stays FAIL when timing is INVALID.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.results import FORMAT_VERSION, ExitCode, RunStatus, Verdict
from reports import quantities
from reports.frames import RunFrames
from reports.metrics import Measurement, measure
from reports.validity import Check, check_validity, gateway_died
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
class Decision:
    """One budget and what it came to; ``why`` is a sentence for a human."""

    budget: Budget
    measurement: Measurement
    verdict: Verdict
    why: str

    @property
    def kind(self) -> str:
        """The metric's kind: quantiles (ns), bytes or count."""
        return METRICS[self.budget.metric].kind


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """What a run came to.

    Attributes:
        verdict: the worst of what follows.
        exit_code: of every command that judges.
        reasons: why it is not PASS, worst first; for a PASS, what it rests on.
        decisions: each budget, in the scenario's order.
        checks: the conditions of validity.
        circumstances: what else bears on the verdict: a broken check, an early end.
    """

    run_id: str
    verdict: Verdict
    exit_code: ExitCode
    reasons: tuple[str, ...]
    decisions: tuple[Decision, ...]
    checks: tuple[Check, ...]
    circumstances: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what ``verdict.json`` holds; spans in ns, sizes in B, absent as null."""
        return {
            "format_version": FORMAT_VERSION,
            "run_id": self.run_id,
            "verdict": str(self.verdict),
            "exit_code": int(self.exit_code),
            "reasons": list(self.reasons),
            "budgets": [_decision_as_json(decision) for decision in self.decisions],
            "validity": [
                {
                    "name": check.name,
                    "value": check.value,
                    "limit": check.limit,
                    "ok": check.ok,
                    "why": check.why,
                }
                for check in self.checks
            ],
        }


def judge(run: RunFrames) -> RunVerdict:
    """Decide every budget of a run, and the run."""
    checks = check_validity(run)
    decisions = tuple(decide(run, budget, checks) for budget in run.scenario.budgets)
    circumstances = _circumstances(run, checks)
    findings = [(decision.verdict, explain(decision)) for decision in decisions] + circumstances
    verdict = worst([found for found, _ in findings])
    ordered = sorted(findings, key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(dict.fromkeys(words for found, words in ordered if found != Verdict.PASS))
    return RunVerdict(
        run_id=run.manifest.run_id,
        verdict=verdict,
        exit_code=_exit_code(run, verdict),
        reasons=reasons or (f"all {quantities.counted(len(decisions), 'budget')} kept",),
        decisions=decisions,
        checks=checks,
        circumstances=tuple(circumstances),
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of FAIL > INVALID > INCONCLUSIVE > PASS; of nothing, INCONCLUSIVE."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.INCONCLUSIVE)


def decide(run: RunFrames, budget: Budget, checks: Sequence[Check]) -> Decision:
    """Decide one budget, given the run's validity."""
    measurement = measure(run, budget.metric, budget.statistic)
    verdict, why = _judge_measurement(budget, measurement)
    if METRICS[budget.metric].kind == "quantiles" and measurement.value is not None:
        verdict, why = _weigh_validity(verdict, why, checks)
    return Decision(budget=budget, measurement=measurement, verdict=verdict, why=why)


def _judge_measurement(budget: Budget, measurement: Measurement) -> tuple[Verdict, str]:
    kind = METRICS[budget.metric].kind
    if measurement.value is None:
        return Verdict.INCONCLUSIVE, f"no data: {measurement.why}"
    if measurement.needed and (measurement.n or 0) < measurement.needed:
        needed = f"{measurement.n:,} values; {budget.statistic} needs {measurement.needed:,}"
        return Verdict.INCONCLUSIVE, needed
    if measurement.low is None or measurement.high is None:
        return Verdict.INCONCLUSIVE, measurement.why
    verdict = compare(budget.operator, budget.limit, measurement.low, measurement.high)
    why = measurement.why
    if verdict is Verdict.INCONCLUSIVE:
        low, high = (quantities.quantity(end, kind) for end in (measurement.low, measurement.high))
        straddled = f"the limit lies inside the interval, {low} to {high}"
        why = f"{straddled}; {why}" if why else straddled
    return verdict, why


def compare(comparison: str, limit: float, low: float, high: float) -> Verdict:
    """Hold an interval against a limit: all of it, none of it, or some."""
    if comparison == "==":
        if low == high == limit:
            return Verdict.PASS
        return Verdict.INCONCLUSIVE if low <= limit <= high else Verdict.FAIL
    keeps = _COMPARISONS[comparison]
    ends = (keeps(low, limit), keeps(high, limit))
    if all(ends):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if any(ends) else Verdict.FAIL


def _weigh_validity(verdict: Verdict, why: str, checks: Sequence[Check]) -> tuple[Verdict, str]:
    """A time is worth what the generator's health is worth."""
    broken = [check for check in checks if check.ok is False]
    unknown = [check for check in checks if check.ok is None and check.is_essential]
    if broken:
        return Verdict.INVALID, f"{broken[0].name}: {broken[0].why}"
    if unknown and verdict is Verdict.PASS:
        return Verdict.INCONCLUSIVE, f"{unknown[0].name} is not known: {unknown[0].why}"
    return verdict, why


def _circumstances(run: RunFrames, checks: Sequence[Check]) -> list[Finding]:
    """Everything but the budgets that bears on the run's verdict."""
    findings = [
        (Verdict.INVALID, f"{check.name}: {check.why}") for check in checks if check.ok is False
    ]
    ending = {
        RunStatus.RUNNING: (Verdict.INCONCLUSIVE, "the run has not ended"),
        RunStatus.INTERRUPTED: (Verdict.INCONCLUSIVE, "the run was interrupted before its end"),
        RunStatus.ABORTED: (Verdict.INVALID, "a process of the run was lost before its end"),
    }.get(run.manifest.status)
    if ending:
        findings.append(ending)
    if not run.scenario.budgets:
        findings.append((Verdict.INCONCLUSIVE, "the scenario demands nothing"))
    return findings


def explain(decision: Decision) -> str:
    """Return a budget and what it came to in one line."""
    measured = quantities.quantity(decision.measurement.value, decision.kind)
    told = decision.budget.text
    if decision.measurement.value is not None:
        told += f": {measured}"
    separator = " · " if decision.measurement.value is not None else ": "
    return f"{told}{separator}{decision.why}" if decision.why else told


def _exit_code(run: RunFrames, verdict: Verdict) -> ExitCode:
    """A dead gateway has its own code; an unfinished run never ends with 0, whatever the policy."""
    if gateway_died(run):
        return ExitCode.GATEWAY_FAILED
    forgiven = run.scenario.policy.inconclusive == "pass"
    complete = run.manifest.status is RunStatus.COMPLETE
    return {
        Verdict.PASS: ExitCode.PASS,
        Verdict.FAIL: ExitCode.BUDGET_BROKEN,
        Verdict.INVALID: ExitCode.INVALID,
        Verdict.INCONCLUSIVE: ExitCode.PASS if forgiven and complete else ExitCode.INCONCLUSIVE,
    }[verdict]


def _decision_as_json(decision: Decision) -> dict[str, Any]:
    budget, measurement = decision.budget, decision.measurement
    return {
        "text": budget.text,
        "line": budget.line,
        "metric": budget.metric,
        "statistic": budget.statistic,
        "operator": budget.operator,
        "limit": budget.limit,
        "unit": budget.unit,
        "value": measurement.value,
        "low": measurement.low,
        "high": measurement.high,
        "n": measurement.n,
        "verdict": str(decision.verdict),
        "why": decision.why,
    }
