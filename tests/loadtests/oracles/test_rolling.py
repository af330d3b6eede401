from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.oracles.rolling import Judgement, RateLimitOracle, Rule
from loadtests.results import LimitOutcome

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
MS = 1_000_000
RIGHT = (LimitOutcome.ACCEPTED, LimitOutcome.REFUSED)


def instant(
    oracle: RateLimitOracle,
    at_ns: int,
    *,
    is_accepted: bool,
    connection: int = 0,
    retry_after_ns: int | None = None,
) -> Judgement:
    """One event that arrives at a known time, judged."""
    event = oracle.send(connection, at_ns)
    oracle.answer(event, at_ns, is_accepted=is_accepted, retry_after_ns=retry_after_ns)
    (judged,) = oracle.take_judged()
    return judged


def during(oracle: RateLimitOracle, sent_ns: int, done_ns: int, *, is_accepted: bool) -> Judgement:
    event = oracle.send(0, sent_ns)
    oracle.answer(event, done_ns, is_accepted=is_accepted)
    (judged,) = oracle.take_judged()
    return judged


@pytest.fixture
def oracle() -> RateLimitOracle:
    return RateLimitOracle(Rule(60, MINUTE), Rule(300, MINUTE))


def fill(oracle: RateLimitOracle, count: int, connection: int = 0) -> None:
    for number in range(count):
        instant(oracle, number, is_accepted=True, connection=connection)


def test_sixty_accepted_and_the_next_refused_is_right(oracle: RateLimitOracle) -> None:
    for number in range(60):
        assert instant(oracle, number, is_accepted=True).outcome is LimitOutcome.ACCEPTED
    assert instant(oracle, 60, is_accepted=False).outcome is LimitOutcome.REFUSED


def test_a_61st_that_is_accepted_is_a_false_accept(oracle: RateLimitOracle) -> None:
    fill(oracle, 60)
    assert instant(oracle, 61, is_accepted=True).outcome is LimitOutcome.FALSE_ACCEPT


def test_a_60th_that_is_refused_is_a_false_refusal(oracle: RateLimitOracle) -> None:
    fill(oracle, 59)
    assert instant(oracle, 59, is_accepted=False).outcome is LimitOutcome.FALSE_REFUSAL


@pytest.mark.parametrize(
    ("at_ns", "is_accepted"), [(9, False), (10, True)], ids=["inside the window", "at its end"]
)
def test_the_window_is_open_at_its_start(at_ns: int, *, is_accepted: bool) -> None:
    oracle = RateLimitOracle(Rule(1, 10))
    instant(oracle, 0, is_accepted=True)
    expected = LimitOutcome.ACCEPTED if is_accepted else LimitOutcome.REFUSED
    assert instant(oracle, at_ns, is_accepted=is_accepted).outcome is expected


@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "refused"])
def test_what_depends_on_the_arrival_is_undecidable(*, is_accepted: bool) -> None:
    oracle = RateLimitOracle(Rule(1, 10))
    during(oracle, 0, 4, is_accepted=True)
    judged = during(oracle, 9, 13, is_accepted=is_accepted)
    assert judged.outcome is LimitOutcome.UNDECIDABLE


def test_an_unanswered_event_may_have_been_accepted_at_any_time_since() -> None:
    oracle = RateLimitOracle(Rule(1, 10))
    assert oracle.give_up(oracle.send(0, 0)).outcome is LimitOutcome.UNDECIDABLE
    assert instant(oracle, 6, is_accepted=False).outcome is LimitOutcome.UNDECIDABLE
    assert instant(oracle, 7, is_accepted=True).outcome is LimitOutcome.UNDECIDABLE


def test_a_later_answer_bounds_when_an_unanswered_event_arrived() -> None:
    oracle = RateLimitOracle(Rule(1, 10))
    oracle.give_up(oracle.send(0, 0))
    instant(oracle, 5, is_accepted=False)
    assert instant(oracle, 15, is_accepted=False).outcome is LimitOutcome.FALSE_REFUSAL


def test_the_end_of_a_connection_bounds_what_was_under_way_on_it() -> None:
    oracle = RateLimitOracle(Rule(5, 10), Rule(1, 10))
    oracle.send(0, 0)
    assert [judged.outcome for judged in oracle.end(0, 5)] == [LimitOutcome.UNDECIDABLE]
    refused = instant(oracle, 14, is_accepted=False, connection=1)
    assert refused.outcome is LimitOutcome.UNDECIDABLE
    refused = instant(oracle, 15, is_accepted=False, connection=1)
    assert refused.outcome is LimitOutcome.FALSE_REFUSAL
    assert oracle.is_idle


def test_another_connection_has_a_window_of_its_own(oracle: RateLimitOracle) -> None:
    fill(oracle, 60)
    assert instant(oracle, 61, is_accepted=True, connection=1).outcome is LimitOutcome.ACCEPTED
    refused = instant(oracle, 62, is_accepted=False, connection=1)
    assert refused.outcome is LimitOutcome.FALSE_REFUSAL


def test_the_users_limit_holds_over_all_connections_and_over_reconnects(
    oracle: RateLimitOracle,
) -> None:
    for connection in range(5):
        fill(oracle, 60, connection)
    refused = instant(oracle, 61, is_accepted=False, connection=5)
    assert refused.outcome is LimitOutcome.REFUSED
    accepted = instant(oracle, 62, is_accepted=True, connection=6)
    assert accepted.outcome is LimitOutcome.FALSE_ACCEPT


def test_what_overlaps_on_two_connections_waits_until_both_are_answered() -> None:
    oracle = RateLimitOracle(Rule(5, 100), Rule(1, 100))
    first, second = oracle.send(0, 0), oracle.send(1, 1)
    oracle.answer(second, 3, is_accepted=False)
    assert oracle.take_judged() == []
    oracle.answer(first, 4, is_accepted=True)
    assert [judged.outcome for judged in oracle.take_judged()] == [
        LimitOutcome.ACCEPTED,
        LimitOutcome.UNDECIDABLE,  # it came before the other, or after it
    ]
    assert oracle.is_idle


@pytest.mark.parametrize(
    ("told_ms", "error_ms"),
    [(50_000, 0), (50_001, 0), (49_000, 1_000), (51_000, 999), (0, 50_000)],
    ids=["honest", "rounded up", "too short", "too long", "nothing"],
)
def test_a_retry_time_is_held_against_the_rule(told_ms: int, error_ms: int) -> None:
    oracle = RateLimitOracle(Rule(2, MINUTE))
    instant(oracle, 0, is_accepted=True)
    instant(oracle, SECOND, is_accepted=True)
    judged = instant(oracle, 10 * SECOND, is_accepted=False, retry_after_ns=told_ms * MS)
    assert judged.retry_error_ns == error_ms * MS


def test_of_two_limits_the_later_one_says_when_to_return() -> None:
    oracle = RateLimitOracle(Rule(1, MINUTE), Rule(2, MINUTE))
    instant(oracle, 0, is_accepted=True, connection=1)
    instant(oracle, 5 * SECOND, is_accepted=True, connection=0)
    judged = instant(oracle, 10 * SECOND, is_accepted=False, retry_after_ns=55 * SECOND)
    assert judged.retry_error_ns == 0


def test_what_is_not_known_of_the_arrivals_is_taken_off_the_error() -> None:
    oracle = RateLimitOracle(Rule(1, MINUTE))
    during(oracle, 0, SECOND, is_accepted=True)
    for told_s, error_s in ((47, 1), (48, 0), (51, 0)):
        event = oracle.send(0, 10 * SECOND)
        oracle.answer(event, 12 * SECOND, is_accepted=False, retry_after_ns=told_s * SECOND)
        (judged,) = oracle.take_judged()
        assert judged.retry_error_ns == error_s * SECOND


def test_a_wrong_refusal_has_no_retry_error() -> None:
    oracle = RateLimitOracle(Rule(2, MINUTE))
    judged = instant(oracle, 0, is_accepted=False, retry_after_ns=SECOND)
    assert judged.outcome is LimitOutcome.FALSE_REFUSAL
    assert judged.retry_error_ns is None


@dataclass
class Gateway:
    """A limiter that keeps its own rule exactly: what the laboratory does not see."""

    connection: Rule
    user: Rule
    accepted: list[tuple[int, int]] = field(default_factory=list)

    def decide(self, now_ns: int, connection: int) -> tuple[bool, int]:
        waits_ns = [
            self._wait_ns(
                now_ns, self.connection, [t for t, c in self.accepted if c == connection]
            ),
            self._wait_ns(now_ns, self.user, [t for t, _ in self.accepted]),
        ]
        if max(waits_ns) == 0:
            self.accepted.append((now_ns, connection))
        return max(waits_ns) == 0, -(-max(waits_ns) // MS) * MS

    @staticmethod
    def _wait_ns(now_ns: int, rule: Rule, moments_ns: list[int]) -> int:
        inside = sorted(t for t in moments_ns if t > now_ns - rule.window_ns)
        if len(inside) < rule.limit:
            return 0
        return inside[-rule.limit] + rule.window_ns - now_ns


CONNECTION, USER = Rule(4, 20 * MS), Rule(7, 30 * MS)

_events = st.lists(
    st.tuples(
        st.integers(0, 8 * MS),  # after the one before
        st.integers(0, 3 * MS),  # to the gateway
        st.integers(0, 3 * MS),  # and back
        st.integers(0, 2),  # the connection
    ),
    min_size=1,
    max_size=40,
)


def play(
    gateway: Gateway, events: list[tuple[int, int, int, int]], oracle: RateLimitOracle
) -> list[Judgement]:
    """Send events through a simulated network that keeps each connection's order."""
    sent_ns, arrivals_ns, answers_ns = 0, dict[int, int](), dict[int, int]()
    steps: list[tuple[int, int, int, int, int]] = []  # moment, kind, number, connection, sent
    times: list[tuple[int, int, int, int]] = []
    for pause, travel, back, connection in events:
        sent_ns += pause
        arrival_ns = max(sent_ns + travel, arrivals_ns.get(connection, 0))
        done_ns = max(arrival_ns + back, answers_ns.get(connection, 0))
        arrivals_ns[connection], answers_ns[connection] = arrival_ns, done_ns
        times.append((sent_ns, arrival_ns, done_ns, connection))
    for number, (sent, arrival, done, connection) in enumerate(times):
        steps += [
            (sent, 0, number, connection, sent),
            (arrival, 1, number, connection, sent),
            (done, 2, number, connection, sent),
        ]
    tickets, decisions, judged = {}, {}, []
    for moment_ns, kind, number, connection, _ in sorted(steps):
        if kind == 0:
            tickets[number] = oracle.send(connection, moment_ns)
        elif kind == 1:
            decisions[number] = gateway.decide(moment_ns, connection)
        else:
            is_accepted, wait_ns = decisions[number]
            oracle.answer(
                tickets[number],
                moment_ns,
                is_accepted=is_accepted,
                retry_after_ns=None if is_accepted else wait_ns,
            )
            while ready := oracle.take_judged():
                judged += ready
    assert oracle.is_idle
    assert len(judged) == len(events)
    return judged


@given(_events)
def test_a_gateway_that_keeps_the_rule_is_never_accused(
    events: list[tuple[int, int, int, int]],
) -> None:
    judged = play(Gateway(CONNECTION, USER), events, RateLimitOracle(CONNECTION, USER))
    assert {each.outcome for each in judged} <= {*RIGHT, LimitOutcome.UNDECIDABLE}
    assert {each.retry_error_ns for each in judged} <= {None, 0}


@given(_events)
def test_at_known_times_nothing_is_undecidable_along_one_connection(
    events: list[tuple[int, int, int, int]],
) -> None:
    at_once = [(pause + 1, 0, 0, 0) for pause, _, _, _ in events]
    judged = play(Gateway(CONNECTION, USER), at_once, RateLimitOracle(CONNECTION, USER))
    assert {each.outcome for each in judged} <= set(RIGHT)


def edge(rule: Rule, slack_ns: int, connections: int = 1) -> list[tuple[int, int, int, int]]:
    """Fill a window at once, then ask every ``slack_ns`` until it is over."""
    count = rule.limit + 2
    burst = [(1, 0, 0, number % connections) for number in range(count)]
    return burst + [(slack_ns, 0, 0, 0)] * (2 * rule.window_ns // slack_ns)


@pytest.mark.parametrize(
    ("connection", "user", "connections", "wrong"),
    [
        (Rule(5, 20 * MS), USER, 1, LimitOutcome.FALSE_ACCEPT),
        (Rule(3, 20 * MS), USER, 1, LimitOutcome.FALSE_REFUSAL),
        (Rule(4, 19 * MS), USER, 1, LimitOutcome.FALSE_ACCEPT),
        (Rule(4, 21 * MS), USER, 1, LimitOutcome.FALSE_REFUSAL),
        (CONNECTION, Rule(8, 30 * MS), 3, LimitOutcome.FALSE_ACCEPT),
        (CONNECTION, Rule(6, 30 * MS), 3, LimitOutcome.FALSE_REFUSAL),
        (CONNECTION, Rule(7, 29 * MS), 3, LimitOutcome.FALSE_ACCEPT),
        (CONNECTION, Rule(7, 31 * MS), 3, LimitOutcome.FALSE_REFUSAL),
    ],
    ids=[
        "one more a connection",
        "one fewer a connection",
        "a shorter window",
        "a longer window",
        "one more a user",
        "one fewer a user",
        "a shorter window of the user",
        "a longer window of the user",
    ],
)
@settings(max_examples=10)
@given(travels=st.lists(st.integers(0, 100_000), min_size=160, max_size=160))
def test_a_limiter_that_is_off_by_one_is_found(
    connection: Rule, user: Rule, connections: int, wrong: LimitOutcome, travels: list[int]
) -> None:
    rule = USER if connections > 1 else CONNECTION
    events = [
        (pause, travel, travel, number)
        for (pause, _, _, number), travel in zip(
            edge(rule, MS // 2, connections), travels, strict=False
        )
    ]
    judged = play(Gateway(connection, user), events, RateLimitOracle(CONNECTION, USER))
    assert wrong in {each.outcome for each in judged}


def test_a_limit_that_a_reconnect_resets_is_found() -> None:
    oracle = RateLimitOracle(CONNECTION, USER)
    events = [(1, 0, 0, number // 4) for number in range(12)]
    judged = play(Gateway(CONNECTION, Rule(1_000, 30 * MS)), events, oracle)
    assert [each.outcome for each in judged].count(LimitOutcome.FALSE_ACCEPT) == 5
