"""Contract: Rooms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target

from gateway.contract import MAX_ROOMS_PER_CLIENT, MAX_SYMBOLS_PER_CALL, ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

SYMBOLS = [
    *("BTC/USDT", "BTCUSDT", "1INCH", "BRK.B", "ES-2026", "ETH_USD", "A", "0", "BTCusdt"),
    *("BTC-PERP/USD.e", "A.b-C_d", "A" * 32, "AAAAAAAAAAAAAAA/BBBBBBBBBBBBBBBB"),
]
NO_SYMBOLS = [
    *("", "btc", "BTC/", "/BTC", "BTC//USDT", "BTC/usdt", "A/B/C", "BTC ", " BTC", "BTC USDT"),
    *("A..B", "A.", ".A", "A-", "A._B", "A" * 33, "ÄÖ", "BTC\n", "BTC\u0000", "ВТС", "A:B"),
    *("*", "../X", "trading,x", "\u0661"),
]


def symbols(*names: str) -> dict[str, object]:
    return {"channel": "market-data", "symbols": list(names)}


def many(count: int, prefix: str = "S") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_has_a_room_of_its_own(connect: Connect, symbol: str) -> None:
    assert connect().call("subscribe", symbols(symbol))["rooms"] == [f"market-data:{symbol}"]


@pytest.mark.parametrize("symbol", NO_SYMBOLS, ids=[ascii(name) for name in NO_SYMBOLS])
def test_an_invalid_symbol_is_refused(connect: Connect, symbol: str) -> None:
    assert connect().call("subscribe", symbols(symbol))["error"]["code"] == ErrorCode.INVALID_SYMBOL


def test_symbols_are_case_sensitive(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", symbols("BTCusdt"))
    update = {"event": "price:update", "data": {"symbol": "BTCUSDT", "price": 1}}
    gateway.publish({"room": "market-data:BTCUSDT", **update})
    assert client.received("price:update") == []


def test_one_call_takes_at_most_64_symbols(connect: Connect) -> None:
    client = connect()
    assert len(client.call("subscribe", symbols(*many(MAX_SYMBOLS_PER_CALL)))["rooms"]) == 64
    too_many = client.call("unsubscribe", symbols(*many(MAX_SYMBOLS_PER_CALL + 1)))
    assert too_many["error"]["code"] in {
        ErrorCode.INVALID_PAYLOAD,
        ErrorCode.TOO_MANY_SUBSCRIPTIONS,
    }
    assert client.call("get-subscriptions")["count"] == 64


def test_a_129th_room_is_refused_and_the_whole_call_has_no_effect(connect: Connect) -> None:
    client = connect()
    client.call("subscribe", symbols(*many(64, "A")))
    client.call("subscribe", symbols(*many(63, "B")))
    refused = client.call("subscribe", symbols("C1", "C2"))
    assert refused["error"]["code"] == ErrorCode.TOO_MANY_SUBSCRIPTIONS
    assert client.call("get-subscriptions")["count"] == 127
    client.call("subscribe", symbols("C1", *many(10, "A")))
    assert client.call("get-subscriptions")["count"] == MAX_ROOMS_PER_CLIENT


def test_leaving_a_room_frees_its_place(connect: Connect, start_gateway: StartGateway) -> None:
    client = connect(target=start_gateway(GATEWAY_MAX_ROOMS_PER_CLIENT=2))
    client.call("subscribe", symbols("A", "B"))
    assert "error" in client.call("subscribe", {"channel": "trading"})
    client.call("unsubscribe", symbols("A"))
    assert "error" not in client.call("subscribe", {"channel": "trading"})


def test_a_process_carries_a_bounded_number_of_distinct_symbols(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_MAX_SYMBOLS_PER_PROCESS=3)
    one, other = connect(target=gateway), connect(target=gateway)
    one.call("subscribe", symbols("A", "B"))
    refused = other.call("subscribe", symbols("B", "C", "D"))
    assert refused["error"]["code"] == ErrorCode.TOO_MANY_SUBSCRIPTIONS
    assert "error" not in other.call("subscribe", symbols("B", "C"))
    one.call("unsubscribe", symbols("A"))
    assert "error" not in other.call("subscribe", symbols("D"))


def test_the_user_s_room_is_joined_by_the_gateway(connect: Connect, gateway: Target) -> None:
    owner, stranger = connect(), connect()
    room = f"user:{owner.welcome['userId']}"
    assert "error" in stranger.call("subscribe", {"channel": room})
    gateway.publish({"userId": owner.welcome["userId"], "event": "note", "data": {}})
    assert owner.expect("note")["userSeq"] == 1
    assert stranger.received("note") == []


def test_a_returning_client_has_no_rooms_of_its_old_connection(
    connect: Connect, gateway: Target
) -> None:
    first = connect()
    first.call("subscribe", {"channel": "trading"})
    first.close()
    second = connect(first.welcome["userId"])
    assert second.call("get-subscriptions")["subscriptions"] == []
    gateway.publish({"room": "trading", "event": "note", "data": {}})
    assert second.received("note") == []


def test_a_publication_to_llm_reaches_all_its_subscribers(
    connect: Connect, gateway: Target
) -> None:
    clients = [connect(), connect()]
    for client in clients:
        client.call("subscribe", {"channel": "llm"})
    chunk = {"sessionId": "s", "provider": "scripted", "chunk": "a", "done": False}
    gateway.publish({"room": "llm", "event": "llm:stream", "data": chunk})
    assert [client.expect("llm:stream")["chunk"] for client in clients] == ["a", "a"]
