"""A client script of the predecessor system, unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blackbox.process import GatewayProcess
from blackbox.target import Target

from gateway.contract import Text

pytestmark = pytest.mark.real_part("node")

Steps = list[dict[str, Any]]
RunSeedClient = Callable[..., Steps]


def data_of(steps: Steps, name: str) -> list[Any]:
    return [step["data"] for step in steps if step["step"] == name]


@pytest.fixture(scope="module")
def steps(run_seed_client: RunSeedClient, gateway: Target) -> Steps:
    return run_seed_client(gateway.url, gateway.token("ancestor"))


def test_the_token_in_auth_is_accepted_and_the_client_welcomed(steps: Steps) -> None:
    (connect,) = data_of(steps, "connect")
    (welcome,) = data_of(steps, "connected")
    assert welcome["clientId"] == connect["id"]
    assert welcome["userId"] == "ancestor"


def test_subscribe_is_answered_with_and_without_symbols(steps: Steps) -> None:
    trading, market, llm = data_of(steps, "subscribed")
    assert (trading["channel"], trading["room"]) == ("trading", "trading")
    assert (market["channel"], market["symbols"]) == ("market-data", ["BTC/USDT", "ETH/USDT"])
    assert market["rooms"] == ["market-data:BTC/USDT", "market-data:ETH/USDT"]
    assert (llm["channel"], llm["room"]) == ("llm", "llm")


def test_unsubscribe_is_answered(steps: Steps) -> None:
    market, trading = data_of(steps, "unsubscribed")
    assert market["symbols"] == ["ETH/USDT"]
    assert trading["channel"] == "trading"


def test_get_subscriptions_lists_the_remaining_ones(steps: Steps) -> None:
    (listed,) = data_of(steps, "subscriptions")
    assert sorted(listed["subscriptions"]) == ["llm", "market-data:BTC/USDT"]
    assert listed["count"] == 2


def test_errors_have_the_texts_that_clients_compare_with(steps: Steps) -> None:
    weather, empty = data_of(steps, "error")
    assert weather["message"] == Text.INVALID_CHANNEL
    assert empty["message"] == "Channel name required"


def test_ping_is_answered_with_pong(steps: Steps) -> None:
    (pong,) = data_of(steps, "pong")
    assert pong["timestamp"].endswith("Z")


def test_heartbeats_arrive(steps: Steps) -> None:
    first, second, *_ = data_of(steps, "heartbeat")
    assert second["seq"] == first["seq"] + 1
    assert first["timestamp"].endswith("Z")


def test_without_a_token_production_refuses(
    run_seed_client: RunSeedClient, gateway: Target
) -> None:
    assert run_seed_client(gateway.url) == [
        {"step": "connect_error", "data": {"message": "Authentication token missing"}}
    ]


def test_without_a_token_development_welcomes_the_test_user(
    run_seed_client: RunSeedClient, start_gateway: Callable[..., GatewayProcess]
) -> None:
    gateway = start_gateway(NODE_ENV="development", JWT_SECRET=None, CLIENT_URL=None)
    steps = run_seed_client(gateway.url)
    (welcome,) = data_of(steps, "connected")
    assert welcome["userId"] == "test-user-id"
    assert data_of(steps, "done") == [{}]
