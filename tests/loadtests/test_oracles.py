from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.oracles import HeartbeatOracle, RateLimitOracle
from loadtests.results import LimitOutcome

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


def instant(oracle: RateLimitOracle, at_ns: int, *, is_accepted: bool) -> LimitOutcome:
    return oracle.judge(at_ns, at_ns, is_accepted=is_accepted)


def test_sixty_accepted_and_the_next_refused_is_right() -> None:
    oracle = RateLimitOracle(60, 60 * SECOND)
    for number in range(60):
        assert instant(oracle, number, is_accepted=True) is LimitOutcome.ACCEPTED
    assert instant(oracle, 60, is_accepted=False) is LimitOutcome.REFUSED


def test_a_61st_that_is_accepted_is_a_false_accept() -> None:
    oracle = RateLimitOracle(60, 60 * SECOND)
    for number in range(60):
        instant(oracle, number, is_accepted=True)
    assert instant(oracle, 61, is_accepted=True) is LimitOutcome.FALSE_ACCEPT


def test_a_60th_that_is_refused_is_a_false_refusal() -> None:
    oracle = RateLimitOracle(60, 60 * SECOND)
    for number in range(59):
        instant(oracle, number, is_accepted=True)
    assert instant(oracle, 59, is_accepted=False) is LimitOutcome.FALSE_REFUSAL


@pytest.mark.parametrize(
    ("at_ns", "is_accepted"), [(9, False), (10, True)], ids=["inside the window", "at its end"]
)
def test_the_window_is_open_at_its_start(at_ns: int, *, is_accepted: bool) -> None:
    oracle = RateLimitOracle(1, 10)
    instant(oracle, 0, is_accepted=True)
    expected = LimitOutcome.ACCEPTED if is_accepted else LimitOutcome.REFUSED
    assert instant(oracle, at_ns, is_accepted=is_accepted) is expected


@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "refused"])
def test_what_depends_on_the_arrival_is_undecidable(*, is_accepted: bool) -> None:
    oracle = RateLimitOracle(1, 10)
    oracle.judge(0, 4, is_accepted=True)
    assert oracle.judge(9, 13, is_accepted=is_accepted) is LimitOutcome.UNDECIDABLE


def test_an_unanswered_event_may_have_been_accepted() -> None:
    oracle = RateLimitOracle(1, 10)
    assert oracle.unanswered(0, 5) is LimitOutcome.UNDECIDABLE
    assert instant(oracle, 6, is_accepted=False) is LimitOutcome.UNDECIDABLE
    assert instant(oracle, 7, is_accepted=True) is LimitOutcome.UNDECIDABLE


_events = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 6), st.floats(0, 1)), min_size=1, max_size=40
)


@given(_events, st.integers(1, 5), st.integers(1, 30))
def test_a_gateway_that_keeps_the_rule_is_never_accused(
    events: list[tuple[int, int, float]], limit: int, window_ns: int
) -> None:
    oracle = RateLimitOracle(limit, window_ns)
    accepted: list[int] = []
    sent_ns, arrived_ns = 0, 0
    for pause, travel, share in events:
        sent_ns += pause
        done_ns = max(arrived_ns, sent_ns) + travel
        arrived_ns = max(arrived_ns, sent_ns) + int(share * travel)  # in the order sent
        inside = [moment for moment in accepted if moment > arrived_ns - window_ns]
        is_accepted = len(inside) < limit
        if is_accepted:
            accepted.append(arrived_ns)
        outcome = oracle.judge(sent_ns, done_ns, is_accepted=is_accepted)
        right = LimitOutcome.ACCEPTED if is_accepted else LimitOutcome.REFUSED
        assert outcome in (right, LimitOutcome.UNDECIDABLE)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 30))
def test_each_wrong_decision_at_a_known_time_is_found(
    pauses: list[int], limit: int, window_ns: int
) -> None:
    oracle = RateLimitOracle(limit, window_ns)
    accepted: list[int] = []
    now_ns = 0
    for number, pause in enumerate(pauses):
        now_ns += pause
        inside = [moment for moment in accepted if moment > now_ns - window_ns]
        ought = len(inside) < limit
        decided = ought if number % 3 else not ought
        if decided:
            accepted.append(now_ns)
        outcome = instant(oracle, now_ns, is_accepted=decided)
        right = {True: LimitOutcome.ACCEPTED, False: LimitOutcome.REFUSED}[decided]
        wrong = {True: LimitOutcome.FALSE_ACCEPT, False: LimitOutcome.FALSE_REFUSAL}[decided]
        assert outcome is (right if decided is ought else wrong)
