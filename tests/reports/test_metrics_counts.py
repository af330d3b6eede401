"""Counts out of events and the ledger: the right number, and no number without data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from staged_run import STEADY_AT_S, Told, make_staged_run
from synthetic_run import Rows, ledger_row, span_rows
from synthetic_run import event_row as row

from loadtests.results import (
    AuthOutcome,
    DeadPeerOutcome,
    EndOutcome,
    Event,
    LeakOutcome,
    LimitOutcome,
    Phase,
    Series,
)
from reports.measures.limits import surely_in_one_window
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

_S = 1_000_000_000
_MS = 1_000_000
SUBSCRIBERS = "[users.subscriber]\ncount = 100\nsymbols = 1"
ABUSER = "[users.abuser]\ncount = 1\nburst = 70"
DEAD = '[users.dead_peer]\ncount = 6\nkinds = ["mute", "no-pong", "stalled"]\ndies_after = "1 s"'
BAD_TOKENS = '[users.bad_token]\ncount = 2\nevery = "1 s"'
EXPIRING = '[users.expiring]\ncount = 2\nlifetime = "5 s"\nrefreshing = 0.5'


def run_of(tmp_path: Path, groups: str, **more: Any) -> RunFrames:
    return read_run(make_staged_run(tmp_path / "run", groups, **more))


def limit(sent_ms: int, done_ms: int, outcome: LimitOutcome, detail: str = "") -> dict[str, Any]:
    return row(
        done_ms * _MS, Event.LIMIT, str(outcome), user="vu-1", group="abuser",
        sent_ns=sent_ms * _MS, detail=detail,
    )  # fmt: skip


def test_the_largest_window_counts_what_must_lie_in_one(tmp_path: Path) -> None:
    # 60 at once, answered within 20 ms; one more just before and one just after 60 s.
    burst = [limit(index, index + 20, LimitOutcome.ACCEPTED) for index in range(60)]
    edge = [
        limit(59_970, 59_990, LimitOutcome.FALSE_ACCEPT),
        limit(60_010, 60_030, LimitOutcome.ACCEPTED),
    ]
    found = measure(run_of(tmp_path, ABUSER, events=burst + edge), "rate_limit.largest_window")
    assert (found.value, found.n) == (61, 62)


def test_a_refusal_and_a_ping_are_in_no_window(tmp_path: Path) -> None:
    events = [
        limit(0, 1, LimitOutcome.ACCEPTED, "connection 0"),
        limit(2, 3, LimitOutcome.REFUSED, "connection 0: connection"),
        limit(4, 5, LimitOutcome.ACCEPTED, "connection 0, pings"),
    ]
    assert measure(run_of(tmp_path, ABUSER, events=events), "rate_limit.largest_window").value == 1


def test_each_connection_has_a_window_of_its_own(tmp_path: Path) -> None:
    events = [
        limit(at_ms, at_ms + 1, LimitOutcome.ACCEPTED, f"connection {at_ms % 2}")
        for at_ms in range(20)
    ]
    assert measure(run_of(tmp_path, ABUSER, events=events), "rate_limit.largest_window").value == 10


def test_without_an_announced_limit_there_is_no_window(tmp_path: Path) -> None:
    events = [limit(0, 1, LimitOutcome.ACCEPTED)]
    run = run_of(tmp_path, ABUSER, events=events, manifest={"limits": {}})
    assert "announced no limit" in measure(run, "rate_limit.largest_window").why


arrivals = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), min_size=1, max_size=25)


@given(arrivals, st.integers(1, 120), st.randoms(use_true_random=False))
def test_what_must_lie_in_a_window_is_never_more_than_what_lay_in_one(
    sent_and_took: list[tuple[int, int]], window: int, chance: Any
) -> None:
    arrived = [sent + chance.randint(0, took) for sent, took in sent_and_took]
    fullest = max(sum(at - window < other <= at for other in arrived) for at in arrived)
    sent = np.array([sent for sent, _ in sent_and_took])
    done = np.array([sent + took for sent, took in sent_and_took])
    assert surely_in_one_window(sent, done, window) <= fullest


@given(st.lists(st.integers(0, 300), min_size=1, max_size=25), st.integers(1, 120))
def test_answers_without_delay_give_the_fullest_window_itself(at: list[int], window: int) -> None:
    moments = np.array(at)
    fullest = max(sum(each - window < other <= each for other in at) for each in at)
    assert surely_in_one_window(moments, moments, window) == fullest


def test_retries_are_counted_by_what_came_of_them(tmp_path: Path) -> None:
    outcomes = ["accepted"] * 5 + ["refused"] * 2
    events = [row(index * _S, Event.RETRY, outcome) for index, outcome in enumerate(outcomes)]
    run = run_of(tmp_path, ABUSER, events=events)
    assert (
        measure(run, "rate_limit.readmitted").value,
        measure(run, "rate_limit.readmitted").n,
    ) == (5, 7)
    assert measure(run, "rate_limit.dishonest_retries").value == 2


def test_no_retry_is_no_honesty(tmp_path: Path) -> None:
    found = measure(run_of(tmp_path, ABUSER), "rate_limit.dishonest_retries")
    assert (found.value, found.why) == (None, "no abuser retried after a retryAfter")


@pytest.mark.parametrize(
    ("metric", "outcome", "n"),
    [
        ("isolation.foreign", LeakOutcome.FOREIGN, 40),
        ("isolation.private_fields", LeakOutcome.PRIVATE_FIELD, 70),
        ("isolation.unsubscribed", LeakOutcome.UNSUBSCRIBED, 300),
    ],
)
def test_a_leak_is_counted_against_what_was_looked_at(
    tmp_path: Path, metric: str, outcome: LeakOutcome, n: int
) -> None:
    owed = {"price:A": 190, "trading": 70, "user": 40}
    ledger = [ledger_row(stream, "trader", count) for stream, count in owed.items()]
    clean = measure(run_of(tmp_path, SUBSCRIBERS, ledger=ledger), metric)
    assert (clean.value, clean.low, clean.high, clean.n) == (0, 0, 0, n)
    events = [row(_S, Event.LEAK, str(each)) for each in (*LeakOutcome, outcome)]
    assert measure(run_of(tmp_path, SUBSCRIBERS, ledger=ledger, events=events), metric).value == 2


def test_isolation_that_saw_no_private_event_proves_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, SUBSCRIBERS, ledger=[ledger_row("price:A", "subscriber", 100)])
    found = measure(run, "isolation.foreign")
    assert found.value is None
    assert found.why == "no client received a private event, so nothing was checked"


def test_dead_peers_are_counted_early_and_late(tmp_path: Path) -> None:
    outcomes = [*[DeadPeerOutcome.IN_BAND] * 3, DeadPeerOutcome.EARLY]
    outcomes += [DeadPeerOutcome.LATE, DeadPeerOutcome.UNNOTICED]
    events = [row(_S, Event.DEAD_PEER, str(each), detail="mute") for each in outcomes]
    run = run_of(tmp_path, DEAD, events=events)
    assert [measure(run, f"dead_peer.{name}").value for name in ("early", "late")] == [1, 2]
    assert measure(run, "dead_peer.late").n == 6


def test_dead_peers_that_nobody_watched_are_no_zero(tmp_path: Path) -> None:
    assert measure(run_of(tmp_path, DEAD), "dead_peer.late").why == (
        "no dead peer was followed to its end"
    )
    assert "no dead_peer" in measure(run_of(tmp_path, SUBSCRIBERS), "dead_peer.early").why


def spans(series: Series, *values_ms: int) -> Rows:
    return span_rows(series, 30, [value * _MS for value in values_ms], phase=Phase.STEADY)


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("mute", Series.DEAD_PEER_MUTE),
        ("no_pong", Series.DEAD_PEER_NO_PONG),
        ("stalled", Series.DEAD_PEER_STALLED),
    ],
)
def test_a_peer_that_was_never_noticed_is_later_than_all_others(
    tmp_path: Path, kind: str, series: Series
) -> None:
    unnoticed = row(
        _S, Event.DEAD_PEER, str(DeadPeerOutcome.UNNOTICED), detail=kind.replace("_", "-")
    )
    hist = spans(series, 1_000, 2_000, 3_000)
    seen = run_of(tmp_path, DEAD, hist=hist)
    assert measure(seen, f"dead_peer.{kind}", "max").value == pytest.approx(3_000 * _MS, rel=0.001)
    missed = run_of(tmp_path, DEAD, hist=hist, events=[unnoticed])
    middle = measure(missed, f"dead_peer.{kind}", "p50")
    assert middle.value == pytest.approx(2_000 * _MS, rel=0.001)
    assert measure(missed, f"dead_peer.{kind}", "max").why == "1 of 4 members have no value"


def test_a_kind_of_death_that_nobody_died_has_no_time(tmp_path: Path) -> None:
    groups = DEAD.replace('"mute", ', "")
    found = measure(run_of(tmp_path, groups), "dead_peer.mute", "p50")
    assert (found.value, found.why) == (None, "the scenario has no mute peer")


def test_a_token_that_is_served_for_ever_has_no_time_of_its_end(tmp_path: Path) -> None:
    events = [row(_S, Event.AUTH, str(AuthOutcome.EXPIRED)) for _ in range(3)]
    events.append(row(_S, Event.AUTH, str(AuthOutcome.OVERSTAYED)))
    run = run_of(tmp_path, EXPIRING, events=events, hist=spans(Series.EXPIRY, 100, 120, 140))
    assert measure(run, "auth.expiry", "p50").value == pytest.approx(120 * _MS, rel=0.001)
    assert measure(run, "auth.expiry", "max").why == "1 of 4 members have no value"


def test_an_honest_retry_after_is_off_by_what_the_series_says(tmp_path: Path) -> None:
    run = run_of(tmp_path, ABUSER, hist=spans(Series.RETRY_ERROR, 0, 1, 2))
    assert measure(run, "rate_limit.retry_error", "p50").value == pytest.approx(_MS, rel=0.001)
    nothing = measure(
        run_of(tmp_path, ABUSER, hist=spans(Series.ACK, 1)), "rate_limit.retry_error", "p50"
    )
    assert nothing.why == "no refusal carried a retryAfter"


@pytest.mark.parametrize(
    ("metric", "outcome"),
    [
        ("auth.false_accepts", AuthOutcome.FALSE_ACCEPT),
        ("auth.false_refusals", AuthOutcome.FALSE_REFUSAL),
        ("auth.wrong_codes", AuthOutcome.WRONG_CODE),
        ("auth.early_events", AuthOutcome.EARLY_EVENT),
    ],
)
def test_each_wrong_answer_to_a_token_is_counted(
    tmp_path: Path, metric: str, outcome: AuthOutcome
) -> None:
    right = [row(_S, Event.AUTH, str(each)) for each in (AuthOutcome.ACCEPTED, AuthOutcome.REFUSED)]
    assert measure(run_of(tmp_path, BAD_TOKENS, events=right), metric).value == 0
    wrong = [*right, row(2 * _S, Event.AUTH, str(outcome))]
    found = measure(run_of(tmp_path, BAD_TOKENS, events=wrong), metric)
    assert (found.value, found.n) == (1, 3)


def test_overstayed_is_counted_of_the_tokens_that_ran_out(tmp_path: Path) -> None:
    outcomes = [AuthOutcome.ACCEPTED, AuthOutcome.EXPIRED, AuthOutcome.OVERSTAYED]
    events = [row(_S, Event.AUTH, str(each)) for each in outcomes]
    found = measure(run_of(tmp_path, EXPIRING, events=events), "auth.overstayed")
    assert (found.value, found.n) == (1, 2)
    assert (
        "no token expired"
        in measure(run_of(tmp_path, BAD_TOKENS, events=events), "auth.overstayed").why
    )


def test_no_case_tried_is_no_zero(tmp_path: Path) -> None:
    found = measure(run_of(tmp_path, BAD_TOKENS), "auth.false_accepts")
    assert (found.value, found.why) == (None, "no authentication case was tried")


def came(user: int, at_s: float, event: Event = Event.CONNECT, group: str = "subscriber") -> Any:
    return row(int(at_s * _S), event, user=f"vu-{user}", group=group)


def gone(user: int, at_s: float, outcome: str, group: str = "subscriber") -> Any:
    return row(int(at_s * _S), Event.DISCONNECT, outcome, user=f"vu-{user}", group=group)


def test_an_eviction_without_a_reason_is_counted(tmp_path: Path) -> None:
    events = [
        *(came(user, 1) for user in range(10)),
        gone(0, 20, "ConnectionClosed"),
        gone(1, 21, str(EndOutcome.DROPPED)),
        gone(2, 22, str(EndOutcome.DRAINED)),
        gone(11, 23, "ConnectionClosed", group="never_reader"),
    ]
    found = measure(run_of(tmp_path, SUBSCRIBERS, events=events), "heartbeat.false_evictions")
    assert (found.value, found.n) == (1, 10)


def test_who_was_told_not_to_read_may_be_thrown_out(tmp_path: Path) -> None:
    told = [Told(at_s=10, do="pause", who="subscriber")]
    late = STEADY_AT_S + 15
    events = [came(0, 1), came(1, 1), gone(0, 15, "Closed"), gone(1, late, "Closed")]
    run = run_of(tmp_path, SUBSCRIBERS, commands=told, events=events)
    assert measure(run, "heartbeat.false_evictions").value == 1


def test_nobody_connected_is_no_eviction_and_no_zero(tmp_path: Path) -> None:
    assert measure(run_of(tmp_path, SUBSCRIBERS), "heartbeat.false_evictions").value is None
