"""Contract: Client's rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Target

from gateway.contract import MAX_RATES, ErrorCode

Connect = Callable[..., RawClient]


def subscription(symbol: str, **more: object) -> dict[str, object]:
    return {"channel": "market-data", "symbols": [symbol], **more}


def price(symbol: str, value: float) -> dict[str, Any]:
    return {
        "room": f"market-data:{symbol}",
        "event": "price:update",
        "data": {"symbol": symbol, "price": value},
    }


@pytest.mark.parametrize("rate", MAX_RATES)
def test_the_answer_names_the_rate_and_the_last_value_arrives(
    connect: Connect, gateway: Target, rate: int
) -> None:
    client = connect()
    symbol = f"RATE{rate}"
    answer = client.call("subscribe", subscription(symbol, maxRate=rate))
    assert answer["maxRate"] == rate
    listed = client.call("get-subscriptions")
    assert listed["subscriptions"] == [f"market-data:{symbol}"]
    assert listed["maxRate"] == {f"market-data:{symbol}": rate}
    began_s = time.monotonic()
    receipts = gateway.publish(*[price(symbol, value) for value in range(9)])
    last, came = answer["at"][f"price:{symbol}"], 0
    while last < receipts[-1]["seq"]:
        update = client.expect("price:update")
        assert update["prevSeq"] == last < update["seq"]
        last = update["seq"]
        came += 1
    assert (update["price"], update["ts"]) == (8, receipts[-1]["ts"])
    slots = (time.monotonic() - began_s) * rate + 2
    assert came <= slots, "one frame for each slot that the request lay in"


def test_frames_come_at_the_rate_while_a_symbol_is_busy(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", subscription("BUSY", maxRate=10))
    began_s = time.monotonic()
    sent = 0
    while time.monotonic() - began_s < 1:
        (receipt,) = gateway.publish(price("BUSY", sent))
        sent += 1
    numbers: list[int] = []
    while not numbers or numbers[-1] < receipt["seq"]:
        numbers.append(client.expect("price:update")["seq"])
    slots = (time.monotonic() - began_s) * 10 + 2
    assert len(numbers) <= min(sent, slots)
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("rate", [0, 3, 50, 1.5, "5", True])
def test_another_rate_is_refused_with_a_list_of_the_right_ones(
    connect: Connect, rate: object
) -> None:
    client = connect()
    error = client.call("subscribe", subscription("A", maxRate=rate))["error"]
    assert error["code"] == ErrorCode.INVALID_PAYLOAD
    assert ", ".join(map(str, MAX_RATES)) in error["message"]
    assert client.call("get-subscriptions")["count"] == 0


def test_only_market_data_take_a_rate(connect: Connect) -> None:
    for channel in ("trading", "llm"):
        error = connect().call("subscribe", {"channel": channel, "maxRate": 5})["error"]
        assert error["code"] == ErrorCode.INVALID_PAYLOAD
