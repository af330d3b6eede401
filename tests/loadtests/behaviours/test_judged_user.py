"""Broken promises of the contract, as the users of a run see them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.idle import Idle
from loadtests.behaviours.judged_user import MOST_WRONG
from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.trader import Trader
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.connection.calls import Reply
from loadtests.errors import ConnectionClosed, Disconnected
from loadtests.oracles.checksums import CHECK
from loadtests.oracles.heartbeats import HeartbeatOracle
from loadtests.publication.payloads import PayloadMaker
from loadtests.results import Event, WrongOutcome

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

TRADER = '[users.trader]\ncount = 1\nsymbols = 1\nrequest_every = "60 s"\n'
SYMBOL = "SYM000/USDT"


@pytest.fixture
def idle(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway
) -> tuple[GatewayProcess, VirtualUser]:
    gateway = shared_gateway()
    user = perform(make_context("[users.idle]\ncount = 1\n"))(Idle, gateway)
    wait_until(lambda: user.is_on)
    return gateway, user


def item(event: str, owner: str) -> dict[str, Any]:
    maker = PayloadMaker(1, [SYMBOL], [1.0], [owner])
    return cast(dict[str, Any], maker.make(event, source_us=None, unix_s=0.0))


def test_a_gateway_that_keeps_its_promises_is_accused_of_nothing(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> None:
    run_context, gateway = make_context(TRADER), shared_gateway()
    user = perform(run_context)(Trader, gateway)
    wait_until(lambda: recorder.counted.get("sent", 0) >= 3)
    user.request("get-subscriptions")
    user.request("ping")
    published = gateway.publish(item("order:created", user.user_id), item("price:update", ""))
    streams = {
        f"user:{user.user_id}": published[0]["userSeq"],
        "trading": published[0]["seq"],
        f"price:{SYMBOL}": published[1]["seq"],
    }
    wait_until(lambda: user.account.owes_nothing(streams))
    assert recorder.outcomes(Event.WRONG) == []
    assert recorder.outcomes(Event.ERROR) == []


@pytest.mark.parametrize("is_snapshot", [False, True], ids=["push", "snapshot"])
def test_a_payload_that_was_changed_is_told_by_each_receiver(
    idle: tuple[GatewayProcess, VirtualUser], recorder: Kept, is_snapshot: bool
) -> None:
    gateway, user = idle
    symbol = "SNAP/USDT" if is_snapshot else "PUSH/USDT"
    room = f"market-data:{symbol}"
    data = {**item("price:update", "")["data"], "symbol": symbol}
    assert data[CHECK]
    if not is_snapshot:
        user.request("subscribe", {"channel": "market-data", "symbols": [symbol]})
    else:
        user.received(time.monotonic_ns(), "price:update", {**data, "seq": 1, "snapshot": True})
    gateway.publish(*[{"room": room, "event": "price:update", "data": data}] * (not is_snapshot))
    wait_until(lambda: recorder.outcomes(Event.WRONG))
    assert recorder.outcomes(Event.WRONG) == [WrongOutcome.ALTERED]


def test_an_answer_and_a_welcome_of_another_are_told(
    idle: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    _, user = idle
    asked = {"channel": "market-data", "symbols": ["A"]}
    answer = {"channel": "market-data", "symbols": ["B"], "rooms": ["market-data:B"]}
    user.judge_answer("subscribe", asked, Reply(answer, 1, 1, 1))
    user.judge_answer("subscribe", asked, Reply({"error": {"code": "NOT_ALLOWED"}}, 1, 1, 1))
    user.welcomed(time.monotonic_ns(), {**user.welcome, "userId": "vu-another"})
    assert recorder.outcomes(Event.WRONG) == [WrongOutcome.ANSWER] * 2


def test_a_heartbeat_that_comes_twice_is_told(
    idle: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    _, user = idle
    user.heartbeat = HeartbeatOracle(3_600 * 10**9, time.monotonic_ns())
    for _ in range(2):
        user.received(time.monotonic_ns(), "heartbeat", {"seq": 1_000, "ts": 5})
    assert recorder.outcomes(Event.WRONG) == [WrongOutcome.HEARTBEAT]


@pytest.mark.parametrize(
    ("code", "error", "outcomes"),
    [
        (None, Disconnected(), [WrongOutcome.STRANDED]),
        ("SERVER_DRAINING", Disconnected(), [WrongOutcome.STRANDED]),
        ("TOKEN_EXPIRED", Disconnected(), []),
        ("TOO_MANY_CONNECTIONS", Disconnected(), []),
        (None, ConnectionClosed("the server closed with 1000"), []),
    ],
    ids=str,
)
def test_a_disconnect_needs_a_reason_that_keeps_clients_away(
    idle: tuple[GatewayProcess, VirtualUser],
    recorder: Kept,
    code: str | None,
    error: ConnectionClosed,
    outcomes: list[WrongOutcome],
) -> None:
    _, user = idle
    now_ns = time.monotonic_ns()
    if code is not None:
        user.on_event(now_ns, "error", ({"code": code, "message": "so"},))
    user.on_end(now_ns, error)
    assert recorder.outcomes(Event.WRONG) == outcomes


def test_a_transport_that_stays_open_is_told_and_a_flood_is_kept_in_part(
    idle: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    _, user = idle
    for _ in range(2 * MOST_WRONG):
        user.on_left_open(time.monotonic_ns())
    assert recorder.outcomes(Event.WRONG) == [WrongOutcome.LEFT_OPEN] * MOST_WRONG
