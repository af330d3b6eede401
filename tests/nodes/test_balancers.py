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
    clients, homes = connect_in_every_mode(front, start_client)
    assert_addresses_count(front)
    drained = nodes["a"]

    def drain() -> None:
        token = drained.token("admin", scope="admin")
        assert drained.request("POST", "/api/v1/drain", token=token).status == 202

    def is_empty() -> bool:
        return bool(json_events(drained, "drained"))

    assert_no_request_fails(front, drain, is_empty, clients, homes)


@pytest.mark.real_part("node")
def test_no_request_fails_while_sigterm_ends_a_node(
    balanced: Balanced, start_client: Callable[..., NodeClient]
) -> None:
    front, nodes = balanced
    clients, homes = connect_in_every_mode(front, start_client)
    process = nodes["a"].process
    assert_no_request_fails(
        front, process.terminate, lambda: process.poll() is not None, clients, homes
    )
    assert process.returncode == 0


def connect_in_every_mode(
    front: Target, start_client: Callable[..., NodeClient]
) -> tuple[list[NodeClient], list[str]]:
    """Return two stock clients of each mode that work, and the node of each."""
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
    return clients, homes


def assert_addresses_count(front: Target) -> None:
    """Each node admits two sessions of an address; a balancer may try one node alone."""
    farther = {"X-Forwarded-For": "203.0.113.7"}
    statuses = [front.get(POLLING, headers=farther).status for _ in range(5)]
    assert (statuses[:2], statuses[4]) == ([200, 200], 429), statuses


def assert_no_request_fails(
    front: Target,
    begin: Callable[[], object],
    is_over: Callable[[], bool],
    clients: list[NodeClient],
    homes: list[str],
) -> None:
    """Take node a out of service while clients, handshakes and publications go on.

    Args:
        front: the balancer.
        begin: takes the node out.
        is_over: whether the node has no clients any more.
        clients: stock clients.
        homes: the node of each.
    """
    handshakes: list[int] = []
    publications: list[int] = []
    done = threading.Event()
    coming = [
        threading.Thread(target=repeat, args=(lambda: front.get(POLLING).status, handshakes, done)),
        threading.Thread(target=repeat, args=(lambda: publish(front), publications, done)),
    ]
    for thread in coming:
        thread.start()
    try:
        begin()
        for client, home in zip(clients, homes, strict=True):
            if home == "a":
                client.expect_event("server:draining")
                client.expect("disconnect")
                assert client.expect_event("connected")["clientId"].startswith("b.")
            assert client.call("ping")["received"]
            errors = [line for line in client.lines if line["kind"] == "connect_error"]
            assert errors == []
        until(is_over, "a is empty", 2 * DEADLINE_S)
        seen = len(handshakes), len(publications)
        until(lambda: len(handshakes) > seen[0] + 10 and len(publications) > seen[1] + 10, "more")
    finally:
        done.set()
        for thread in coming:
            thread.join()
    assert set(handshakes) == {200}, handshakes
    # A node that drains answers 503 with Retry-After; HAProxy asks the other one instead.
    assert set(publications) <= {202, 503}, publications
    assert 202 in publications


def repeat(ask: Callable[[], int], statuses: list[int], done: threading.Event) -> None:
    while not done.is_set():
        statuses.append(ask())
        time.sleep(0.01)  # between two requests, not for a state


def publish(front: Target) -> int:
    """Publish, and return the status. A refusal must say when to publish again."""
    body = {"room": "trading", "event": "news", "data": {}}
    token = front.token("feed", scope="publish")
    answer = front.request("POST", "/api/v1/publish", token=token, body=body)
    assert answer.status != 503 or int(answer.headers["retry-after"]) > 0, answer.text
    return answer.status


def json_events(gateway: GatewayProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in gateway.log_events() if line["event"] == event]
