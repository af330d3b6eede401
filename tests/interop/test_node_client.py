"""The real ``socket.io-client`` 4.8 against a real gateway, over each of its transports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blackbox.node import NodeClient
from blackbox.process import GatewayProcess
from blackbox.target import Target
from certificates import make_chain

pytestmark = pytest.mark.real_part("node")

StartClient = Callable[..., NodeClient]
StartGateway = Callable[..., GatewayProcess]

MODES: dict[str, dict[str, Any]] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"], "upgrade": False},
    "polling upgraded": {"transports": ["polling", "websocket"]},
}


@pytest.fixture(params=list(MODES.values()), ids=list(MODES))
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    options: dict[str, Any] = request.param
    return options


@pytest.fixture
def connected(
    start_client: StartClient, gateway: Target, mode: dict[str, Any]
) -> tuple[NodeClient, dict[str, Any]]:
    client = start_client(gateway.url, auth={"token": gateway.token()}, **mode)
    opened = client.expect("connect")
    if len(mode["transports"]) > 1:
        assert client.expect("upgrade")["transport"] == "websocket"
    else:
        assert opened["transport"] == mode["transports"][0]
    return client, opened


Connected = tuple[NodeClient, dict[str, Any]]


def test_a_client_with_a_token_is_welcomed(connected: Connected) -> None:
    client, opened = connected
    welcome = client.expect_event("connected")
    assert welcome["message"] == "Connected to Tidegate"
    assert welcome["clientId"] == opened["id"]


def test_a_wrong_token_is_refused_with_its_code(
    start_client: StartClient, gateway: Target, mode: dict[str, Any]
) -> None:
    client = start_client(gateway.url, auth={"token": "not a token"}, **mode)
    refused = client.expect("connect_error")
    assert refused["message"] == "Authentication failed"
    assert refused["data"]["code"] == "AUTH_FAILED"
    assert refused["active"] is False, "the stock client must not try the same token for ever"


def test_a_missing_token_is_refused_with_its_code(
    start_client: StartClient, gateway: Target, mode: dict[str, Any]
) -> None:
    refused = start_client(gateway.url, **mode).expect("connect_error")
    assert refused["message"] == "Authentication token missing"
    assert refused["data"]["code"] == "AUTH_MISSING"


def test_a_subscriber_receives_a_published_event_exactly_once(
    connected: Connected, gateway: Target
) -> None:
    client, _ = connected
    answer = client.call("subscribe", {"channel": "market-data"})
    assert answer["room"] == "market-data"
    symbols = ["BTC/USDT", "ETH/USDT"]
    held = client.call("subscribe", {"channel": "market-data", "symbols": symbols})
    assert held["rooms"] == [f"market-data:{symbol}" for symbol in symbols]
    numbers = [
        gateway.publish({"room": "market-data", "event": "price:update", "data": price})[0]["seq"]
        for price in (
            {"symbol": "BTC/USDT", "price": 43_000.5},
            {"symbol": "ETH/USDT", "price": 2_300.25},
        )
    ]
    updates = [client.expect_event("price:update")]
    while (
        updates[-1]["symbol"] != "ETH/USDT" or "snapshot" in updates[-1]
    ):  # which arrives after every event of BTC/USDT
        updates.append(client.expect_event("price:update"))
    delivered = [update for update in updates if "snapshot" not in update]
    assert [(update["price"], update["seq"]) for update in delivered] == list(
        zip((43_000.5, 2_300.25), numbers, strict=True)
    )


def test_a_ping_is_answered_with_a_pong_and_an_acknowledgement(connected: Connected) -> None:
    client, _ = connected
    answer = client.call("ping")
    assert client.expect_event("pong") == answer
    assert answer["received"] <= answer["sent"]


def test_the_61st_event_is_answered_with_a_rate_limit_error(connected: Connected) -> None:
    client, _ = connected
    answers = [client.call("get-subscriptions") for _ in range(61)]
    assert ["error" in answer for answer in answers] == [False] * 60 + [True]
    error = client.expect_event("error")
    assert error == answers[-1]["error"]
    assert error["code"] == "RATE_LIMIT_EXCEEDED"
    assert error["message"] == "Rate limit exceeded"
    assert error["limit"] == "connection"
    assert 0 < error["retryAfter"] <= 60_000


def test_a_client_returns_by_itself_after_a_restart_with_nothing_of_the_old_connection(
    start_client: StartClient, start_gateway: StartGateway, mode: dict[str, Any]
) -> None:
    first = start_gateway()
    client = start_client(first.url, auth={"token": first.token("returner")}, **mode)
    before = client.expect_event("connected")
    if len(mode["transports"]) > 1:
        client.expect("upgrade")
    client.call("subscribe", {"channel": "trading"})
    assert first.stop() == 0
    gone = client.expect("disconnect")
    assert gone["active"] is True, f"the stock client does not come back after {gone['reason']!r}"
    second = start_gateway(PORT=first.port, JWT_SECRET=first.secret)
    assert second.url == first.url
    client.expect("reconnect")
    after = client.expect_event("connected")
    assert after["clientId"] != before["clientId"]
    assert after["epoch"] != before["epoch"]
    assert client.call("get-subscriptions")["subscriptions"] == []


def test_a_client_connects_over_tls_by_each_transport(
    start_client: StartClient,
    start_gateway: StartGateway,
    mode: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = make_chain(tmp_path / "tls")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(chain.root))
    gateway = start_gateway(GATEWAY_TLS_CERTIFICATE=chain.certificate, GATEWAY_TLS_KEY=chain.key)
    client = start_client(gateway.url, auth={"token": gateway.token("alice")}, **mode)
    opened = client.expect("connect")
    if len(mode["transports"]) > 1:
        assert client.expect("upgrade")["transport"] == "websocket"
    else:
        assert opened["transport"] == mode["transports"][0]
    assert client.expect_event("connected")["userId"] == "alice"
    assert client.call("get-subscriptions")["count"] == 0
