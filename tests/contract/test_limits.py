"""Contract: Limits on events, connections and sizes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target, wait_for
from deadlines import PROMPT_S

from gateway.contract import MAX_EVENT_BYTES, MAX_PAYLOAD_BYTES, ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]


def limited(answer: dict[str, Any]) -> bool:
    return bool(answer.get("error", {}).get("code") == ErrorCode.RATE_LIMIT_EXCEEDED)


def test_sixty_events_are_accepted_and_the_61st_refused(connect: Connect) -> None:
    client = connect()
    answers = [client.call("get-subscriptions") for _ in range(61)]
    assert [limited(answer) for answer in answers] == [False] * 60 + [True]
    error = answers[-1]["error"]
    assert error["message"] == "Rate limit exceeded"
    assert error["limit"] == "connection"
    assert 0 < error["retryAfter"] <= 60_000


def test_the_window_rolls_and_retry_after_is_the_moment_it_opens(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_RATE_LIMIT=4, GATEWAY_RATE_WINDOW_SECONDS=PROMPT_S)
    client = connect(target=gateway)
    for _ in range(2):
        client.call("get-subscriptions")
    client.expect("heartbeat")
    client.expect("heartbeat")  # a gap inside the window: a fixed one would open all at once
    for _ in range(2):
        client.call("get-subscriptions")
    refused = client.call("get-subscriptions")
    wait_s = refused["error"]["retryAfter"] / 1_000
    assert 0 < wait_s <= PROMPT_S
    until = time.monotonic() + wait_s + 0.002
    while time.monotonic() < until:
        client.expect("heartbeat")
    accepted = [not limited(client.call("get-subscriptions")) for _ in range(3)]
    assert accepted[0], "one event must pass once retryAfter is over"


@pytest.mark.parametrize(
    "spoil",
    [("subscribe", {"channel": "weather"}), ("subscribe",), ("dance", {}), (5, {})],
    ids=["invalid channel", "no payload", "unknown event", "a number for a name"],
)
def test_invalid_and_unknown_events_count(
    connect: Connect, shared_gateway: StartGateway, spoil: tuple[Any, ...]
) -> None:
    client = connect(target=shared_gateway(GATEWAY_RATE_LIMIT=3))
    for _ in range(3):
        client.emit(*spoil)
    assert limited(client.call("get-subscriptions"))


def test_one_error_event_for_each_breach_and_every_acknowledgement(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_RATE_LIMIT=4, GATEWAY_RATE_WINDOW_SECONDS=PROMPT_S)
    client = connect(target=gateway)
    until = 0.0
    for breach in (1, 2):
        while time.monotonic() < until:
            client.expect("heartbeat")
        answers = [client.call("get-subscriptions") for _ in range(9)]
        assert [limited(answer) for answer in answers] == [False] * 4 + [True] * 5
        errors = [payload for name, payload in client.inbox if name == "error"]
        assert len(errors) == breach
        until = time.monotonic() + PROMPT_S + 0.01


def test_another_user_of_the_same_gateway_is_not_limited(connect: Connect) -> None:
    abuser, neighbour = connect(), connect()
    for _ in range(70):
        abuser.emit("get-subscriptions")
    abuser.expect_error(ErrorCode.RATE_LIMIT_EXCEEDED)
    assert "error" not in neighbour.call("get-subscriptions")


def test_ping_has_a_limit_of_its_own(connect: Connect) -> None:
    client = connect()
    pings = [client.call("ping") for _ in range(11)]
    assert [limited(pong) for pong in pings] == [False] * 10 + [True]
    assert pings[-1]["error"]["limit"] == "ping"
    assert pings[-1]["error"]["retryAfter"] <= 10_000
    others = [client.call("get-subscriptions") for _ in range(60)]
    assert not any(limited(answer) for answer in others), "a ping is not charged to the 60"


@pytest.mark.parametrize(
    ("event", "payload"),
    [("token:refresh", {"token": "bad"}), ("llm:stream:cancel", {"sessionId": "x"})],
)
def test_refresh_and_cancel_have_limits_of_their_own(
    connect: Connect, event: str, payload: object
) -> None:
    client = connect()
    answers = [client.call(event, payload) for _ in range(11)]
    assert [limited(answer) for answer in answers] == [False] * 10 + [True]
    others = [client.call("get-subscriptions") for _ in range(60)]
    assert not any(limited(answer) for answer in others)


def test_a_user_s_limit_spans_all_connections_and_outlives_them(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_USER_RATE_LIMIT=6)
    one, other = connect("busy", target=gateway), connect("busy", target=gateway)
    for client in (one, other):
        assert not any(limited(client.call("get-subscriptions")) for _ in range(3))
    assert one.call("get-subscriptions")["error"]["limit"] == "user"
    one.close()
    other.close()
    again = connect("busy", target=gateway)
    assert again.call("get-subscriptions")["error"]["limit"] == "user"
    assert not limited(connect("idle", target=gateway).call("get-subscriptions"))


def test_a_new_connection_has_a_window_of_its_own(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_RATE_LIMIT=3)
    first = connect("again", target=gateway)
    assert [limited(first.call("get-subscriptions")) for _ in range(4)] == [False] * 3 + [True]
    first.close()
    assert not limited(connect("again", target=gateway).call("get-subscriptions"))


def test_leaving_and_joining_again_renews_no_limit(connect: Connect) -> None:
    client = connect()
    for _ in range(10):
        assert not limited(client.call("ping"))
    client.send_packet("41")
    client.send_packet("40" + json.dumps({"token": client.target.token("another")}))
    while not (packet := client.read_message()).startswith("40{"):
        assert packet.startswith('42["heartbeat",'), "sent before the gateway read the first packet"
    assert limited(client.call("ping"))


def test_a_transport_that_is_refused_three_times_is_closed(
    open_socket: Connect, gateway: Target
) -> None:
    client = open_socket(gateway)
    for _ in range(10):
        client.send_packet("40")
    client.wait_until_closed()
    assert [packet[:2] for packet in client.packets].count("44") == 3


def test_the_buffer_of_a_client_that_was_offline_is_answered(connect: Connect) -> None:
    client = connect()
    answers = [client.call("get-subscriptions") for _ in range(600)]
    assert [limited(answer) for answer in answers] == [False] * 60 + [True] * 540
    assert "41" not in client.packets


def test_too_many_refused_events_close_the_transport(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    client = connect(target=shared_gateway(GATEWAY_RATE_LIMIT=1, GATEWAY_MAX_REFUSED_EVENTS=20))
    for _ in range(25):
        client.emit("get-subscriptions")
    client.wait_until_closed()
    assert "41" not in client.packets  # after it, a stock client would stay away


def test_a_user_s_21st_connection_closes_the_longest_silent_one(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_MAX_CONNECTIONS_PER_USER=3)
    clients = [connect("crowd", target=gateway) for _ in range(3)]
    clients[0].call("get-subscriptions")
    connect("crowd", target=gateway)
    clients[1].expect_error(ErrorCode.TOO_MANY_CONNECTIONS)
    clients[1].expect("disconnect")
    for client in (clients[0], clients[2]):
        assert "error" not in client.call("get-subscriptions")


def test_one_connection_too_many_closes_the_transport(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_MAX_CONNECTIONS_PER_USER=3)
    first, *_ = (connect("throng", target=gateway) for _ in range(4))
    first.wait_until_closed()


def session_attempt(gateway: Target, **headers: str) -> tuple[int, str | None]:
    """Open an Engine.IO session over polling; return the status and ``Retry-After``."""
    answer = gateway.get("/socket.io/?EIO=4&transport=polling", headers=headers)
    return answer.status, answer.headers.get("retry-after")


def test_an_address_may_open_a_limited_number_of_sessions_a_minute(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(
        GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS=3, GATEWAY_ADDRESS_LIMIT_EXEMPT="192.0.2.0/24"
    )
    attempts = [session_attempt(gateway) for _ in range(4)]
    assert [status for status, _ in attempts] == [200, 200, 200, 429]
    assert 0 < int(attempts[-1][1] or "0") <= 60


def test_an_address_may_hold_a_limited_number_of_sessions_at_once(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(
        GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=2, GATEWAY_ADDRESS_LIMIT_EXEMPT="192.0.2.0/24"
    )
    held = [open_socket(gateway) for _ in range(2)]
    refused = open_socket(gateway).upgrade
    assert refused.status in {429, 503}
    assert int(refused.headers["retry-after"]) > 0
    assert open_socket(gateway, source="127.0.0.2").upgrade.status == 101
    held[0].close()
    wait_for(lambda: open_socket(gateway).upgrade.status == 101)


def test_an_exempt_address_is_not_limited(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS=2)
    assert [session_attempt(gateway)[0] for _ in range(4)] == [200] * 4


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [("127.0.0.1/32", [200, 200, 429, 200]), ("192.0.2.0/24", [200, 200, 429, 429])],
    ids=["trusted proxy", "untrusted peer"],
)
def test_the_forwarded_address_counts_when_the_peer_is_a_trusted_proxy(
    start_gateway: StartGateway, trusted: str, expected: list[int]
) -> None:
    gateway = start_gateway(
        GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS=2,
        GATEWAY_ADDRESS_LIMIT_EXEMPT="192.0.2.0/24",
        GATEWAY_TRUSTED_PROXIES=trusted,
    )
    first, other = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
    assert [session_attempt(gateway, **h)[0] for h in (first, first, first, other)] == expected


def test_a_place_of_a_forwarded_address_is_released(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(
        GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=1,
        GATEWAY_ADDRESS_LIMIT_EXEMPT="192.0.2.0/24",
        GATEWAY_TRUSTED_PROXIES="127.0.0.0/8",
    )
    headers = {"X-Forwarded-For": "203.0.113.7", "Cookie": "id=c00kie-s3cret"}
    client = connect(target=gateway, headers=headers)  # its headers are forgotten meanwhile
    assert session_attempt(gateway, **headers)[0] == 429
    client.close()
    wait_for(lambda: session_attempt(gateway, **headers)[0] == 200)
    wait_for(lambda: any(one["event"] == "session refused" for one in gateway.log_events()))
    refusals = [one for one in gateway.log_events() if one["event"] == "session refused"]
    assert {one["address"] for one in refusals} == {"203.0.113.7"}
    assert "c00kie" not in gateway.log.read_text()


def test_log_lines_of_refusals_and_limits_have_the_address(
    connect: Connect, open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_RATE_LIMIT=1)
    client = connect(target=gateway)
    client.call("no-such-event")
    client.call("get-subscriptions")
    stranger = open_socket(gateway)
    stranger.send_packet('40{"token":"nonsense"}')
    wait_for(lambda: "authentication refused" in gateway.log.read_text())
    lines = {one["event"]: one for one in gateway.log_events()}
    for refusal in ("event refused", "rate limit exceeded", "authentication refused"):
        assert lines[refusal]["address"] == "127.0.0.1"


def test_ipv6_addresses_are_counted_by_their_64_bit_prefix(start_gateway: StartGateway) -> None:
    gateway = start_gateway(
        GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS=1,
        GATEWAY_ADDRESS_LIMIT_EXEMPT="192.0.2.0/24",
        GATEWAY_TRUSTED_PROXIES="127.0.0.0/8",
    )
    hosts = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    statuses = [session_attempt(gateway, **{"X-Forwarded-For": host})[0] for host in hosts]
    assert statuses == [200, 429, 200]


def sized(event: str, size: int) -> str:
    """Return an event packet of exactly that many bytes, Engine.IO type included."""
    empty = "42" + json.dumps([event, {"channel": "trading", "padding": ""}])
    return empty.replace('""', json.dumps("x" * (size - len(empty))))


def test_an_event_of_64_kib_is_accepted(connect: Connect) -> None:
    client = connect()
    client.send_packet(sized("subscribe", MAX_EVENT_BYTES))
    assert client.expect("subscribed")["room"] == "trading"


def test_a_larger_event_is_refused_and_the_client_stays(connect: Connect) -> None:
    client = connect()
    client.send_packet(sized("subscribe", MAX_EVENT_BYTES + 2))
    client.expect_error(ErrorCode.INVALID_PAYLOAD)
    assert client.call("get-subscriptions")["count"] == 0


def test_a_chat_request_may_be_larger(connect: Connect) -> None:
    client = connect()
    client.send_packet(sized("llm:chat:stream", 3 * MAX_EVENT_BYTES))
    error = client.expect_error(ErrorCode.INVALID_PAYLOAD)
    assert error["message"] == "sessionId, provider, and messages are required"


def test_a_frame_over_max_payload_closes_with_1009(connect: Connect) -> None:
    client = connect()
    client.send_frame(b"42" + b"x" * MAX_PAYLOAD_BYTES)
    assert client.wait_until_closed() == 1009
    assert "41" not in client.packets
