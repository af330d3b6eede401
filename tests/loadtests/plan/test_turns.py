from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.plan.publish_plan import PublishPlan, plan_arrivals, read_plan
from loadtests.plan.schedule import SECOND_NS, count_missed, plan_of, user_arrivals
from loadtests.plan.turns import PAUSE_NS, SLICE_NS, Turns, whole_second
from scenarios.schema import Arrivals, Publish

MOMENTS = st.integers(0, 10**15)
PLACES = st.sampled_from([0, 1])


def owner(at_ns: int) -> int | None:
    """Return whose slice a moment is in: A B B A in even seconds, B A A B in odd ones.

    Each second begins with a pause, which is nobody's.
    """
    second, within_ns = divmod(at_ns, SECOND_NS)
    sides = "0110" if second % 2 == 0 else "1001"
    return None if within_ns < PAUSE_NS else int(sides[(within_ns - PAUSE_NS) // SLICE_NS])


@given(MOMENTS, PLACES)
def test_a_moment_of_load_time_lies_in_a_slice_of_its_side(load_ns: int, place: int) -> None:
    turns = Turns(place)
    at_ns = turns.at_ns(load_ns)
    assert owner(at_ns) == place
    assert turns.load_ns(at_ns) == load_ns


@given(MOMENTS)
def test_each_moment_is_a_turn_of_one_side_or_a_pause(at_ns: int) -> None:
    passed = [Turns(place).load_ns(at_ns + 1) - Turns(place).load_ns(at_ns) for place in (0, 1)]
    assert passed == [int(owner(at_ns) == place) for place in (0, 1)]


@given(st.integers(0, 10**6))
def test_both_sides_have_had_as_much_at_each_whole_second(seconds: int) -> None:
    had = {Turns(place).load_ns(seconds * SECOND_NS) for place in (0, 1)}
    assert had == {seconds * 2 * SLICE_NS}


@pytest.mark.parametrize("second", range(4))
@pytest.mark.parametrize("place", [0, 1])
def test_each_second_has_two_slices_of_either_side(second: int, place: int) -> None:
    turns = Turns(place)
    begin, end = (turns.load_ns((second + step) * SECOND_NS) for step in (0, 1))
    assert end - begin == 2 * SLICE_NS


@pytest.mark.parametrize("kind", ["constant", "poisson", "burst"])
def test_arrivals_are_due_in_their_own_slices_at_their_own_rate(kind: str) -> None:
    arrivals = Arrivals(kind=kind, burst_size=4) if kind == "burst" else Arrivals(kind=kind)  # type: ignore[arg-type]  # one of the kinds
    plan = plan_of(arrivals, first_ns=7 * SECOND_NS, rate_per_s=200.0, seed=3, turns=Turns(1))
    due = [plan.due_ns(k) for k in range(2_000)]
    assert due == sorted(due)
    assert {owner(at_ns) for at_ns in due} == {1}
    assert due[-1] - due[0] == pytest.approx(20 * SECOND_NS, rel=0.15)  # nearly half of the time


@given(st.integers(0, 500), st.integers(-1, 1), PLACES)
def test_the_count_of_due_arrivals_agrees_with_their_times(k: int, after: int, place: int) -> None:
    plan = plan_of(Arrivals(), first_ns=123, rate_per_s=40.0, seed=1, turns=Turns(place))
    now_ns = plan.due_ns(k) + after
    expected = sum(plan.due_ns(each) <= now_ns for each in range(k + 3))
    assert plan.due_count(now_ns) == expected


def test_a_user_s_requests_keep_to_the_turns() -> None:
    plan = user_arrivals(20, "vu-1", 5 * SECOND_NS, 0.1, None, Turns(0))
    assert {owner(plan.due_ns(k)) for k in range(100)} == {0}
    sent = plan.due_count(8 * SECOND_NS)
    assert count_missed(plan, sent, 8 * SECOND_NS + SLICE_NS - 1) <= 3


@given(MOMENTS, PLACES)
def test_users_that_begin_in_a_slice_of_the_other_side_do_not_send_at_once(
    start_ns: int, place: int
) -> None:
    turns = Turns(place)
    began_ns = turns.load_ns(start_ns)
    plans = [user_arrivals(20, f"vu-{user}", start_ns, 0.2, None, turns) for user in range(25)]
    offsets_ns = {turns.load_ns(plan.due_ns(0)) - began_ns for plan in plans}
    alone = {user_arrivals(20, f"vu-{user}", 0, 0.2).due_ns(0) for user in range(25)}
    assert offsets_ns == alone


def test_a_publisher_reads_its_turns_from_its_plan() -> None:
    plan = {
        "directory": "runs", "url": "", "token": "", "symbols": ["BTC"], "weights": [1.0],
        "publish": [{"event": "price:update", "rate": 50.0, "payload_bytes": 0,
                     "arrivals": {"kind": "constant", "burst_size": 1}}],
        "seed": 1, "user_ids": [], "t0_ns": 0, "first_ns": 0, "steady_ns": 1, "end_ns": None,
        "late_ns": 1, "clock_offset_ns": None, "turns": {"place": 1},
    }  # fmt: skip
    found: PublishPlan = read_plan(json.dumps(plan))
    merged = plan_arrivals(found)
    taken = merged.take_due(4 * SECOND_NS, 1_000)
    assert len(taken) == 4 * 2 * SLICE_NS * 50 // SECOND_NS
    assert {owner(due_ns) for due_ns, _, _ in taken} == {1}
    assert isinstance(found.publish[0], Publish)


@pytest.mark.parametrize(("at_ns", "expected_s"), [(0, 0), (1, 1), (SECOND_NS, 1)])
def test_a_whole_second_is_never_before_the_moment(at_ns: int, expected_s: int) -> None:
    assert whole_second(at_ns) == expected_s * SECOND_NS
