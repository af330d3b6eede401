"""Users that come and go, read slowly or not at all, against a real gateway."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from living import Kept, Living, wait_until

from loadtests.behaviours.churner import LONGEST, SHORTEST, Churner
from loadtests.behaviours.never_reader import NeverReader
from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.slow_reader import SlowReader
from loadtests.behaviours.subscriber import Subscriber
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.endpoints import fetch_metrics
from loadtests.results import Event, Series

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

CHURNER = '[users.churner]\ncount = 2\nsymbols = 1\nstay = "300 ms"\n'
NEVER = '[users.never_reader]\ncount = 1\nsymbols = 2\nreceive_buffer = "4 KB"\n'
SLOW = NEVER.replace("never_reader", "slow_reader") + 'bytes_per_second = "2 KB"\n'


def test_a_churner_leaves_and_returns_at_planned_times(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = shared_gateway(), make_context(CHURNER)
    user = perform(run_context)(Churner, gateway)
    wait_until(lambda: user.connects == 4)
    assert isinstance(user, Churner)
    assert recorder.outcomes(Event.RECONNECT) == [""] * 3
    assert not recorder.outcomes(Event.DISCONNECT)
    assert len(recorder.of(Series.SESSION_DELAY)) == 4
    # A subscription that is under way was offered and is not told as sent yet.
    wait_until(lambda: recorder.counted["offered"] == recorder.counted["sent"])
    assert "errors" not in recorder.counted
    cycle_ns = user._return_ns - user._leave_ns
    assert SHORTEST * 0.3e9 <= cycle_ns <= LONGEST * 0.3e9


def test_two_churners_of_a_seed_do_not_leave_together(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform
) -> None:
    gateway, run_context = shared_gateway(), make_context(CHURNER)
    live = perform(run_context)
    draws = [live(Churner, gateway)._chance.random() for _ in range(2)]  # type: ignore[attr-defined]  # a churner's
    assert draws[0] != draws[1]


def has_paused(user: VirtualUser) -> bool:
    link = None if user.client is None else user.client._link
    return link is not None and link._is_paused


def publish(gateway: GatewayProcess, run_context: RunContext, times: int, size: int) -> None:
    """Publish long prices of every symbol, as many at once as the route takes."""
    items = [
        {
            "event": "price:update",
            "room": f"market-data:{symbol}",
            "data": {"symbol": symbol, "price": 1, "padding": "x" * size},
        }
        for symbol in run_context.scenario.market.names
    ]
    for _ in range(times):
        gateway.publish(*items)


def conflated(gateway: GatewayProcess) -> float:
    found = fetch_metrics(gateway.url, timeout_s=DEADLINE_S)
    return sum(value for name, value in found.items() if "conflated" in name)


@pytest.mark.parametrize(
    ("user_class", "text"), [(NeverReader, NEVER), (SlowReader, SLOW)], ids=["never", "slowly"]
)
def test_who_does_not_keep_up_is_conflated_and_owes_nothing_to_the_record(
    start_gateway: StartGateway,
    make_context: MakeContext,
    perform: Perform,
    recorder: Kept,
    user_class: type[VirtualUser],
    text: str,
) -> None:
    gateway, run_context = start_gateway(), make_context(text)
    user = perform(run_context)(user_class, gateway)
    wait_until(lambda: has_paused(user))
    publish(gateway, run_context, times=40, size=8_000)
    wait_until(lambda: conflated(gateway) > 10)
    run_context.stop_requests(time.monotonic_ns())
    assert not user.is_on
    assert not recorder.of(Series.PUSH_SERVICE)
    assert not recorder.of(Series.HEARTBEAT_GAP)
    rows = run_context.ledger.close({})
    assert sum(row.lost for row in rows) == 0
    assert "errors" not in recorder.counted


def test_a_slow_reader_reads_no_faster_than_it_says(
    start_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = start_gateway(), make_context(SLOW)
    user = perform(run_context)(SlowReader, gateway)
    wait_until(lambda: has_paused(user))
    user._pushes.flush()
    began_s, before = time.monotonic(), recorder.counted["bytes_received"]
    publish(gateway, run_context, times=5, size=8_000)
    wait_until(lambda: time.monotonic() > began_s + 1.0)
    user._pushes.flush()
    took_s = time.monotonic() - began_s
    read = recorder.counted["bytes_received"] - before
    assert 0 < read <= 2_048 * (took_s + 0.2)


def test_a_user_with_a_rate_is_owed_all_numbers_and_gets_the_newest_of_each_slot(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway = shared_gateway()
    run_context = make_context("[users.subscriber]\ncount = 2\nsymbols = 5\nmax_rate = 10\n")
    live = perform(run_context)
    users = [live(Subscriber, gateway) for _ in range(2)]
    wait_until(lambda: all(user.account.rooms() for user in users))
    items = [
        {
            "event": "price:update",
            "room": f"market-data:{symbol}",
            "data": {"symbol": symbol, "price": 1},
        }
        for symbol in run_context.scenario.market.names
    ]
    for _ in range(20):
        receipts = gateway.publish(*items, *items)
    last_numbers = {receipt["stream"]: receipt["seq"] for receipt in receipts}
    wait_until(lambda: run_context.ledger.owes_nothing(last_numbers))
    rows = [
        row for row in run_context.ledger.close(last_numbers) if row.stream.startswith("price:")
    ]
    assert len(rows) == 5
    for row in rows:
        assert row.owed == 2 * 40
        assert row.owed == row.received + row.conflated
        assert 2 <= row.received < row.owed
        assert (row.lost, row.duplicate, row.reordered, row.leaked) == (0, 0, 0, 0)
    assert "errors" not in recorder.counted
    assert not recorder.outcomes(Event.WRONG)
