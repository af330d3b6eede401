from __future__ import annotations

import pytest

from gateway.expiry import ExpiryWheel

NOW_S = 1_800_000_000.0
HOUR_S = 3_600.0


@pytest.fixture
def wheel() -> ExpiryWheel:
    return ExpiryWheel()


def test_a_connection_is_due_at_most_a_second_late_and_never_early(wheel: ExpiryWheel) -> None:
    wheel.schedule("a", NOW_S + 9.3)
    assert wheel.take_due(NOW_S + 9.9) == []
    assert wheel.take_due(NOW_S + 10) == ["a"]
    assert wheel.take_due(NOW_S + 99) == []
    assert len(wheel) == 0


def test_a_past_time_is_due_at_once(wheel: ExpiryWheel) -> None:
    wheel.schedule("a", NOW_S - 500)
    assert wheel.take_due(NOW_S) == ["a"]


def test_due_connections_come_in_the_order_of_their_seconds(wheel: ExpiryWheel) -> None:
    for sid, after_s in (("late", 3), ("b", 1), ("a", 1), ("never", HOUR_S)):
        wheel.schedule(sid, NOW_S + after_s)
    assert wheel.take_due(NOW_S + 5) == ["a", "b", "late"]
    assert len(wheel) == 1


def test_a_connection_has_one_time_at_most(wheel: ExpiryWheel) -> None:
    wheel.schedule("a", NOW_S + 1)
    wheel.schedule("a", NOW_S + 5)
    wheel.schedule("b", NOW_S + 1)
    wheel.cancel("b")
    wheel.cancel("nobody")
    assert wheel.take_due(NOW_S + 4) == []
    assert wheel.take_due(NOW_S + 5) == ["a"]


@pytest.mark.parametrize("step_s", [-30 * HOUR_S, -HOUR_S, -1, 1, HOUR_S, 30 * HOUR_S])
def test_a_step_of_the_wall_clock_changes_nothing_but_the_time(
    wheel: ExpiryWheel, step_s: float
) -> None:
    wheel.schedule("before", NOW_S + 50 * HOUR_S)
    wheel.schedule("passed", NOW_S)
    assert wheel.take_due(NOW_S) == ["passed"]
    now_s = NOW_S + step_s
    wheel.schedule("after", now_s + 10)
    assert wheel.take_due(now_s + 9) == []
    assert wheel.take_due(now_s + 10) == ["after"]
    assert wheel.take_due(NOW_S + 50 * HOUR_S) == ["before"]
