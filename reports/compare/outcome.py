"""The outcome of a comparison: ratios are judged by pairs, counts in each run of the head.

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
from reports.baselines import Baseline, advise
from reports.believability import gateway_died
from reports.compare.blocks import NO_SIDES, Block, Fields, Sides, is_count
from reports.compare.slices import ratio_in_slices
from reports.decisions import (
    SEVERITY,
    Compared,
    Decision,
    Finding,
    decide,
    explain,
    worst,
)
from reports.measures.measurement import Measurement
from reports.ratios import judge_ratio, unjudged
from reports.shifts import FEWEST_PAIRS, Look, Shift, shift_of_pairs, shift_of_samples
from reports.verdict import EXIT_CODES, demanded, shortfalls
from scenarios.alternation import ALTERNATING
from scenarios.schema import METRICS, Budget, parse_budget

Values = Sequence[float | None]

TOLD_WHILE_UNDECIDED: Final = "push.p99 ratio <= 1.25"
"""Of ``DEFAULTS``, the budget that FAILs when it is certain and does not count while undecided.

A p99 is made by the host's rare stalls. On a host with many, hundreds of pairs would not decide it,
and an unchanged gateway would never pass. In a budget of one's own it counts as any other does.
"""
DEFAULTS: Final = (
    "push.p50 ratio <= 1.10",
    "push.p90 ratio <= 1.10",
    TOLD_WHILE_UNDECIDED,
    "ack.p50 ratio <= 1.15",
    "cost.per_message ratio <= 1.10",
    "cost.instructions ratio <= 1.10",
    "memory.per_client ratio <= 1.10",
)
"""The budgets of a comparison without relative budgets. Those without a value are left out.

Ten pairs can decide these limits for an unchanged gateway (``docs/gate.md``).
"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        scenario: the head's.
        method: ``slices`` (the load alternated between both; what slices do not measure comes
            from pairs of blocks), ``pairs`` of blocks, ``samples`` (blocks that did not alternate)
            or ``single``.
        pairs: number of pairs, or of blocks of the smaller side.
        base: ids of the base's runs.
        head: ids of the head's runs.
        excluded: ids of blocks with invalid times, each with the reason.
        advice: why the comparison is only advisory; empty when it decides.
        ratios: head/base of each pair, by the budget's text; empty unless paired.
        length_s: how long the head's runs took.
        told: text of the undecided budget that is only told; empty without one.
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
    told: str

    @property
    def may_be_extended(self) -> bool:
        """Whether more pairs could decide the verdict: a FAIL stays, whatever else is open."""
        is_paired = self.method in ("slices", "pairs")
        return (
            is_paired
            and self.verdict is not Verdict.FAIL
            and any(
                one.verdict is Verdict.INCONCLUSIVE
                and one.measurement.value is not None
                and one.budget.text != self.told
                for one in self.decisions
            )
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
    base: Sequence[Block],
    head: Sequence[Block],
    over: Sequence[Budget] = (),
    planned: Sequence[int] = (),
) -> Comparison:
    """Return the comparison of the head's blocks with the base's.

    Args:
        base: blocks of the base, in order of time.
        head: blocks of the head, in order of time.
        over: budgets laid over the head's own.
        planned: pairs at each look of a comparison that goes on; none when it is judged once.

    Raises:
        UnknownBudgetError: a budget does not fit the head's scenario.
    """
    fields = Fields.of(base, head, planned)
    is_single = fields.slices is None and len(base) == len(head) == 1
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
        decision, shares = _decide_ratio(budget, fields)
        decisions.append(_advised(decision, advice))
        ratios[budget.text] = shares
    told = "" if any(one.is_relative for one in budgets) else _told(decisions)
    decisions = [_explained(one) if one.budget.text == told else one for one in decisions]
    metrics = [one.budget.metric for one in decisions if one.budget.is_relative]
    used = fields.used(metrics)
    circumstances = _circumstances(base, head, used)
    if not any(one.budget.is_relative and one.measurement.value is not None for one in decisions):
        words = "nothing was compared: no ratio has a value on both sides"
        circumstances.append((Verdict.INCONCLUSIVE, words))
    findings = [(one.verdict, explain(one)) for one in decisions] + circumstances
    counting = [one.verdict for one in decisions if one.budget.text != told]
    verdict = worst([*counting, *(found for found, _ in circumstances)])
    ordered = sorted(findings, key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(dict.fromkeys(words for found, words in ordered if found != Verdict.PASS))
    return Comparison(
        scenario=head[0].run.scenario.name,
        verdict=verdict,
        exit_code=_exit_code(head, verdict, is_whole=not (circumstances or advice)),
        reasons=reasons or (f"all {quantities.counted(len(decisions), 'budget')} kept",),
        method="single" if is_single else fields.method,
        pairs=max((sides.pairs for sides in used), default=0),
        base=tuple(block.run_id for block in base),
        head=tuple(block.run_id for block in head),
        excluded=tuple(dict.fromkeys(one for sides in used for one in sides.excluded)),
        advice=advice,
        decisions=tuple(decisions),
        circumstances=tuple(circumstances),
        ratios=ratios,
        length_s=sum(block.run.manifest.length_s for block in head),
        told=told,
    )


def _told(decisions: Sequence[Decision]) -> str:
    """Return the usual budget that is undecided and need not be: none if no other ratio passes."""
    undecided = {one.budget.text for one in decisions if one.verdict is Verdict.INCONCLUSIVE}
    passes = any(one.budget.is_relative and one.verdict is Verdict.PASS for one in decisions)
    return TOLD_WHILE_UNDECIDED if passes and TOLD_WHILE_UNDECIDED in undecided else ""


def _explained(decision: Decision) -> Decision:
    why = f"{decision.why}; a usual limit that does not count while it is undecided"
    return replace(decision, why=why)


def _relative(budgets: Sequence[Budget], blocks: Sequence[Block]) -> list[Budget]:
    demanded_ones = [budget for budget in budgets if budget.is_relative]
    if demanded_ones:
        return demanded_ones
    usual = [parse_budget(text, 1) for text in DEFAULTS]
    if all(block.meeting for block in blocks):
        usual = [one for one in usual if one.metric in ALTERNATING]
    return [one for one in usual if any(block.value(one) is not None for block in blocks)]


def _decide_ratio(budget: Budget, fields: Fields) -> tuple[Decision, tuple[float, ...]]:
    sides, why = fields.of_metric(budget.metric), "no pair has a value on both sides"
    if sides is None:
        sides, why = NO_SIDES, "slices do not measure it; blocks that follow each other do"
    base = [block.value(budget) for block in sides.base]
    head = [block.value(budget) for block in sides.head]
    shift, shares = _shift(budget, sides, (base, head), fields.look)
    ratio = unjudged(why) if shift is None else judge_ratio(budget, shift)
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
    budget: Budget, sides: Sides, values: tuple[Values, Values], look: Look
) -> tuple[Shift | None, tuple[float, ...]]:
    """Return the shift of ln(head/base), and the ratio of each pair.

    Args:
        budget: a relative one.
        sides: the runs that count.
        values: what the budget judges, of each run of base and head.
        look: the look at which the pairs are judged.
    """
    if sides.is_paired:
        found: Values = [
            two / one if one and two else None for one, two in zip(*values, strict=True)
        ]
        if sides.in_slices:
            together = zip(sides.base, sides.head, strict=True)
            found = [ratio_in_slices(one, two, budget) for one, two in together]
        shares = tuple(share for share in found if share is not None)
        logs = [math.log(share) for share in shares]
        return (shift_of_pairs(logs, look) if logs else None), shares
    logs_of = [[math.log(value) for value in side if value is not None] for side in values]
    return (shift_of_samples(*logs_of) if all(logs_of) else None), ()


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


def _circumstances(
    base: Sequence[Block], head: Sequence[Block], used: Sequence[Sides]
) -> list[Finding]:
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
    for sides in used:
        left, had = sides.pairs, sides.had
        if had >= FEWEST_PAIRS > left:
            words = f"{had - left} of {had} pairs have invalid times; {left} are left"
            findings.append((Verdict.INVALID, f"{words} of {FEWEST_PAIRS} needed"))
        elif not left:
            words = "no run is left on one side whose times can be believed"
            findings.append((Verdict.INVALID, words))
    return findings


def _exit_code(head: Sequence[Block], verdict: Verdict, *, is_whole: bool) -> ExitCode:
    """What the policy forgives is chance, not a comparison of unlike or unfinished runs."""
    if any(gateway_died(block.run) for block in head):
        return ExitCode.GATEWAY_FAILED
    forgiven = is_whole and head[0].run.scenario.policy.inconclusive == "pass"
    return ExitCode.PASS if forgiven and verdict is Verdict.INCONCLUSIVE else EXIT_CODES[verdict]
