"""``tidegate serve --processes N`` with a real Redis: one log behind one port."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blackbox.node import NodeClient
from redis_server import RedisServer

from tests.nodes.conftest import SharedPortGateway

SERVE = (sys.executable, "-m", "tidegate", "serve")
PUBLICATIONS = 60


@pytest.fixture
def on_redis(tmp_path: Path) -> Iterator[SharedPortGateway]:
    redis = RedisServer(tmp_path)
    try:
        gateway = SharedPortGateway(tmp_path / "log", 3, command=SERVE, REDIS_URL=redis.url)
        try:
            yield gateway
            assert gateway.stop() == 0, gateway.log.read_text()
        finally:
            gateway.kill()
    finally:
        redis.stop()


@pytest.mark.real_part("redis-server")
@pytest.mark.real_part("node")
def test_polling_clients_of_all_processes_get_every_publication_once_and_in_order(
    on_redis: SharedPortGateway, start_client: Callable[..., NodeClient]
) -> None:
    clients: dict[str, NodeClient] = {}
    while len(clients) < on_redis.count:  # the kernel chooses the process
        client = start_client(
            on_redis.url, auth={"token": on_redis.token()}, transports=["polling"], upgrade=False
        )
        node = client.expect_event("connected")["clientId"].partition(".")[0]
        clients.setdefault(node, client)
        client.call("subscribe", {"channel": "trading"})
    numbers = [
        on_redis.publish({"room": "trading", "event": "news", "data": {"n": n}})[0]["seq"]
        for n in range(PUBLICATIONS)
    ]
    assert numbers == list(range(numbers[0], numbers[0] + PUBLICATIONS))
    for node, client in clients.items():
        events: list[Any] = [client.expect_event("news") for _ in range(PUBLICATIONS)]
        assert [(event["n"], event["seq"]) for event in events] == list(enumerate(numbers, 0)), node
        assert not [line for line in client.lines if line.get("event") == "news"], "once"
        assert not [line for line in client.lines if line["kind"] == "disconnect"]
