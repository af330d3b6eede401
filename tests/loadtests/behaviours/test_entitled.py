"""Users whose tokens name symbols, against a real gateway and what is published to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from living import Kept, Living, wait_until

from loadtests.behaviours import entitled
from loadtests.behaviours.entitled import Entitled
from loadtests.behaviours.run_context import RunContext
from loadtests.results import Event, LeakOutcome
from loadtests.tokens import mint

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

ENTITLED = '[users.entitled]\ncount = 1\nsymbols = 1\nevery = "1 s"\n'
PRICES = [
    {
        "event": "price:update",
        "room": f"market-data:SYM{number:03}/USDT",
        "data": {"symbol": f"SYM{number:03}/USDT", "price": 1},
    }
    for number in range(5)
]


def test_tokens_change_and_are_revoked_and_nothing_leaks(
    make_context: MakeContext,
    perform: Perform,
    start_gateway: StartGateway,
    recorder: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entitled, "REVOKED_EACH", 2)
    gateway = start_gateway()
    perform(make_context(ENTITLED))(Entitled, gateway)

    def is_back() -> bool:
        gateway.publish(*PRICES)
        return bool(recorder.outcomes(Event.RECONNECT))

    wait_until(is_back, 2 * DEADLINE_S)
    assert recorder.outcomes(Event.DISCONNECT) == ["Disconnected"]
    assert recorder.outcomes(Event.LEAK) == recorder.outcomes(Event.ERROR) == []


def test_a_gateway_that_serves_more_than_the_laboratory_signed_is_accused(
    make_context: MakeContext,
    perform: Perform,
    shared_gateway: StartGateway,
    recorder: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mint_for_everything(user: Entitled) -> str:
        return mint(user.run_context.secret, user.user_id, lifetime_s=600)

    monkeypatch.setattr(Entitled, "_mint", mint_for_everything)
    gateway = shared_gateway()
    perform(make_context(ENTITLED))(Entitled, gateway)

    def has_leaked() -> bool:
        gateway.publish(*PRICES)
        return len(recorder.outcomes(Event.LEAK)) > 2

    wait_until(has_leaked)
    assert set(recorder.outcomes(Event.LEAK)) == {LeakOutcome.UNENTITLED}
