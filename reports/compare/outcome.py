"""The outcome of a comparison: ratios are judged by pairs, counts in each block of the head.

The budgets are the relative ones of the head's scenario and of the file laid over it. Without
any, ``DEFAULTS`` apply to what was measured. Budgets on counts must hold in every block of the
head. Absolute budgets on times are for single runs: ``tidegate gate``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

from loadtests.results import FORMAT_VERSION, ExitCode, Verdict
from reports import quantities
from reports.believability import gateway_died
from reports.compare.blocks import Block, Sides, is_count, pair_up
from reports.decisions import (
    SEVERITY,
    Baseline,
    Compared,
    Decision,
    Finding,
    advise,
    decide,
    explain,
    worst,
)
from reports.measures.measurement import Measurement
from reports.ratios import judge_ratio, unjudged
from reports.shifts import FEWEST_PAIRS, Shift, shift_of_pairs, shift_of_samples
from reports.verdict import demanded, shortfalls
from scenarios.schema import METRICS, Budget, parse_budget

DEFAULTS: Final = (
    "push.p50 ratio <= 1.10",
    "push.p99 ratio <= 1.10",
    "ack.p50 ratio <= 1.10",
    "ack.p99 ratio <= 1.10",
    "cost.per_message ratio <= 1.10",
    "memory.per_client ratio <= 1.10",
)
"""The budgets of a comparison without relative budgets."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        scenario: the head's.
        method: ``pairs``, ``samples`` (blocks that did not alternate) or ``single``.
        pairs: number of pairs, or of blocks of the smaller side.
        base: ids of the base's runs.
        head: ids of the head's runs.
        excluded: ids of blocks with invalid times, each with the reason.
        advice: why the comparison is only advisory; empty when it decides.
        ratios: head/base of each pair, by the budget's text; empty unless paired.
        length_s: how long the head's blocks took.
    """

    scenario: str
    verdict: Verdict
    exit_code: ExitCode
    reasons: tuple[str, ...]
    method: str
    pairs: int
    base: tuple[str, ...]
    head: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    advice: str
    decisions: tuple[Decision, ...]
    circumstances: tuple[Finding, ...]
    ratios: dict[str, tuple[float, ...]]
    length_s: float

    @property
    def may_be_extended(self) -> bool:
        """Whether more pairs could decide an open budget."""
        return self.method == "pairs" and any(
            one.verdict is Verdict.INCONCLUSIVE and one.measurement.value is not None
            for one in self.decisions
        )

    def as_json(self) -> dict[str, Any]:
        """Return what ``compare.json`` holds (``loadtests.results.COMPARISON_FIELDS``)."""
        budgets = [
            {**one.as_json(), "ratios": list(self.ratios.get(one.budget.text, ()))}
            for one in self.decisions
        ]
        return {
            "format_version": FORMAT_VERSION,
            "scenario": self.scenario,
            "verdict": str(self.verdict),
            "exit_code": int(self.exit_code),
            "reasons": list(self.reasons),
            "method": self.method,
            "pairs": self.pairs,
            "undecided": self.may_be_extended,
            "base": list(self.base),
            "head": list(self.head),
            "excluded": [{"run_id": run_id, "why": why} for run_id, why in self.excluded],
            "advice": self.advice,
            "budgets": budgets,
        }


def compare_blocks(
    base: Sequence[Block], head: Sequence[Block], over: Sequence[Budget] = ()
) -> Comparison:
    """Return the comparison of the head's blocks with the base's.

    Args:
        base: blocks of the base, in order of time.
        head: blocks of the head, in order of time.
        over: budgets laid over the head's own.

    Raises:
        UnknownBudgetError: a budget does not fit the head's scenario.
    """
    sides = pair_up(base, head)
    is_single = len(base) == len(head) == 1
    budgets = demanded(head[0].run, over)
    judged = head[0].run
    advice = next((words for one in (*base, *head) if (words := advise(one.run, judged))), "")
    ratios: dict[str, tuple[float, ...]] = {}
    decisions = [_decide_count(budget, head) for budget in budgets if is_count(budget)]
    for budget in _relative(budgets, (*base, *head)):
        if is_single:
            beside = Baseline.of(base[0].run, head[0].run)
            decisions.append(decide(head[0].run, budget, head[0].checks, beside))
            continue
        decision, shares = _decide_ratio(budget, sides)
        decisions.append(_advised(decision, advice))
        ratios[budget.text] = shares
    circumstances = _circumstances(base, head, sides)
    if not any(one.budget.is_relative and one.measurement.value is not None for one in decisions):
        words = "nothing was compared: no ratio has a value on both sides"
        circumstances.append((Verdict.INCONCLUSIVE, words))
    findings = [(one.verdict, explain(one)) for one in decisions] + circumstances
    verdict = worst([found for found, _ in findings])
    ordered = sorted(findings, key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(dict.fromkeys(words for found, words in ordered if found != Verdict.PASS))
    return Comparison(
        scenario=head[0].run.scenario.name,
        verdict=verdict,
        exit_code=_exit_code(head, verdict, is_whole=not (circumstances or advice)),
        reasons=reasons or (f"all {quantities.counted(len(decisions), 'budget')} kept",),
        method="single" if is_single else "pairs" if sides.is_paired else "samples",
        pairs=min(len(sides.base), len(sides.head)),
        base=tuple(block.run_id for block in base),
        head=tuple(block.run_id for block in head),
        excluded=sides.excluded,
        advice=advice,
        decisions=tuple(decisions),
        circumstances=tuple(circumstances),
        ratios=ratios,
        length_s=sum(block.run.manifest.length_s for block in head),
    )


def _relative(budgets: Sequence[Budget], blocks: Sequence[Block]) -> list[Budget]:
    demanded_ones = [budget for budget in budgets if budget.is_relative]
    if demanded_ones:
        return demanded_ones
    usual = [parse_budget(text, 1) for text in DEFAULTS]
    return [one for one in usual if any(block.value(one) is not None for block in blocks)]


def _decide_ratio(budget: Budget, sides: Sides) -> tuple[Decision, tuple[float, ...]]:
    base = [block.value(budget) for block in sides.base]
    head = [block.value(budget) for block in sides.head]
    shift, shares = _shift(base, head, is_paired=sides.is_paired)
    if shift is None:
        ratio = unjudged("no pair has a value on both sides")
    else:
        ratio = judge_ratio(budget, shift)
    low, high = ratio.low, ratio.high
    held = [value for value in head if value is not None]
    if budget.floor is not None and held and _upper_end(held) <= budget.floor:
        floor = quantities.quantity(budget.floor, METRICS[budget.metric].kind)
        why = f"not above {floor}, where the ratio does not matter"
        ratio = replace(ratio, verdict=Verdict.PASS, why=why)
    compared = Compared(
        base=_median(base),
        head=_median(head),
        base_run=quantities.counted(len(sides.base), "block"),
        visible=ratio.visible,
    )
    measurement = Measurement(
        value=ratio.value, low=low, high=high, n=0 if shift is None else shift.n, why=ratio.why
    )
    decision = Decision(
        budget=budget,
        measurement=measurement,
        verdict=ratio.verdict,
        why=ratio.why,
        compared=compared,
    )
    return decision, shares


def _shift(
    base: Sequence[float | None], head: Sequence[float | None], *, is_paired: bool
) -> tuple[Shift | None, tuple[float, ...]]:
    """Return the shift of ln(head/base), and the ratio of each pair."""
    if is_paired:
        shares = tuple(
            float(two / one)
            for one, two in zip(base, head, strict=True)
            if one is not None and two is not None
        )
        return (shift_of_pairs([math.log(share) for share in shares]) if shares else None), shares
    logs = [[math.log(value) for value in side if value is not None] for side in (base, head)]
    return (shift_of_samples(*logs) if all(logs) else None), ()


def _upper_end(values: Sequence[float]) -> float:
    """Return the upper end of the interval of values; the largest value with too few."""
    high = shift_of_pairs([math.log(value) for value in values]).high
    return max(values) if high is None else math.exp(high)


def _median(values: Sequence[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return median(held) if held else None


def _decide_count(budget: Budget, head: Sequence[Block]) -> Decision:
    """Decide a count in every block, and return the worst decision."""
    decisions = [decide(block.run, budget, block.checks) for block in head]
    verdict = worst([one.verdict for one in decisions])
    chosen = next(one for one in decisions if one.verdict is verdict)
    if verdict is Verdict.PASS:
        return chosen
    share = sum(one.verdict is verdict for one in decisions)
    words = f"in {share} of {quantities.counted(len(head), 'block')}"
    return replace(chosen, why=f"{words}; {chosen.why}" if chosen.why else words)


def _advised(decision: Decision, advice: str) -> Decision:
    if not advice or decision.verdict not in (Verdict.PASS, Verdict.FAIL):
        return decision
    why = f"advisory, would be {decision.verdict}: {advice}"
    return replace(decision, verdict=Verdict.INCONCLUSIVE, why=why)


def _circumstances(base: Sequence[Block], head: Sequence[Block], sides: Sides) -> list[Finding]:
    findings: list[Finding] = []
    for name, blocks in (("base", base), ("head", head)):
        died = sum(gateway_died(block.run) for block in blocks)
        if died:
            words = f"the {name}'s gateway died in {died} of {len(blocks)} blocks"
            findings.append((Verdict.INVALID, words))
        for block in blocks:
            for worth, words in shortfalls(block.run):
                # What a base broke is no failure of the head.
                said = Verdict.INVALID if blocks is base and worth is Verdict.FAIL else worth
                findings.append((said, f"{name} {block.run_id}: {words}"))
    left = min(len(sides.base), len(sides.head))
    had = min(len(base), len(head))
    if had >= FEWEST_PAIRS > left:
        words = f"{had - left} of {had} pairs have invalid times; {left} are left"
        findings.append((Verdict.INVALID, f"{words} of {FEWEST_PAIRS} needed"))
    elif not left:
        findings.append((Verdict.INVALID, "no run is left on one side whose times can be believed"))
    return findings


def _exit_code(head: Sequence[Block], verdict: Verdict, *, is_whole: bool) -> ExitCode:
    """What the policy forgives is chance, not a comparison of unlike or unfinished runs."""
    if any(gateway_died(block.run) for block in head):
        return ExitCode.GATEWAY_FAILED
    forgiven = is_whole and head[0].run.scenario.policy.inconclusive == "pass"
    return {
        Verdict.PASS: ExitCode.PASS,
        Verdict.FAIL: ExitCode.BUDGET_BROKEN,
        Verdict.INVALID: ExitCode.INVALID,
        Verdict.INCONCLUSIVE: ExitCode.PASS if forgiven else ExitCode.INCONCLUSIVE,
    }[verdict]
