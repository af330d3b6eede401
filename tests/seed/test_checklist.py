"""The checklist of the predecessor system: a test for each of its lines, under its name there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient, Refused
from blackbox.heartbeats import regular_heartbeats
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import PROMPT_S, until

from gateway.contract import ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]


def test_a_valid_token_is_accepted(connect: Connect) -> None:
    assert connect("valid").welcome["userId"] == "valid"


def test_an_invalid_token_is_refused(open_socket: Connect, gateway: Target) -> None:
    with pytest.raises(Refused, match="Authentication failed"):
        open_socket(gateway).connect({"token": "invalid"})


def test_a_missing_token_is_refused_in_production(open_socket: Connect, gateway: Target) -> None:
    with pytest.raises(Refused, match="Authentication token missing"):
        open_socket(gateway).connect()


def test_a_missing_token_is_allowed_in_development(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(NODE_ENV="development")
    assert open_socket(gateway).connect()["userId"] == "test-user-id"


def test_the_welcome_carries_the_client_id(connect: Connect) -> None:
    client = connect()
    assert client.welcome["message"] == "Connected to Tidegate"
    assert client.welcome["clientId"] == client.sid


def test_the_user_room_is_joined(connect: Connect, gateway: Target) -> None:
    client, other = connect(), connect()
    order = {"event": "order:filled", "data": {"order": {"id": "o-1"}}}
    gateway.publish({"userId": client.welcome["userId"], **order})
    assert client.expect("order:filled")["order"] == {"id": "o-1"}
    assert other.received("order:filled") == []


def test_the_connection_count_updates(connect: Connect, start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    client = connect(target=gateway)
    second = connect(target=gateway)
    while client.expect("connection-count")["count"] != 2:
        pass
    second.close()
    while client.expect("connection-count")["count"] != 1:
        pass


def test_subscribe_to_a_channel(connect: Connect) -> None:
    client = connect()
    client.emit("subscribe", {"channel": "trading"})
    answer = client.expect("subscribed")
    assert (answer["channel"], answer["room"]) == ("trading", "trading")


def test_subscribe_to_symbols(connect: Connect) -> None:
    client = connect()
    client.emit("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT", "ETH/USDT"]})
    answer = client.expect("subscribed")
    assert answer["symbols"] == ["BTC/USDT", "ETH/USDT"]
    assert answer["rooms"] == ["market-data:BTC/USDT", "market-data:ETH/USDT"]


def test_unsubscribe(connect: Connect, gateway: Target) -> None:
    client = connect()
    client.call("subscribe", {"channel": "trading"})
    client.emit("unsubscribe", {"channel": "trading"})
    assert client.expect("unsubscribed")["channel"] == "trading"
    gateway.publish({"room": "trading", "event": "note", "data": {}})
    assert client.received("note") == []


def test_an_invalid_channel_is_refused(connect: Connect) -> None:
    client = connect()
    client.emit("subscribe", {"channel": "invalid"})
    error = client.expect_error(ErrorCode.INVALID_CHANNEL)
    # Channels that the ancestor did not have come behind its own.
    assert error["message"].startswith("Invalid channel. Valid channels: trading, market-data, llm")


def test_the_list_of_subscriptions(connect: Connect) -> None:
    client = connect()
    client.call("subscribe", {"channel": "trading"})
    client.call("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})
    client.emit("get-subscriptions")
    listed = client.expect("subscriptions")
    assert sorted(listed["subscriptions"]) == ["market-data:BTC/USDT", "trading"]
    assert listed["count"] == 2


def test_a_heartbeat_comes_every_interval(connect: Connect) -> None:
    assert len(regular_heartbeats(connect(), least=4)) >= 4


def test_a_ping_is_answered_with_a_pong(connect: Connect) -> None:
    client = connect()
    client.emit("ping")
    assert client.expect("pong")["timestamp"].endswith("Z")


def test_the_connection_remains_alive_over_several_heartbeats(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_PING_INTERVAL_MS=500, GATEWAY_PING_TIMEOUT_MS=1_500)
    client = connect(target=gateway)
    client.call("subscribe", {"channel": "trading"})
    while client.packets.count("2") < 4:  # longer than the timeout of the transport's own pings
        client.expect("heartbeat")
    assert client.call("get-subscriptions")["subscriptions"] == ["trading"]


def is_limited(answer: dict[str, Any]) -> bool:
    return bool(answer.get("error", {}).get("code") == ErrorCode.RATE_LIMIT_EXCEEDED)


def test_sixty_are_accepted_the_61st_refused_and_accepted_again_after_the_window(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_RATE_WINDOW_SECONDS=PROMPT_S)
    client = connect(target=gateway)
    answers = client.call_at_once(61, "get-subscriptions")
    assert [is_limited(answer) for answer in answers] == [False] * 60 + [True]
    assert client.expect("error")["message"] == "Rate limit exceeded"
    until_s = time.monotonic() + answers[-1]["error"]["retryAfter"] / 1_000
    while time.monotonic() <= until_s:
        client.expect("heartbeat")
    assert not is_limited(client.call("get-subscriptions"))


def test_errors_do_not_disconnect(connect: Connect) -> None:
    client = connect()
    for bad in ({}, {"channel": "invalid"}, {"channel": "market-data", "symbols": [""]}, "text"):
        client.emit("subscribe", bad)
        client.expect("error")
    client.emit("no-such-event")
    client.expect_error(ErrorCode.UNKNOWN_EVENT)
    assert client.call("subscribe", {"channel": "trading"})["rooms"] == ["trading"]


def test_the_shape_of_an_error(connect: Connect) -> None:
    client = connect()
    client.emit("subscribe", {})
    error = client.expect("error")
    assert error.keys() == {"message", "code", "timestamp"}
    assert (error["message"], error["code"]) == ("Channel name required", "INVALID_PAYLOAD")
    assert error["timestamp"].endswith("Z")


def test_errors_are_logged(connect: Connect, start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    client = connect(target=gateway)
    client.call("subscribe", {"channel": "invalid"})
    until(lambda: "INVALID_CHANNEL" in gateway.log.read_text(), "the error is logged")
    logged = [line for line in gateway.log_events() if "INVALID_CHANNEL" in str(line)]
    assert [line["client"] for line in logged] == [client.sid]
