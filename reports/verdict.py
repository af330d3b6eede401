"""Judges a run: decides each budget, then the verdict of the run.

The run is the worst of its budgets (``reports.decisions``) and of its circumstances, FAIL
over INVALID over INCONCLUSIVE over PASS: a counted loss stays FAIL when timing is INVALID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.results import (
    BUDGETS,
    FORMAT_VERSION,
    SEGMENTS,
    TABLES,
    CutBy,
    ExitCode,
    RunStatus,
    Verdict,
)
from reports import quantities
from reports.baselines import Baseline
from reports.believability import Check, check_run, gateway_died
from reports.decisions import (
    SEVERITY,
    Decision,
    Finding,
    decide,
    explain,
    worst,
)
from reports.explanation import BreachExplanation, explain_breach
from reports.report_errors import UnknownBudgetError
from reports.run_frames import RunFrames
from reports.weighing import spoils
from scenarios.overlay import lay_over, read_overlay
from scenarios.schema import Budget, ScenarioError

EXIT_CODES: Final = {
    Verdict.PASS: ExitCode.PASS,
    Verdict.FAIL: ExitCode.BUDGET_BROKEN,
    Verdict.INVALID: ExitCode.INVALID,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """The verdict of a run.

    Attributes:
        verdict: the worst of what follows.
        exit_code: of every command that judges.
        reasons: why it is not PASS, worst first; for a PASS, what it rests on.
        scenario: the scenario's name.
        decisions: each budget, in the scenario's order, then those laid over it.
        checks: whether the run's times can be believed.
        circumstances: what else bears on the verdict: a broken check, an early end.
        length_s: how long the run took.
        explanation: where the excess of the worst broken push time went; None without one.
    """

    run_id: str
    scenario: str
    verdict: Verdict
    exit_code: ExitCode
    reasons: tuple[str, ...]
    decisions: tuple[Decision, ...]
    checks: tuple[Check, ...]
    circumstances: tuple[Finding, ...]
    length_s: float
    explanation: BreachExplanation | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what ``verdict.json`` holds; spans in ns, sizes in B, absent as null."""
        return {
            "format_version": FORMAT_VERSION,
            "run_id": self.run_id,
            "scenario": self.scenario,
            "verdict": str(self.verdict),
            "exit_code": int(self.exit_code),
            "reasons": list(self.reasons),
            "budgets": [decision.as_json() for decision in self.decisions],
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
            "explanation": None if self.explanation is None else self.explanation.as_json(),
        }


def demanded(run: RunFrames, over: Sequence[Budget] = ()) -> tuple[Budget, ...]:
    """Return a run's budgets: the scenario's, overridden by the run's own file and by ``over``.

    Raises:
        UnknownBudgetError: a budget does not fit the run's scenario, or the run's own file of
            budgets is not valid.
    """
    named = run.manifest.part("files").get("budgets") or BUDGETS
    laid_at_run = run.directory / BUDGETS
    scenario = run.scenario
    try:
        if laid_at_run.exists():
            scenario = lay_over(scenario, read_overlay(laid_at_run, name=str(named)))
        if over:
            scenario = lay_over(scenario, over)
    except ScenarioError as error:
        raise UnknownBudgetError(run.directory, str(error)) from None
    return scenario.budgets


def judge(
    run: RunFrames, *, over: Sequence[Budget] = (), baseline: RunFrames | None = None
) -> RunVerdict:
    """Decide every budget of a run, and the run.

    Args:
        run: the run.
        over: budgets laid over its own (``scenarios.overlay``).
        baseline: the run that relative budgets compare with.

    Raises:
        UnknownBudgetError: see ``demanded``.
    """
    checks = check_run(run)
    beside = None if baseline is None else Baseline.of(baseline, run)
    budgets = demanded(run, over)
    decisions = tuple(decide(run, budget, checks, beside) for budget in budgets)
    circumstances = _circumstances(run, checks, budgets, decisions)
    findings = [(decision.verdict, explain(decision)) for decision in decisions] + circumstances
    verdict = worst([found for found, _ in findings])
    ordered = sorted(findings, key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(dict.fromkeys(words for found, words in ordered if found != Verdict.PASS))
    return RunVerdict(
        run_id=run.manifest.run_id,
        scenario=run.scenario.name,
        verdict=verdict,
        exit_code=_exit_code(run, verdict),
        reasons=reasons or (f"all {quantities.counted(len(decisions), 'budget')} kept",),
        decisions=decisions,
        checks=checks,
        circumstances=tuple(circumstances),
        length_s=run.manifest.length_s,
        explanation=explain_breach(run, decisions, baseline),
    )


def _circumstances(
    run: RunFrames,
    checks: Sequence[Check],
    budgets: Sequence[Budget],
    decisions: Sequence[Decision],
) -> list[Finding]:
    """Return what affects the verdict besides the budgets.

    A failed timing check counts only through the budgets that it makes INVALID.
    """
    spoilt = [each.budget for each in decisions if each.verdict is Verdict.INVALID]
    findings = [
        (Verdict.INVALID, check.words)
        for check in checks
        if check.ok is False
        and (not check.is_about_times or any(spoils(check, budget) for budget in spoilt))
    ]
    findings += shortfalls(run)
    if not budgets:
        findings.append((Verdict.INCONCLUSIVE, "the scenario demands nothing"))
    return findings


def shortfalls(run: RunFrames) -> list[Finding]:
    """Return why a run is not a whole one: cut, interrupted, unfinished, or without its tables."""
    findings: list[Finding] = []
    facts = run.manifest.facts
    ending = {
        RunStatus.RUNNING: (Verdict.INCONCLUSIVE, "the run has not ended"),
        RunStatus.INTERRUPTED: (Verdict.INCONCLUSIVE, "the run was interrupted before its end"),
        RunStatus.ABORTED: (Verdict.INVALID, "a process of the run was lost before its end"),
    }.get(run.manifest.status)
    if facts.get("cut"):
        is_breach = facts.get("cut_by") == CutBy.GROSS_BREACH
        worth = Verdict.FAIL if is_breach else Verdict.INCONCLUSIVE
        ending = (worth, f"the run was cut: {facts['cut']}")
    if ending:
        findings.append(ending)
    if run.missing:
        words = f"the run has no table {', '.join(run.missing)}"
        told = f"{words}; tidegate report makes tables of what is in {SEGMENTS}/"
        findings.append((Verdict.INCONCLUSIVE, told))
    elif all(run[table].empty for table in TABLES):
        findings.append((Verdict.INCONCLUSIVE, "every table of the run is empty"))
    return findings


def _exit_code(run: RunFrames, verdict: Verdict) -> ExitCode:
    """A dead gateway has its own code; no part of a run ends with 0, whatever the policy."""
    if gateway_died(run):
        return ExitCode.GATEWAY_FAILED
    forgiven = run.scenario.policy.inconclusive == "pass" and not shortfalls(run)
    return ExitCode.PASS if forgiven and verdict is Verdict.INCONCLUSIVE else EXIT_CODES[verdict]
