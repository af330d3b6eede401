from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtests.schedule import SECOND_NS, ConstantArrival, MergedArrivals, user_arrivals

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
    assert plan.missed(sent=8, end_ns=SECOND_NS) == 3
    assert plan.missed(sent=11, end_ns=SECOND_NS) == 0


@given(st.integers(0, 2**32), st.floats(0.01, 3_600))
def test_a_user_begins_within_one_interval_and_always_at_the_same_offset(
    seed: int, every_s: float
) -> None:
    plan = user_arrivals(seed, "vu-1", 1_000, every_s)
    assert plan == user_arrivals(seed, "vu-1", 1_000, every_s)
    assert 1_000 <= plan.first_ns <= 1_000 + every_s * SECOND_NS


def test_users_do_not_all_ask_at_once() -> None:
    firsts = {user_arrivals(20, f"vu-{n}", 0, 4.0).first_ns for n in range(100)}
    assert len(firsts) == 100


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
