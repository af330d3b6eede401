from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.plan.schedule import (
    SECOND_NS,
    ArrivalPlan,
    ConstantArrival,
    MergedArrivals,
    PoissonArrival,
    count_missed,
    plan_of,
    user_arrivals,
)
from scenarios.schema import Arrivals

RATES = st.floats(0.01, 100_000)
STARTS = st.integers(0, 10**15)


@given(STARTS, RATES, st.integers(0, 10**6))
def test_an_arrival_is_due_at_its_own_multiple_of_the_interval(
    first_ns: int, rate: float, k: int
) -> None:
    exact = first_ns + k * SECOND_NS / rate
    assert abs(ConstantArrival(first_ns, rate).due_ns(k) - exact) <= 1 + exact * 1e-15


@given(STARTS, RATES, st.integers(-SECOND_NS, 100 * SECOND_NS))
def test_due_count_is_how_many_due_times_have_come(first_ns: int, rate: float, after: int) -> None:
    plan, now_ns = ConstantArrival(first_ns, rate), first_ns + after
    count = plan.due_count(now_ns)
    assert count == 0 or plan.due_ns(count - 1) <= now_ns
    assert plan.due_ns(count) > now_ns


def test_what_was_due_and_not_sent_is_missed() -> None:
    plan = ConstantArrival(0, 10.0)
    assert count_missed(plan, sent=8, end_ns=SECOND_NS) == 3
    assert count_missed(plan, sent=11, end_ns=SECOND_NS) == 0


@given(st.integers(0, 2**32), st.floats(0.01, 3_600))
def test_a_user_begins_within_one_interval_and_always_at_the_same_offset(
    seed: int, every_s: float
) -> None:
    plan = user_arrivals(seed, "vu-1", 1_000, every_s)
    assert plan == user_arrivals(seed, "vu-1", 1_000, every_s)
    assert 1_000 <= plan.due_ns(0) <= 1_000 + every_s * SECOND_NS


def test_users_do_not_all_ask_at_once() -> None:
    firsts = {user_arrivals(20, f"vu-{n}", 0, 4.0).due_ns(0) for n in range(100)}
    assert len(firsts) == 100


KINDS = [
    Arrivals(kind="constant"),
    Arrivals(kind="poisson"),
    Arrivals(kind="burst", burst_size=7),
]


@pytest.mark.parametrize("arrivals", KINDS, ids=lambda a: a.kind)
@given(STARTS, st.floats(0.5, 5_000), st.integers(-SECOND_NS, 3 * SECOND_NS))
def test_of_every_kind_due_count_is_how_many_due_times_have_come(
    arrivals: Arrivals, first_ns: int, rate: float, after: int
) -> None:
    plan = plan_of(arrivals, first_ns=first_ns, rate_per_s=rate, seed=3)
    now_ns = first_ns + after
    count = plan.due_count(now_ns)
    assert count == 0 or plan.due_ns(count - 1) <= now_ns
    assert plan.due_ns(count) > now_ns


@pytest.mark.parametrize("arrivals", KINDS, ids=lambda a: a.kind)
def test_of_every_kind_the_rate_is_kept_over_a_long_time(arrivals: Arrivals) -> None:
    plan: ArrivalPlan = plan_of(arrivals, first_ns=0, rate_per_s=100.0, seed=20)
    assert plan.due_count(400 * SECOND_NS) == pytest.approx(40_000, rel=0.02)


def test_poisson_gaps_are_exponential() -> None:
    from scipy import stats

    plan = PoissonArrival(0, 50.0, seed=20)
    due = np.array([plan.due_ns(k) for k in range(5_000)])
    gaps_s = np.diff(due) / SECOND_NS
    assert stats.kstest(gaps_s, "expon", args=(0, 1 / 50)).pvalue > 0.01


@given(st.integers(0, 2**32), st.lists(st.integers(0, 2_000), min_size=1, max_size=6))
def test_a_poisson_plan_is_the_same_in_whatever_order_it_is_asked(
    seed: int, asked: list[int]
) -> None:
    straight = PoissonArrival(5, 100.0, seed)
    expected = [straight.due_ns(k) for k in range(2_001)]
    again = PoissonArrival(5, 100.0, seed)
    assert [again.due_ns(k) for k in asked] == [expected[k] for k in asked]
    assert PoissonArrival(5, 100.0, seed + 1).due_ns(0) != expected[0]


def test_a_burst_comes_at_once_and_as_often_as_the_rate_demands() -> None:
    plan = ConstantArrival(0, rate_per_s=100.0, size=50)
    assert {plan.due_ns(k) for k in range(50)} == {0}
    assert {plan.due_ns(k) for k in range(50, 100)} == {SECOND_NS // 2}


def test_nothing_is_due_from_the_end_on() -> None:
    merged = MergedArrivals([ConstantArrival(0, 10.0)], end_ns=SECOND_NS)
    taken = merged.take_due(5 * SECOND_NS, 100)
    assert [k for _, _, k in taken] == list(range(10))
    assert merged.next_ns() is None
    assert merged.take_due(6 * SECOND_NS, 100) == []


@given(
    st.lists(st.tuples(st.integers(0, SECOND_NS), st.floats(0.5, 200)), min_size=1, max_size=4),
    st.lists(st.integers(1, 5 * SECOND_NS), min_size=1, max_size=8),
    st.integers(1, 50),
)
def test_merged_plans_give_each_arrival_once_and_in_order(
    plans: list[tuple[int, float]], moments: list[int], limit: int
) -> None:
    merged = MergedArrivals([ConstantArrival(first, rate) for first, rate in plans])
    end_ns = max(moments)
    taken: list[tuple[int, int, int]] = []
    for now_ns in [*sorted(moments)]:
        batch = merged.take_due(now_ns, limit)
        assert len(batch) <= limit
        assert all(due_ns <= now_ns for due_ns, _, _ in batch)
        taken += batch
    while batch := merged.take_due(end_ns, limit):
        taken += batch
    assert taken == sorted(taken)
    expected = {
        (plan.due_ns(k), index, k)
        for index, plan in enumerate(merged.plans)
        for k in range(plan.due_count(end_ns))
    }
    assert set(taken) == expected
    assert len(taken) == len(expected)


def test_without_plans_nothing_is_ever_due() -> None:
    assert MergedArrivals([]).next_ns() is None
