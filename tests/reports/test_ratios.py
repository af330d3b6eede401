from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.results import Verdict
from reports.ratios import change, judge_ratio
from reports.shifts import Shift, shift_of_pairs
from scenarios.schema import Budget, parse_budget

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
TENTH = parse_budget("push.p99 ratio <= 1.10", 1)
FASTER = parse_budget("push.p99 ratio >= 0.90", 1)


def shift(low: float, high: float) -> Shift:
    """Return a shift whose ends are these ratios."""
    ends = math.log(low), math.log(high)
    return Shift(value=sum(ends) / 2, low=ends[0], high=ends[1], coverage=0.97, n=6)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        pytest.param(0.98, 1.03, PASS, id="all of it inside"),
        pytest.param(0.985, 1.09, INCONCLUSIVE, id="inside, and longer than the budget"),
        pytest.param(1.03, 1.09, INCONCLUSIVE, id="inside by less than the noise"),
        pytest.param(1.11, 1.20, FAIL, id="all of it outside"),
        pytest.param(1.05, 1.15, INCONCLUSIVE, id="the limit inside the interval"),
        pytest.param(0.85, 1.09, INCONCLUSIVE, id="inside, and too wide to have seen a change"),
        pytest.param(0.50, 0.52, PASS, id="twice as fast"),
        pytest.param(0.63, 0.70, PASS, id="far inside, and longer than the budget"),
    ],
)
def test_an_interval_of_a_ratio_decides(low: float, high: float, verdict: Verdict) -> None:
    assert judge_ratio(TENTH, shift(low, high)).verdict is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.98, 1.03, PASS), (0.80, 0.88, FAIL), (0.85, 0.95, INCONCLUSIVE)],
)
def test_a_ratio_may_have_a_lower_limit(low: float, high: float, verdict: Verdict) -> None:
    found = judge_ratio(FASTER, shift(low, high))
    assert found.verdict is verdict
    assert found.visible is not None
    assert found.visible < -0.1


def test_what_is_undecided_names_the_smallest_visible_change_and_the_pairs_it_needs() -> None:
    why = judge_ratio(TENTH, shift(1.0, 1.15)).why
    assert why == (
        "the limit lies inside the interval; smallest visible change +22 %; "
        "a decision needs about 93 pairs"
    )


def test_what_cannot_be_told_says_so_with_both_changes() -> None:
    why = judge_ratio(TENTH, shift(0.85, 1.09)).why
    assert why == (
        "too imprecise: the interval is 28 % long, and the budget allows 10 %; "
        "smallest visible change +31 %"
    )


def test_five_pairs_decide_nothing() -> None:
    found = judge_ratio(TENTH, shift_of_pairs([0.5] * 5))
    assert (found.verdict, found.why) == (INCONCLUSIVE, "5 pairs; an interval needs 6")


def test_a_limit_of_one_is_passed_by_what_is_surely_faster_alone() -> None:
    budget = parse_budget("push.p99 ratio <= 1", 1)
    assert judge_ratio(budget, shift(0.80, 0.85)).verdict is PASS
    assert judge_ratio(budget, shift(0.97, 0.999)).verdict is INCONCLUSIVE
    assert judge_ratio(budget, shift(1.01, 1.02)).verdict is FAIL


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=14),
    st.sampled_from([TENTH, FASTER]),
)
def test_a_pass_never_rests_on_an_interval_longer_than_the_way_to_the_limit(
    values: list[float], budget: Budget
) -> None:
    found = judge_ratio(budget, shift_of_pairs(values))
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    if found.verdict is PASS:
        margin = max(abs(math.log(budget.limit)), abs(math.log(budget.limit / found.value)))
        assert math.log(found.high / found.low) <= margin + 1e-9


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.18, "+18 %"), (-0.042, "−4.2 %"), (0.0, "+0.0 %"), (0.0996, "+10 %"), (None, "–")],
)
def test_a_change_is_read_as_a_signed_percentage(share: float | None, words: str) -> None:
    assert change(share) == words
