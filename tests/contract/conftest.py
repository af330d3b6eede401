"""Fixtures of the contract suite, which runs twice: without Redis, and with the log in Redis.

It has its own views of the shared gateway.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.shared import gateways_by_settings, one_gateway
from blackbox.target import Target

StartGateway = Callable[..., GatewayProcess]

BROKERS = ["memory", pytest.param("redis", marks=pytest.mark.real_part("redis-server"))]


class SilentClient(threading.Thread):
    """A socket that answers pings and never sends CONNECT; ``lived_s`` once it was closed."""

    def __init__(self, gateway: Target) -> None:
        super().__init__(name="silent client", daemon=True)
        self.client = RawClient(gateway)
        self.opened_s = time.monotonic()
        self.lived_s: float | None = None

    def run(self) -> None:
        with contextlib.suppress(TimeoutError):
            self.client.wait_until_closed(600)
            self.lived_s = time.monotonic() - self.opened_s


@pytest.fixture(
    scope="session", params=BROKERS if "TIDEGATE_CONTRACT_URL" not in os.environ else ["given"]
)
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give every gateway of the suite this broker: its own memory, or a log in a real Redis."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GatewayProcess, "is_on_redis", request.param == "redis")
        yield request.param


@pytest.fixture(scope="session")
def gateway(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The suite's shared gateway, one for each broker."""
    with one_gateway(tmp_path_factory) as target:
        yield target


@pytest.fixture(scope="module")
def shared_gateway(
    broker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., GatewayProcess]]:
    """The gateways of a module by settings and broker."""
    with gateways_by_settings(tmp_path_factory) as give:
        yield give


@pytest.fixture
def start_gateway(broker: str, start_gateway: StartGateway) -> StartGateway:
    """Start a gateway with settings of the test's own, and with this broker."""
    return start_gateway


@pytest.fixture(autouse=True)
def begin_early(request: pytest.FixtureRequest) -> None:
    """Open the silent client of a shared gateway before the first test that uses this gateway."""
    if "gateway" in request.fixturenames:
        request.getfixturevalue("silent_client_lived_s")


@pytest.fixture(scope="session")
def silent_client_lived_s(gateway: Target) -> Iterator[Callable[[float], float | None]]:
    """Return a function that waits for the close of a silent client and returns its lifetime.

    The client is opened before the first test, so that other tests run during its deadline.
    """
    silent = SilentClient(gateway)
    silent.start()

    def ask(within_s: float) -> float | None:
        silent.join(max(0, silent.opened_s + within_s - time.monotonic()))
        return silent.lived_s if silent.lived_s is None or silent.lived_s <= within_s else None

    yield ask
    # Closing alone would leave the reader in its recv.
    with contextlib.suppress(OSError):
        silent.client.socket.shutdown(socket.SHUT_RDWR)
    silent.join()
    silent.client.close()


@pytest.fixture
def stats() -> Callable[[Target], list[dict[str, Any]]]:
    """Return every connected client according to the gateway."""

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
