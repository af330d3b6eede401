"""Contract: Entitlements, in subscriptions and in refreshed tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import GatewayProcess
from blackbox.target import Target

from gateway.contract import ErrorCode

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]
SOME: dict[str, Any] = {"market-data": ["ENT/*", "ENTX"], "llm": True}


def market(*symbols: str) -> dict[str, Any]:
    return {"channel": "market-data", "symbols": list(symbols)}


def price(symbol: str) -> dict[str, Any]:
    return {"room": "market-data", "event": "price:update", "data": {"symbol": symbol, "price": 1}}


def symbols_received(client: RawClient) -> list[str]:
    """Return the symbols of the live events; snapshots of earlier values are none."""
    received = [payload for _, payload in client.received("price:update")]
    return [payload["symbol"] for payload in received if "snapshot" not in payload]


@pytest.mark.parametrize(
    "payload",
    [market("ENT/USD"), market("ENT/USD", "ENT/EUR", "ENTX"), {"channel": "llm"}],
    ids=["a pair", "several symbols", "a channel"],
)
def test_what_the_token_allows_can_be_subscribed_to(
    connect: Connect, gateway: Target, payload: dict[str, Any]
) -> None:
    client = connect(token=gateway.token(entitlements=SOME))
    assert client.call("subscribe", payload)["channel"] == payload["channel"]


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"channel": "trading"}, "trading"),
        ({"channel": "market-data"}, "market-data"),
        (market("OTHER/USD"), "market-data:OTHER/USD"),
        (market("ENT/USD", "ENT"), "market-data:ENT"),
    ],
    ids=["a channel", "the whole of market-data", "a symbol", "one symbol of two"],
)
def test_what_it_does_not_allow_is_refused_by_name_and_nothing_of_the_call_applies(
    connect: Connect, gateway: Target, payload: dict[str, Any], named: str
) -> None:
    client = connect(token=gateway.token(entitlements=SOME))
    error = client.call("subscribe", payload)["error"]
    assert error["code"] == ErrorCode.NOT_ALLOWED
    assert error["message"].endswith(f" {named}")
    assert client.expect("error") == error
    assert client.call("get-subscriptions")["count"] == 0
    gateway.publish(price("ENT/USD"), price("OTHER/USD"))
    assert symbols_received(client) == []


def test_leaving_needs_no_entitlement(connect: Connect, gateway: Target) -> None:
    client = connect(token=gateway.token(entitlements={}))
    assert client.call("unsubscribe", {"channel": "trading"})["rooms"] == ["trading"]


@pytest.mark.parametrize("claim", [[], "*", {"market-data": "ENT/*"}, {"trading": ["*"]}], ids=repr)
def test_a_malformed_claim_refuses_the_token(
    open_socket: Connect, gateway: Target, claim: object
) -> None:
    with pytest.raises(Refused) as refused:
        open_socket(gateway).connect({"token": gateway.token(entitlements=claim)})
    assert refused.value.code == ErrorCode.AUTH_FAILED


def test_a_refreshed_token_removes_the_client_from_rooms_that_it_does_not_allow(
    connect: Connect, gateway: Target
) -> None:
    client = connect("narrowed")
    for payload in ({"channel": "trading"}, {"channel": "market-data"}, {"channel": "llm"}):
        client.call("subscribe", payload)
    client.call("subscribe", market("ENT/USD", "OTHER/USD", "ENTX", "OTHERX"))
    token = gateway.token("narrowed", entitlements=SOME)
    assert client.call("token:refresh", {"token": token})["expiresAt"]
    told = [client.expect("unsubscribed") for _ in range(3)]
    assert [one["reason"] for one in told] == ["entitlement"] * 3
    assert [one["rooms"] for one in told] == [
        ["trading"],
        ["market-data"],
        ["market-data:OTHER/USD", "market-data:OTHERX"],
    ]
    assert told[0].keys() == {"channel", "room", "rooms", "at", "timestamp", "reason"}
    assert told[2]["symbols"] == ["OTHER/USD", "OTHERX"]
    assert client.call("get-subscriptions")["subscriptions"] == [
        "llm",
        "market-data:ENT/USD",
        "market-data:ENTX",
    ]
    gateway.publish(*map(price, ("ENT/USD", "OTHER/USD", "ENTX", "OTHERX", "THIRD")))
    assert symbols_received(client) == ["ENT/USD", "ENTX"]


def test_a_wider_token_allows_more_and_a_refused_one_changes_nothing(
    connect: Connect, gateway: Target
) -> None:
    client = connect(token=gateway.token("widened", entitlements=SOME))
    client.call("subscribe", market("ENT/USD"))
    for claim in ({"market-data": "none"}, {}):
        of_another = gateway.token("somebody-else", entitlements=claim)
        assert "error" in client.call("token:refresh", {"token": of_another})
    assert client.received("unsubscribed") == []
    wider = gateway.token("widened", entitlements={**SOME, "trading": True})
    assert client.call("token:refresh", {"token": wider})["expiresAt"]
    assert client.call("subscribe", {"channel": "trading"})["rooms"] == ["trading"]
    assert client.received("unsubscribed") == []
    assert client.call("get-subscriptions")["count"] == 2


def test_a_token_without_the_claim_has_nothing_where_it_is_required(
    connect: Connect, shared_gateway: StartGateway
) -> None:
    gateway = shared_gateway(GATEWAY_ENTITLEMENTS="required")
    client = connect(target=gateway)
    for channel in ("trading", "market-data", "llm"):
        error = client.call("subscribe", {"channel": channel})["error"]
        assert error["code"] == ErrorCode.NOT_ALLOWED
    allowed = connect(target=gateway, token=gateway.token(entitlements={"market-data": ["*"]}))
    assert allowed.call("subscribe", {"channel": "market-data"})["rooms"] == ["market-data"]
    assert allowed.call("subscribe", market("ANY/ONE"))["symbols"] == ["ANY/ONE"]
