"""Fixtures of gateways with several processes on one port."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from blackbox.node import NodeClient
from blackbox.process import ROOT, GatewayProcess

PROCESSES = 3
# Each process of these tests has a memory broker: what they try is the port that they share.
COMMAND = (sys.executable, str(ROOT / "tests" / "support" / "several_processes.py"))
UNLIMITED = {
    f"GATEWAY_{name}": "1000000" for name in ("RATE_LIMIT", "USER_RATE_LIMIT", "PING_LIMIT")
}


class SharedPortGateway(GatewayProcess):
    """A supervisor and its nodes."""

    def __init__(
        self, log: Path, count: int, *, command: tuple[str, ...] = COMMAND, **settings: Any
    ) -> None:
        self.count = count
        given = {k: None if v is None else str(v) for k, v in settings.items()}
        own = {**UNLIMITED, "GATEWAY_NODE": "n"}
        super().__init__(log, own | given, (*command, "--processes", str(count)))

    def nodes(self) -> dict[str, psutil.Process]:
        """Return the processes of the nodes by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                arguments = child.cmdline()
            except psutil.NoSuchProcess:  # it has just ended; a zombie is one too
                continue
            if "--node" in arguments:
                found[f"n-{arguments[arguments.index('--node') + 1]}"] = child
        return found


StartShared = Callable[..., SharedPortGateway]


@pytest.fixture
def start_shared(processes: list[GatewayProcess], tmp_path: Path) -> StartShared:
    """Start a gateway of several processes with settings of the test's own."""

    def start(count: int = PROCESSES, **settings: Any) -> SharedPortGateway:
        started = SharedPortGateway(tmp_path / f"shared-{len(processes)}.log", count, **settings)
        processes.append(started)
        return started

    return start


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPortGateway]:
    """Three processes that the tests of a module share and do not stop."""
    process = SharedPortGateway(tmp_path_factory.mktemp("shared") / "gateway.log", PROCESSES)
    try:
        yield process
        assert process.stop() == 0, process.log.read_text()
    finally:
        process.kill()


@pytest.fixture
def start_client() -> Iterator[Callable[..., NodeClient]]:
    """Start a stock client and let it connect; it is stopped after the test."""
    started: list[NodeClient] = []

    def start(url: str, **options: Any) -> NodeClient:
        client = NodeClient(ROOT / "tests" / "interop" / "client.mjs")
        started.append(client)
        client.do("connect", url=url, options=options)
        return client

    yield start
    for client in started:
        client.end()
