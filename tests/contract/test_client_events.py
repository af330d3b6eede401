"""Contract: Client → gateway."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from blackbox.client import RawClient
from blackbox.target import Target

from gateway.contract import CHANNELS, PROTOCOL_NAMES, ErrorCode, clock_id

Connect = Callable[..., RawClient]

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BTC, ETH = "market-data:BTC/USDT", "market-data:ETH/USDT"

SUBSCRIPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name.value: ({"channel": name}, {"rooms": [name], "room": name}) for name in CHANNELS},
    "market data, null": (
        {"channel": "market-data", "symbols": None},
        {"rooms": ["market-data"], "room": "market-data"},
    ),
    "market data, empty": (
        {"channel": "market-data", "symbols": []},
        {"rooms": ["market-data"], "room": "market-data"},
    ),
    "symbols": (
        {"channel": "market-data", "symbols": ["BTC/USDT", "ETH/USDT"]},
        {"rooms": [BTC, ETH], "symbols": ["BTC/USDT", "ETH/USDT"]},
    ),
    "unknown fields": (
        {"channel": "trading", "colour": "blue"},
        {"rooms": ["trading"], "room": "trading"},
    ),
}


def subscriptions(client: RawClient) -> list[str]:
    listed: list[str] = client.call("get-subscriptions")["subscriptions"]
    return sorted(listed)


@pytest.mark.parametrize(
    ("payload", "shape"), list(SUBSCRIPTIONS.values()), ids=list(SUBSCRIPTIONS)
)
@pytest.mark.parametrize("event", ["subscribe", "unsubscribe"])
def test_a_subscription_is_answered_by_event_and_acknowledgement(
    connect: Connect, event: str, payload: dict[str, Any], shape: dict[str, Any]
) -> None:
    client = connect()
    answer = client.call(event, payload)
    assert client.expect(f"{event}d") == answer
    assert TIMESTAMP.fullmatch(answer.pop("timestamp"))
    at = answer.pop("at")
    assert all(isinstance(number, int) for number in at.values())
    assert answer == {"channel": payload["channel"], **shape}


REFUSED: dict[str, tuple[object, ErrorCode, str | None]] = {
    "no payload": (None, ErrorCode.INVALID_PAYLOAD, None),
    "a text": ("trading", ErrorCode.INVALID_PAYLOAD, None),
    "a list": (["trading"], ErrorCode.INVALID_PAYLOAD, None),
    "no channel": ({}, ErrorCode.INVALID_PAYLOAD, "Channel name required"),
    "null channel": ({"channel": None}, ErrorCode.INVALID_PAYLOAD, "Channel name required"),
    "empty channel": ({"channel": ""}, ErrorCode.INVALID_PAYLOAD, "Channel name required"),
    "unknown channel": (
        {"channel": "weather"},
        ErrorCode.INVALID_CHANNEL,
        f"Invalid channel. Valid channels: {', '.join(CHANNELS)}",
    ),
    "a room for a channel": ({"channel": BTC}, ErrorCode.INVALID_CHANNEL, None),
    "a user's room": ({"channel": "user:alice"}, ErrorCode.INVALID_CHANNEL, None),
    "symbols of trading": (
        {"channel": "trading", "symbols": ["BTC"]},
        ErrorCode.INVALID_PAYLOAD,
        None,
    ),
    "symbols not a list": (
        {"channel": "market-data", "symbols": "BTC"},
        ErrorCode.INVALID_PAYLOAD,
        None,
    ),
    "one bad symbol of two": (
        {"channel": "market-data", "symbols": ["BTC", "../etc"]},
        ErrorCode.INVALID_SYMBOL,
        None,
    ),
    "a number for a symbol": (
        {"channel": "market-data", "symbols": [5]},
        ErrorCode.INVALID_SYMBOL,
        None,
    ),
}


@pytest.mark.parametrize(("payload", "code", "message"), list(REFUSED.values()), ids=list(REFUSED))
@pytest.mark.parametrize("event", ["subscribe", "unsubscribe"])
def test_an_invalid_subscription_changes_nothing_and_gives_the_reason(
    connect: Connect, event: str, payload: object, code: ErrorCode, message: str | None
) -> None:
    client = connect()
    client.call("subscribe", {"channel": "llm"})
    error = client.call(event, payload)["error"]
    assert client.expect_error(code) == error
    assert error["code"] == code
    assert error["message"] == (message or error["message"])
    assert TIMESTAMP.fullmatch(error["timestamp"])
    assert error.keys() == {"message", "code", "timestamp"}
    assert subscriptions(client) == ["llm"]


def test_subscribe_without_any_argument_says_that_the_channel_is_missing(connect: Connect) -> None:
    client = connect()
    client.emit("subscribe")
    assert client.expect_error(ErrorCode.INVALID_PAYLOAD)["message"] == "Channel name required"


def test_subscribing_twice_counts_once(connect: Connect) -> None:
    client = connect()
    for _ in range(2):
        client.call("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT", "BTC/USDT"]})
    listed = client.call("get-subscriptions")
    assert (listed["subscriptions"], listed["count"]) == ([BTC], 1)
    assert TIMESTAMP.fullmatch(listed["timestamp"])
    assert client.expect("subscriptions") == listed


def test_unsubscribing_without_a_subscription_is_answered_normally(connect: Connect) -> None:
    client = connect()
    assert client.call("unsubscribe", {"channel": "trading"})["rooms"] == ["trading"]
    assert subscriptions(client) == []


def test_leaving_market_data_keeps_the_symbols(connect: Connect) -> None:
    client = connect()
    client.call("subscribe", {"channel": "market-data"})
    client.call("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT", "ETH/USDT"]})
    client.call("unsubscribe", {"channel": "market-data"})
    client.call("unsubscribe", {"channel": "market-data", "symbols": ["ETH/USDT"]})
    assert subscriptions(client) == [BTC]


def test_the_user_s_own_room_is_not_listed(connect: Connect) -> None:
    assert subscriptions(connect()) == []


def test_at_names_the_last_number_of_each_stream_joined(connect: Connect, gateway: Target) -> None:
    client = connect()
    symbol = f"AT{client.sid[:6].encode().hex().upper()}"
    price = {"event": "price:update", "data": {"symbol": symbol, "price": 1}}
    before = gateway.publish({"room": f"market-data:{symbol}", **price})[0]["seq"]
    joined = client.call("subscribe", {"channel": "market-data", "symbols": [symbol]})
    assert joined["at"][f"price:{symbol}"] == before
    assert client.expect("price:update")["snapshot"] is True
    gateway.publish({"room": f"market-data:{symbol}", **price})
    assert client.expect("price:update")["seq"] == before + 1
    left = client.call("unsubscribe", {"channel": "market-data", "symbols": [symbol]})
    assert left["at"][f"price:{symbol}"] == before + 1


@pytest.mark.parametrize("payload", [(), (None,), ({"any": "thing"},), ("text",)])
def test_ping_is_answered_with_any_payload(connect: Connect, payload: tuple[object]) -> None:
    client = connect()
    pong = client.call("ping", *payload)
    assert client.expect("pong") == pong
    assert pong.keys() == {"timestamp", "received", "sent"}
    assert pong["received"] <= pong["sent"]


def test_pong_stamps_are_microseconds_of_the_clock_that_the_welcome_names(connect: Connect) -> None:
    client = connect()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
    if client.welcome["clock"] != clock_id(boot_id, str(Path("/proc/self/ns/time").readlink())):
        pytest.skip("the gateway's clock is another machine's")
    before = time.monotonic_ns() // 1_000
    pong = client.call("ping")
    assert before <= pong["received"] <= pong["sent"] <= time.monotonic_ns() // 1_000


def test_a_refreshed_token_is_answered_with_its_expiry(connect: Connect, gateway: Target) -> None:
    client = connect("refresher")
    token = gateway.token("refresher", lifetime_s=7_200)
    answer = client.call("token:refresh", {"token": token})
    assert client.expect("token:refreshed") == answer
    assert TIMESTAMP.fullmatch(answer["timestamp"])
    assert TIMESTAMP.fullmatch(answer["expiresAt"])
    expires = jwt.decode(token, options={"verify_signature": False})["exp"]
    assert datetime.fromisoformat(answer["expiresAt"]).timestamp() == expires


def test_a_failed_refresh_changes_nothing(connect: Connect, gateway: Target) -> None:
    client = connect("steady")
    bad = client.call("token:refresh", {"token": "nonsense"})["error"]
    assert bad["code"] == ErrorCode.AUTH_FAILED
    other = client.call("token:refresh", {"token": gateway.token("other")})["error"]
    assert other["code"] == ErrorCode.NOT_ALLOWED
    gateway.publish({"userId": "steady", "event": "note", "data": {}})
    assert client.expect("note")["userSeq"] >= 1


@pytest.mark.parametrize("payload", [None, {}, {"token": ""}, {"token": 5}, "text"])
def test_a_refresh_without_a_token_is_refused(connect: Connect, payload: object) -> None:
    client = connect()
    code = client.call("token:refresh", payload)["error"]["code"]
    assert code in {ErrorCode.INVALID_PAYLOAD, ErrorCode.AUTH_FAILED, ErrorCode.AUTH_MISSING}
    assert subscriptions(client) == []


def test_an_unknown_event_is_refused_by_name(connect: Connect) -> None:
    client = connect()
    assert client.call("dance")["error"]["code"] == ErrorCode.UNKNOWN_EVENT
    client.expect_error(ErrorCode.UNKNOWN_EVENT)
    assert subscriptions(client) == []


@pytest.mark.parametrize("name", sorted(PROTOCOL_NAMES | {"message", "*"}))
def test_a_reserved_event_name_reaches_no_handler(connect: Connect, name: str) -> None:
    client = connect()
    client.call("subscribe", {"channel": "trading"})
    assert client.call(name, {})["error"]["code"] == ErrorCode.UNKNOWN_EVENT
    assert subscriptions(client) == ["trading"]


def test_events_are_answered_in_the_order_sent(connect: Connect) -> None:
    client = connect()
    for symbol in ("A", "B", "C", "D"):
        client.emit("subscribe", {"channel": "market-data", "symbols": [symbol]})
        client.emit("unsubscribe", {"channel": "market-data", "symbols": [symbol]})
    client.call("get-subscriptions")
    answers = [(n, p["symbols"]) for n, p in client.inbox if n in {"subscribed", "unsubscribed"}]
    expected = [(n, [s]) for s in ("A", "B", "C", "D") for n in ("subscribed", "unsubscribed")]
    assert answers == expected


@pytest.mark.parametrize("value", ["1e20", "18446744073709551616", "1e999", '"\\ud83d"'])
def test_json_that_cannot_be_passed_on_is_ignored_where_it_is_not_used(
    connect: Connect, value: str
) -> None:
    client = connect()
    client.send_packet(f'421["subscribe",{{"channel":"trading","wei":{value}}}]')
    assert client.expect("subscribed")["room"] == "trading"
    client.send_packet(f'42["ping",{value}]')
    client.expect("pong")


@pytest.mark.parametrize("value", ["1e20", "1e999", '"\\ud83d"'])
def test_json_that_cannot_be_passed_on_is_refused_where_it_is_used(
    connect: Connect, value: str
) -> None:
    client = connect()
    client.send_packet(f'42["subscribe",{{"channel":{value}}}]')
    client.expect_error(ErrorCode.INVALID_CHANNEL)
    client.send_packet(f'42["subscribe",{{"channel":"market-data","symbols":[{value}]}}]')
    client.expect_error(ErrorCode.INVALID_SYMBOL)
    client.send_packet(f"42[{value}]" if value[0] != '"' else '42["a\\ud83d"]')
    client.expect_error(ErrorCode.UNKNOWN_EVENT)
