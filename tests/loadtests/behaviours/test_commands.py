"""Commands, carried out by real users against a real gateway."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from living import Kept, Living, wait_until

from loadtests.behaviours.idle import Idle
from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.storm import StormMember
from loadtests.conducting.load_clock import CommandClock
from loadtests.results import AttemptOutcome, EndOutcome, Event, Series

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

STORM = """
[users.storm]
count = 3
symbols = 2
[[commands]]
at = "700 ms"
do = "drop"
who = "storm"
within = "300 ms"
[[commands]]
at = "1200 ms"
do = "return"
who = "storm"
"""
IDLE = """
[users.idle]
count = 1
[[commands]]
at = "500 ms"
do = "subscribe"
who = "idle"
count = 3
[[commands]]
at = "800 ms"
do = "send"
who = "idle"
count = 7
[[commands]]
at = "1100 ms"
do = "unsubscribe"
who = "idle"
"""


@contextmanager
def clock_of(run_context: RunContext) -> Iterator[CommandClock]:
    clock = CommandClock(run_context)
    try:
        yield clock
    finally:
        clock.stop()


def test_a_storm_drops_without_a_word_and_returns_when_told(
    start_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = start_gateway(), make_context(STORM)
    live = perform(run_context)
    users = [live(StormMember, gateway) for _ in range(3)]
    wait_until(lambda: all(user.connects for user in users))
    with clock_of(run_context):
        wait_until(lambda: all(user.absence.is_ordered for user in users))
        assert not any(user.is_on for user in users)
        wait_until(lambda: all(user.connects == 2 and user.is_on for user in users))
    assert recorder.outcomes(Event.DISCONNECT) == [EndOutcome.DROPPED] * 3
    assert recorder.outcomes(Event.ATTEMPT) == [AttemptOutcome.WELCOME] * 3
    backs_s = [span_ns / 1e9 for span_ns in recorder.of(Series.STORM_BACK)]
    assert len(backs_s) == 3
    assert all(0.2 + 0.5 < back_s < DEADLINE_S for back_s in backs_s)  # away, then the first delay
    assert "errors" not in recorder.counted
    reasons = [line.get("reason") for line in gateway.log_events() if line.get("client")]
    assert "client namespace disconnect" not in reasons


def test_the_first_market_event_after_a_storm_ends_what_fresh_measures(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = shared_gateway(), make_context(STORM)
    user = perform(run_context)(StormMember, gateway)
    wait_until(lambda: user.connects)
    with clock_of(run_context):
        wait_until(lambda: user.connects == 2 and not user.absence.is_ordered)
    symbol = run_context.symbols_of(user.user_id, 1)[0]
    item = {"event": "price:update", "room": f"market-data:{symbol}"}
    gateway.publish({**item, "data": {"symbol": symbol, "price": 1}})
    wait_until(lambda: recorder.of(Series.STORM_FRESH))
    assert recorder.of(Series.STORM_FRESH)[0] > recorder.of(Series.STORM_BACK)[0]


def test_idle_users_hold_more_ask_and_let_go_on_command(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = shared_gateway(), make_context(IDLE)
    user = perform(run_context)(Idle, gateway)
    wait_until(lambda: user.connects)
    assert not recorder.of(Series.ACK)
    with clock_of(run_context):
        wait_until(lambda: len(recorder.of(Series.ACK)) == 1 + 7)
        more = user._more_symbols
        assert len(more) == 3
        wait_until(lambda: len(recorder.of(Series.ACK)) == 1 + 7 + 1)
    assert not set(more) & set(user._more_symbols)
    assert "errors" not in recorder.counted


def test_who_is_paused_is_measured_no_more_and_reads_on_when_told(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = shared_gateway(), make_context("[users.idle]\ncount = 1\n")
    user = perform(run_context)(Idle, gateway)
    wait_until(lambda: recorder.of(Series.HEARTBEAT_GAP))
    user.pause()
    beats, before = len(recorder.of(Series.HEARTBEAT_GAP)), recorder.counted["received"]
    user.resume()
    wait_until(lambda: recorder.counted["received"] > before + 3)
    assert len(recorder.of(Series.HEARTBEAT_GAP)) == beats
    assert not recorder.outcomes(Event.HEARTBEAT_MISSED)


def test_who_is_still_paused_at_the_end_is_owed_nothing(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform
) -> None:
    gateway, run_context = shared_gateway(), make_context(STORM)
    user = perform(run_context)(StormMember, gateway)
    wait_until(lambda: user.connects and user.account.owes_nothing({}))
    user.pause()
    symbol = run_context.symbols_of(user.user_id, 1)[0]
    data = {"symbol": symbol, "price": 1}
    (told,) = gateway.publish(
        {"event": "price:update", "room": f"market-data:{symbol}", "data": data}
    )
    run_context.stop_requests(time.monotonic_ns())
    assert not user.is_on
    assert sum(row.lost for row in run_context.ledger.close({told["stream"]: told["seq"]})) == 0


DRAINED = """
[users.idle]
count = 2
[[commands]]
at = "0 s"
do = "terminate"
"""


@pytest.mark.parametrize("returns", [False, True], ids=["gone", "back"])
def test_a_gateway_that_was_told_to_end_says_so_and_nothing_of_it_is_an_error(
    start_gateway: StartGateway,
    make_context: MakeContext,
    perform: Perform,
    recorder: Kept,
    returns: bool,
) -> None:
    gateway, run_context = start_gateway(), make_context(DRAINED.replace("0 s", "500 ms"))
    live = perform(run_context)
    users = [live(Idle, gateway) for _ in range(2)]
    wait_until(lambda: all(user.connects for user in users))
    steady_ns = run_context.steady_ns()
    assert steady_ns is not None
    wait_until(lambda: time.monotonic_ns() > steady_ns + 500_000_000)
    port = gateway.url.rpartition(":")[2]
    assert gateway.stop(signal.SIGTERM) == 0
    wait_until(lambda: recorder.outcomes(Event.DISCONNECT) == [EndOutcome.DRAINED] * 2)
    assert len(recorder.outcomes(Event.DRAINING)) == 2
    assert len(recorder.of(Series.DRAIN_NOTICE)) == len(recorder.of(Series.DRAIN_CLOSE)) == 2
    wait_until(lambda: AttemptOutcome.UNREACHABLE in recorder.outcomes(Event.ATTEMPT))
    if returns:
        start_gateway(PORT=port, JWT_SECRET=gateway.secret)
        wait_until(lambda: len(recorder.of(Series.STORM_BACK)) == 2)
        assert all(user.is_on for user in users)
    assert "errors" not in recorder.counted
