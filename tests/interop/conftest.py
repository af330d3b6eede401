"""Fixtures that drive the stock Node client."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blackbox.node import NodeClient
from blackbox.process import GatewayProcess
from deadlines import RUN_S

HERE = Path(__file__).resolve().parent
Line = dict[str, Any]


@pytest.fixture
def start_client(processes: list[GatewayProcess]) -> Iterator[Callable[..., NodeClient]]:
    """Start a stock client and let it connect; it is stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(url: str, **options: Any) -> NodeClient:
            client = NodeClient(HERE / "client.mjs")
            stack.callback(client.end)
            client.do("connect", url=url, options=options)
            return client

        yield start


@pytest.fixture(scope="session")
def run_seed_client() -> Callable[..., list[Line]]:
    """Run the client script of the predecessor system, and return the steps that it printed."""

    def run(url: str, token: str | None = None) -> list[Line]:
        environ = os.environ | {"GATEWAY_URL": url, "TOKEN": token or ""}
        finished = subprocess.run(
            ["node", str(HERE / "seed-client.mjs")],
            env=environ,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return [json.loads(line) for line in finished.stdout.splitlines()]

    return run
