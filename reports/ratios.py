"""Decide a relative budget from an interval of the ratio head/base.

    the whole interval breaks the limit                           FAIL
    the interval, widened by 1.43, keeps it, and the interval     PASS
    is no longer than the way to the limit from 1, or from a
    better estimate
    anything else                                                 INCONCLUSIVE

A PASS needs more than a FAIL, so that an imprecise comparison does not pass a real change: a gate
that cannot tell −15 % from +15 % cannot judge 10 %, and six noisy pairs may agree by chance. An
interval of length 2w excludes a change that is 2w away in 97.5 % of comparisons (z₀.₉₇₅·σ on
either side); widened by 1.43 it is a 99.5 % interval. So an estimate of −34 % passes 1.10 with an
interval of 12 %, and one of +1 % does not. A limit that requires an improvement (ratio <= 0.95)
needs an estimate that is 2w better.

The **smallest visible change** is v = L · exp(s) − 1, with the limit L and the log ratio s that
80 % of comparisons exclude from their interval (``reports.shifts.Shift.seen``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from loadtests.results import Verdict
from reports.shifts import FEWEST_PAIRS, SEEN, Shift
from scenarios.schema import Budget

_MOST_PAIRS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The result of a relative budget.

    Attributes:
        value: head over base; None without data.
        low: lower end of its interval; None without one.
        high: upper end.
        visible: the smallest visible change as a fraction: 0.18 is +18 %; None without an
            interval.
        verdict: the decision.
        why: the reason; may be empty for a PASS or FAIL.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    visible: float | None = None
    verdict: Verdict
    why: str


def judge_ratio(budget: Budget, shift: Shift) -> Ratio:
    """Decide a relative budget.

    Args:
        budget: with ``is_relative``.
        shift: of ln(head/base).
    """
    value = math.exp(shift.value)
    half = shift.half_width
    if shift.low is None or shift.high is None or half is None:
        words = f"{shift.n} pairs; an interval needs {FEWEST_PAIRS}"
        return Ratio(value=value, verdict=Verdict.INCONCLUSIVE, why=words)
    keeps_below = budget.operator.startswith("<")
    # A change for the worse is positive, for upper and lower limits.
    worse = 1.0 if keeps_below else -1.0
    limit = worse * math.log(budget.limit)
    low, estimate, high = sorted((worse * shift.low, worse * shift.value, worse * shift.high))
    seen = SEEN * half if shift.seen is None else shift.seen
    visible = math.exp(worse * (limit + seen)) - 1
    if low > limit or (low == limit and budget.operator in "<>"):
        verdict, why = Verdict.FAIL, ""
    elif high > limit or (high == limit and budget.operator in "<>"):
        verdict = Verdict.INCONCLUSIVE
        why = _straddling(shift, visible, distance=abs(limit - estimate))
    elif min(0.0, estimate) + 2 * half > limit:
        verdict = Verdict.INCONCLUSIVE
        why = _unresolved(budget, half, visible)
    elif estimate + SEEN * half > limit:
        verdict = Verdict.INCONCLUSIVE
        why = f"kept by less than the noise; smallest visible change {change(visible)}"
    else:
        verdict, why = Verdict.PASS, ""
    return Ratio(
        value=value,
        low=math.exp(shift.low),
        high=math.exp(shift.high),
        visible=visible,
        verdict=verdict,
        why=why,
    )


def unjudged(why: str) -> Ratio:
    """Return the INCONCLUSIVE result of a ratio without data."""
    return Ratio(value=None, verdict=Verdict.INCONCLUSIVE, why=f"no data: {why}")


def _straddling(shift: Shift, visible: float, *, distance: float) -> str:
    words = f"the limit lies inside the interval; smallest visible change {change(visible)}"
    needed = _pairs_needed(shift, distance)
    return f"{words}; {needed}" if needed else words


def _unresolved(budget: Budget, half: float, visible: float) -> str:
    length, allowed = math.exp(2 * half) - 1, abs(budget.limit - 1)
    return (
        f"too imprecise: the interval is {change(length)[1:]} long, and the budget allows "
        f"{change(allowed)[1:]}; smallest visible change {change(visible)}"
    )


def _pairs_needed(shift: Shift, distance: float) -> str:
    """Return how many pairs would decide; an interval shrinks with the root of their number."""
    if shift.coverage is None or not shift.half_width or shift.n < FEWEST_PAIRS:
        return ""
    needed = shift.n * (SEEN * shift.half_width / max(distance, 1e-9)) ** 2
    if needed > _MOST_PAIRS:
        return f"a decision needs more than {_MOST_PAIRS} pairs"
    return f"a decision needs about {max(shift.n + 1, math.ceil(needed))} pairs"


def change(share: float | None) -> str:
    """Return a change as ``+18 %`` or ``−4.2 %``; None as a dash."""
    if share is None:
        return "–"
    size = abs(share) * 100
    places = 0 if size >= 9.95 else 1
    sign = "−" if share < 0 else "+"
    return f"{sign}{size:.{places}f} %"
