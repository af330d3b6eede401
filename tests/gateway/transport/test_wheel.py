"""The timer wheel: nobody is woken early, nobody is forgotten, nobody stands in it twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.wheel import TimerWheel

TICK_NS = 4_000_000


class Sleeper:
    """Notes when it was woken; sleeps on as often as it is told."""

    def __init__(self, dues_ns: list[int]) -> None:
        self.wake_tick = 0
        self.dues_ns = dues_ns
        self.woken_ns: list[int] = []

    def wake(self, now_ns: int) -> int:
        self.woken_ns.append(now_ns)
        return self.dues_ns.pop(0) if self.dues_ns else 0


def test_a_sleeper_is_woken_within_a_tick_and_never_early() -> None:
    wheel, sleeper = TimerWheel(TICK_NS), Sleeper([])
    wheel.schedule(sleeper, 10 * TICK_NS + 1)
    wheel.turn(10 * TICK_NS + 1)
    assert sleeper.woken_ns == []
    wheel.turn(11 * TICK_NS + 1)
    assert len(sleeper.woken_ns) == 1


def test_who_asks_for_more_sleep_is_woken_again() -> None:
    wheel, sleeper = TimerWheel(TICK_NS), Sleeper([50 * TICK_NS])
    wheel.schedule(sleeper, TICK_NS)
    wheel.turn(2 * TICK_NS)
    wheel.turn(60 * TICK_NS)
    assert sleeper.woken_ns == [2 * TICK_NS, 60 * TICK_NS]
    assert len(wheel) == 0


def test_an_earlier_deadline_wins_and_the_later_place_is_stale() -> None:
    wheel, sleeper = TimerWheel(TICK_NS), Sleeper([])
    assert wheel.schedule(sleeper, 100 * TICK_NS)
    assert wheel.schedule(sleeper, 5 * TICK_NS), "it is the wheel's earliest now"
    assert not wheel.schedule(sleeper, 50 * TICK_NS), "it is woken before, and looks then"
    wheel.turn(200 * TICK_NS)
    assert len(sleeper.woken_ns) == 1


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60), st.integers(10**6, 10**8))
def test_everybody_is_woken_once_and_on_time(dues_ns: list[int], step_ns: int) -> None:
    wheel = TimerWheel(TICK_NS)
    sleepers = [Sleeper([]) for _ in dues_ns]
    for sleeper, due_ns in zip(sleepers, dues_ns, strict=True):
        wheel.schedule(sleeper, due_ns)
    now_ns = 0
    while wheel.next_due_ns() is not None:
        now_ns += step_ns
        wheel.turn(now_ns)
    for sleeper, due_ns in zip(sleepers, dues_ns, strict=True):
        (woken_ns,) = sleeper.woken_ns
        assert due_ns <= woken_ns <= due_ns + 2 * TICK_NS + step_ns


def test_a_sleeper_that_is_moved_or_forgotten_leaves_no_place_behind() -> None:
    wheel, sleeper = TimerWheel(TICK_NS), Sleeper([])
    for due_ns in (90 * TICK_NS, 50 * TICK_NS, 10 * TICK_NS):
        wheel.schedule(sleeper, due_ns)
    places = [found for bucket in wheel._buckets.values() for found in bucket]
    assert places == [sleeper]
    wheel.forget(sleeper)
    assert not any(wheel._buckets.values())
    wheel.turn(100 * TICK_NS)
    assert sleeper.woken_ns == []


class BadSleeper(Sleeper):
    """Fails at what is due."""

    def wake(self, now_ns: int) -> int:
        raise RuntimeError("a fault")


def test_one_bad_sleeper_keeps_no_other_asleep() -> None:
    wheel, good = TimerWheel(TICK_NS), Sleeper([])
    for sleeper in (BadSleeper([]), good):
        wheel.schedule(sleeper, TICK_NS)
    wheel.turn(2 * TICK_NS)
    assert good.woken_ns == [2 * TICK_NS]


def test_a_sleeper_may_have_another_of_its_tick_forgotten() -> None:
    wheel, other = TimerWheel(TICK_NS), Sleeper([])

    class Forgetting(Sleeper):
        def wake(self, now_ns: int) -> int:
            wheel.forget(other)
            return super().wake(now_ns)

    wheel.schedule(Forgetting([]), TICK_NS)
    wheel.schedule(other, TICK_NS)
    wheel.turn(2 * TICK_NS)
    assert other.woken_ns == []


def test_a_turn_that_may_wake_some_alone_leaves_the_rest_to_the_next() -> None:
    wheel, sleepers = TimerWheel(TICK_NS), [Sleeper([]) for _ in range(5)]
    for sleeper in sleepers:
        wheel.schedule(sleeper, TICK_NS)
    wheel.turn(2 * TICK_NS, 2)
    assert [len(sleeper.woken_ns) for sleeper in sleepers] == [1, 1, 0, 0, 0]
    due_ns = wheel.next_due_ns()
    assert due_ns is not None
    assert due_ns <= 2 * TICK_NS, "who waits is due at once"

    wheel.forget(sleepers[2])
    wheel.turn(2 * TICK_NS, 3)
    assert [len(sleeper.woken_ns) for sleeper in sleepers] == [1, 1, 0, 1, 1]
    assert wheel.next_due_ns() is None
