"""Two nodes behind the real nginx and the real HAProxy, as ``docs/deploy`` configures them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from balancers import haproxy, nginx
from blackbox.node import NodeClient
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S, until

POLLING = "/socket.io/?EIO=4&transport=polling"
SECRET = "kS9vT2xQ7mL4pR8wZ1cN6bH3jF5dG0aY"
MODES: dict[str, dict[str, Any]] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"], "upgrade": False},
    "polling upgraded": {"transports": ["polling", "websocket"]},
}
BALANCERS = {"nginx": (nginx, "nginx-nodes.conf"), "haproxy": (haproxy, "haproxy.cfg")}


class Balanced(NamedTuple):
    """Two nodes and the balancer in front of them."""

    front: Target
    nodes: dict[str, GatewayProcess]


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.real_part(name)) for name in BALANCERS]
)
def balanced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Balanced]:
    run, name = BALANCERS[request.param]
    with contextlib.ExitStack() as stack:
        nodes = {}
        for node in ("a", "b"):
            nodes[node] = GatewayProcess(
                tmp_path / f"{node}.log",
                {
                    "JWT_SECRET": SECRET,
                    "GATEWAY_NODE": node,
                    "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
                    "GATEWAY_ADDRESS_LIMIT_EXEMPT": "127.0.0.0/8",
                    "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "2",
                    "GATEWAY_PING_LIMIT": "1000",
                    "GATEWAY_CONNECT_TIMEOUT_SECONDS": "2",  # of sessions that keep a drain
                },
            )
            stack.callback(nodes[node].kill)
        upstreams = {f"gateway-{node}:3000": nodes[node] for node in nodes}
        yield Balanced(stack.enter_context(run(tmp_path, name, upstreams, SECRET)), nodes)


@pytest.mark.real_part("node")
def test_two_nodes_behind_a_balancer(
    balanced: Balanced, start_client: Callable[..., NodeClient]
) -> None:
    """One test for all: two gateways and a balancer take seconds to start."""
    front, nodes = balanced
    clients = [
        start_client(front.url, auth={"token": front.token()}, **mode)
        for mode in MODES.values()
        for _ in range(2)
    ]
    homes = [client.expect_event("connected")["clientId"].partition(".")[0] for client in clients]
    assert set(homes) == {"a", "b"}
    for client in clients[4:]:
        assert client.expect("upgrade")["transport"] == "websocket"
    for client in clients:
        for _ in range(5):
            assert client.call("ping")["received"]
    assert_addresses_count(front)
    assert_a_drain_fails_no_client(front, nodes["a"], clients, homes)


def assert_addresses_count(front: Target) -> None:
    """Each node admits two sessions of an address; a balancer may try one node alone."""
    farther = {"X-Forwarded-For": "203.0.113.7"}
    statuses = [front.get(POLLING, headers=farther).status for _ in range(5)]
    assert (statuses[:2], statuses[4]) == ([200, 200], 429), statuses


def assert_a_drain_fails_no_client(
    front: Target, drained: GatewayProcess, clients: list[NodeClient], homes: list[str]
) -> None:
    statuses: list[int] = []
    done = threading.Event()

    def connect_again_and_again() -> None:
        while not done.is_set():
            statuses.append(front.get(POLLING).status)
            time.sleep(0.01)  # between two clients, not for a state

    coming = threading.Thread(target=connect_again_and_again)
    coming.start()
    try:
        token = drained.token("admin", scope="admin")
        assert drained.request("POST", "/api/v1/drain", token=token).status == 202
        for client, home in zip(clients, homes, strict=True):
            if home == "a":
                client.expect_event("server:draining")
                client.expect("disconnect")
                assert client.expect_event("connected")["clientId"].startswith("b.")
            assert client.call("ping")["received"]
            errors = [line for line in client.lines if line["kind"] == "connect_error"]
            assert errors == []
        until(lambda: json_events(drained, "drained"), "a is empty", 2 * DEADLINE_S)
    finally:
        done.set()
        coming.join()
    assert set(statuses) == {200}, statuses


def json_events(gateway: GatewayProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in gateway.log_events() if line["event"] == event]
