"""What only the contract suite needs: its own views of the shared gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Target


@pytest.fixture(scope="session")
def silent_since(gateway: Target) -> Iterator[tuple[RawClient, float]]:
    """A socket that never sends CONNECT, opened before the first test, and when that was."""
    client = RawClient(gateway)
    yield client, time.monotonic()
    client.close()


@pytest.fixture(scope="session", autouse=True)
def _open_it_early(silent_since: tuple[RawClient, float]) -> None:
    """Let the ten seconds of the CONNECT deadline pass while other tests run."""


@pytest.fixture
def stats() -> Callable[[Target], list[dict[str, Any]]]:
    """Return every client that a gateway says is connected."""

    def read(target: Target) -> list[dict[str, Any]]:
        token = target.token("operator", scope="stats")
        clients: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = target.get(f"/health/websocket/stats?limit=500{cursor}", token=token)
            assert page.status == 200, page.text
            clients.extend(page.json["clients"])
            if not page.json.get("next"):
                return clients
            cursor = f"&cursor={page.json['next']}"

    return read
