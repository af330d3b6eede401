"""Contract: a gateway that watches the behaviour of users and addresses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.client import RawClient, Refused
from blackbox.process import GatewayProcess
from deadlines import until

Connect = Callable[..., RawClient]
StartGateway = Callable[..., GatewayProcess]

KEY = "q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"
SENT = 30
"""Unknown events: five times the floor, so that a turn of the window splits none below it."""


def series_of(gateway: GatewayProcess, kind: str, signal: str) -> float:
    start = f'tidegate_anomalies_total{{kind="{kind}",signal="{signal}"}}'
    lines = gateway.get("/metrics").text.splitlines()
    (line,) = [one for one in lines if one.startswith(start)]
    return float(line.split()[-1])


def test_an_anomaly_is_told_in_metrics_log_and_audit_log_and_closes_nobody(
    connect: Connect, start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    gateway = start_gateway(GATEWAY_ANOMALY="log", GATEWAY_AUDIT_LOG=path, GATEWAY_AUDIT_KEY=KEY)
    mallory, alice = connect("mallory", target=gateway), connect("alice", target=gateway)
    for _ in range(SENT):
        mallory.call("no-such-event")
    assert alice.call("get-subscriptions")["count"] == 0
    assert mallory.call("get-subscriptions")["count"] == 0
    assert series_of(gateway, "user", "error") == 1
    until(lambda: '"event":"anomaly"' in path.read_text(), "the audit line")
    (line,) = [one for one in map(json.loads, path.read_text().splitlines()) if "score" in one]
    assert (line["user"], line["signal"]) == ("mallory", "error")
    assert line["score"] > 1
    until(lambda: "anomaly" in [one["event"] for one in gateway.log_events()], "the log line")


def test_an_address_that_guesses_tokens_is_told(
    open_socket: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_ANOMALY="log", GATEWAY_ADDRESS_LIMIT_EXEMPT="none")
    for _ in range(SENT):
        with pytest.raises(Refused):
            open_socket(gateway).connect({"token": gateway.token(key="another-secret-" * 4)})
    assert series_of(gateway, "address", "refusal") == 1


def test_an_anomaly_closes_the_users_clients_if_asked_and_no_others(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(GATEWAY_ANOMALY="close")
    first, second = connect("mallory", target=gateway), connect("mallory", target=gateway)
    alice = connect("alice", target=gateway)
    for _ in range(SENT):
        first.emit("no-such-event")
    for client in (first, second):
        client.wait_until_closed()
        assert "disconnect" not in [name for name, _ in client.inbox]  # a stock client returns
    assert alice.call("get-subscriptions")["count"] == 0
    assert 'connections_closed_total{reason="anomaly"} 2.0' in gateway.get("/metrics").text
