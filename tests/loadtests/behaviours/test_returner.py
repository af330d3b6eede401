"""Users that drop and return with their last number, against a real gateway."""

from __future__ import annotations

import time
from collections.abc import Callable

from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.returner import Returner
from loadtests.behaviours.run_context import RunContext
from loadtests.results import Event, ReturnOutcome, Series

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

RETURNER = '[users.returner]\ncount = 1\nsymbols = 1\nstay = "400 ms"\n'


def pay(gateway: GatewayProcess, user: str, times: int = 1) -> int:
    """Publish balances of a user; return the last number."""
    item = {"userId": user, "event": "balance:updated", "data": {"balance": "1"}}
    return int(gateway.publish(*[item] * times)[-1]["userSeq"])


def test_a_user_that_drops_and_returns_gets_what_it_missed_and_is_current(
    start_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = start_gateway(), make_context(RETURNER)
    user = perform(run_context)(Returner, gateway)
    assert isinstance(user, Returner)
    wait_until(lambda: user.is_on)
    assert run_context.owner_ids() == [user.user_id]
    wait_until(lambda: not user.is_on)
    assert run_context.owner_ids() == [user.user_id], "it owns events while it is away"
    last = pay(gateway, user.user_id, 5)
    wait_until(lambda: user.connects == 2)
    wait_until(lambda: ReturnOutcome.CURRENT in recorder.outcomes(Event.RETURN))
    outcomes = recorder.outcomes(Event.RETURN)
    assert outcomes[:6] == [*[ReturnOutcome.REPLAYED] * 5, ReturnOutcome.CURRENT]
    assert min(recorder.of(Series.RETURN_CURRENT)) > 0
    wait_until(lambda: user.connects == 3)
    run_context.stop_requests(time.monotonic_ns())
    run_context.close_oracles(time.monotonic_ns())
    found = set(recorder.outcomes(Event.RETURN))
    assert found == {ReturnOutcome.REPLAYED, ReturnOutcome.CURRENT}
    (row,) = [
        row
        for row in run_context.ledger.close({f"user:{user.user_id}": last})
        if row.stream == "user"
    ]
    assert (row.owed, row.received, row.lost, row.duplicate) == (5, 5, 0, 0)
    assert "errors" not in recorder.counted


def test_a_return_after_too_many_events_is_a_resync_and_no_loss(
    start_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = start_gateway(), make_context(RETURNER)
    user = perform(run_context)(Returner, gateway)
    wait_until(lambda: user.connects and not user.is_on)
    last = pay(gateway, user.user_id, 300)
    wait_until(lambda: user.connects == 2)
    wait_until(lambda: recorder.outcomes(Event.RETURN))
    assert recorder.outcomes(Event.RETURN)[0] == ReturnOutcome.RESYNC
    run_context.stop_requests(time.monotonic_ns())
    run_context.close_oracles(time.monotonic_ns())
    assert set(recorder.outcomes(Event.RETURN)) <= {ReturnOutcome.RESYNC, ReturnOutcome.CURRENT}
    assert sum(row.lost for row in run_context.ledger.close({f"user:{user.user_id}": last})) == 0
