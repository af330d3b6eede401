from __future__ import annotations

import pytest

from loadtests.oracles.heartbeats import HeartbeatOracle

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("gap_s", "missed"),
    [(0.0, 0), (4.9, 0), (5.0, 0), (7.4, 0), (7.5, 1), (10.0, 1), (12.5, 2), (15.1, 2)],
)
def test_a_beat_is_missed_when_none_comes_within_half_an_interval(
    gap_s: float, missed: int
) -> None:
    oracle = HeartbeatOracle(5 * SECOND, 0)
    assert oracle.beat(2 * SECOND) is None
    assert oracle.beat(2 * SECOND + round(gap_s * SECOND)) == round(gap_s * SECOND)
    assert oracle.missed == missed


def test_the_first_beat_is_no_gap_but_may_be_too_late() -> None:
    oracle = HeartbeatOracle(5 * SECOND, 100 * SECOND)
    assert oracle.beat(111 * SECOND) is None
    assert oracle.missed == 1


def test_a_silent_end_counts_once() -> None:
    oracle = HeartbeatOracle(SECOND, 0)
    oracle.beat(SECOND)
    assert oracle.close(5 * SECOND) == 3
    assert oracle.close(5 * SECOND) == 3


def test_a_client_that_never_heard_a_beat_missed_them_all() -> None:
    assert HeartbeatOracle(SECOND, 0).close(4 * SECOND) == 3


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="over 0"):
        HeartbeatOracle(0, 0)


def test_a_number_that_came_already_is_extra_and_moves_nothing() -> None:
    oracle = HeartbeatOracle(5 * SECOND, 0)
    oracle.beat(4 * SECOND, 7)
    assert oracle.beat(4 * SECOND, 7) is None
    assert oracle.beat(9 * SECOND, 8) == 5 * SECOND
    assert oracle.beat(9 * SECOND, 6) is None
    assert (oracle.extra, oracle.missed) == (2, 0)


def test_more_heartbeats_than_were_due_are_extra() -> None:
    oracle = HeartbeatOracle(5 * SECOND, 0)
    for number in range(1, 7):  # two at once, each 5 s
        at_ns = (number + 1) // 2 * 5 * SECOND
        oracle.beat(at_ns, number, at_ns)
    assert oracle.extra == 2
    assert oracle.missed == 0


@pytest.mark.parametrize("late_ns", [0, SECOND, 4 * SECOND])
def test_no_heartbeat_is_extra_for_a_late_tick_or_a_late_read(late_ns: int) -> None:
    oracle = HeartbeatOracle(5 * SECOND, 0)
    oracle.beat(5 * SECOND + late_ns, 1, 5 * SECOND + late_ns)
    for number in range(2, 9):  # all read at once, at the end
        oracle.beat(60 * SECOND, number, number * 5 * SECOND)
    assert oracle.extra == 0


def test_heartbeats_without_a_number_are_counted_by_the_time_they_were_read() -> None:
    oracle = HeartbeatOracle(5 * SECOND, 0)
    for _ in range(3):
        oracle.beat(5 * SECOND, "no number")
    assert oracle.extra == 1
