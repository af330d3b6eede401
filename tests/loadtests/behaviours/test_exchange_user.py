"""Users that place orders, against a real gateway with its paper exchange."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.exchange_user import ExchangeUser
from loadtests.behaviours.run_context import RunContext
from loadtests.connection.http_calls import HttpCalls
from loadtests.errors import ConnectionClosed, Unreachable
from loadtests.results import Event, LeakOutcome, Series, WrongOutcome

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

PAPER = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_MARKET_SYMBOLS": "5",
    "GATEWAY_EXCHANGE": "paper",
    "GATEWAY_EXCHANGE_BALANCES": "USDT=1000000000",
    "GATEWAY_EXCHANGE_REQUESTS_PER_MINUTE": "10000",
}
USERS = '[users.exchange_user]\ncount = 2\ntraded_symbols = 2\norder_every = "100 ms"\n'
ENOUGH = 30


@pytest.fixture
def scene(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway
) -> tuple[ExchangeUser, ExchangeUser]:
    """Two users, of whom the first compares public forms."""
    run_context = make_context(USERS)
    gateway, live = start_gateway(**PAPER), perform(run_context)
    first, second = live(ExchangeUser, gateway), live(ExchangeUser, gateway)
    assert isinstance(first, ExchangeUser)
    assert isinstance(second, ExchangeUser)
    return first, second


def test_orders_of_a_sound_gateway_are_timed_and_not_complained_about(
    scene: tuple[ExchangeUser, ExchangeUser], recorder: Kept
) -> None:
    first = scene[0]
    wait_until(lambda: len(recorder.of(Series.ORDER_ACCEPT)) >= ENOUGH)
    wait_until(lambda: recorder.of(Series.ORDER_FILL))
    first.run_context.stop_requests(time.monotonic_ns())
    wait_until(lambda: not any(unconfirmed(user) or user._open for user in scene))
    wait_until(lambda: first.run_context.public_forms.checked > ENOUGH)
    assert first._flow.checked > ENOUGH
    assert first._money.checked > 0
    kinds = {kind for kind, _, _ in recorder.events}
    assert not kinds & {Event.WRONG, Event.LEAK, Event.ERROR}


def unconfirmed(user: ExchangeUser) -> list[str]:
    return [*user._flow.close(), *user._money.close()]


def spoil(user: ExchangeUser, event: str, change: Callable[[Any], None]) -> None:
    """Change an event's payload before the user sees it, each time."""
    receive = user.received

    def receiving(stamp_ns: int, name: str, payload: Any) -> None:
        if name == event:
            change(payload)
        receive(stamp_ns, name, payload)

    user.received = receiving  # type: ignore[method-assign]


def of_subject(event: str, **fields: str) -> Callable[[Any], None]:
    return lambda payload: payload[event.partition(":")[0]].update(fields)


@pytest.mark.parametrize(
    ("event", "change", "outcome"),
    [
        ("order:submitted", of_subject("order:submitted", status="filled"), WrongOutcome.ORDER),
        ("trade:executed", of_subject("trade:executed", value="1"), WrongOutcome.ORDER),
        ("trade:executed", of_subject("trade:executed", fee="7"), WrongOutcome.MONEY),
        ("position:opened", of_subject("position:opened", entryPrice="7"), WrongOutcome.MONEY),
        ("balance:updated", lambda payload: payload.update(balance="7"), WrongOutcome.MONEY),
        ("order:created", of_subject("order:created", side="other"), WrongOutcome.FORM),
    ],
)
def test_a_broken_promise_is_recorded(
    scene: tuple[ExchangeUser, ExchangeUser],
    recorder: Kept,
    event: str,
    change: Callable[[Any], None],
    outcome: WrongOutcome,
) -> None:
    spoil(scene[1], event, change)
    wait_until(lambda: outcome in recorder.outcomes(Event.WRONG))


def test_the_order_of_another_user_is_a_leak(
    scene: tuple[ExchangeUser, ExchangeUser], recorder: Kept
) -> None:
    def take(payload: Any) -> None:
        payload["order"]["clientOrderId"] = "order:vu-7:1"

    spoil(scene[1], "order:created", take)
    wait_until(lambda: recorder.outcomes(Event.LEAK))
    assert set(recorder.outcomes(Event.LEAK)) == {LeakOutcome.FOREIGN}


def test_a_gateway_without_an_exchange_is_an_error_that_says_so(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> None:
    perform(make_context(USERS))(ExchangeUser, shared_gateway())
    wait_until(lambda: "no exchange" in recorder.outcomes(Event.ERROR))


def test_a_request_that_meets_a_closed_connection_is_repeated(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(GATEWAY_KEEP_ALIVE_SECONDS=0.2)
    http, token = HttpCalls(gateway.url), gateway.token(scope="publish")
    first = http.ask("GET", "/api/v1/streams", token=token)
    wait_until(lambda: gateway_has_closed(http))
    second = http.ask("GET", "/api/v1/streams", token=token, intended_ns=1)
    assert (first.status, second.status, first.reply.payload) == (200, 200, second.reply.payload)
    assert second.reply.response_ns > second.reply.service_ns > 0
    http.close()
    gateway.kill()
    with pytest.raises((Unreachable, ConnectionClosed)):
        http.ask("GET", "/api/v1/streams", token=token)


def gateway_has_closed(http: HttpCalls) -> bool:
    socket = http._connection.sock
    assert socket is not None
    socket.setblocking(False)
    try:
        return socket.recv(1) == b""
    except BlockingIOError:
        return False
    finally:
        socket.settimeout(10)
