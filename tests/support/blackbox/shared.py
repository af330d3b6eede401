"""Gateways that tests share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest

from blackbox.process import GatewayProcess
from blackbox.target import Target


@contextlib.contextmanager
def one_gateway(folders: pytest.TempPathFactory) -> Iterator[Target]:
    """Start one gateway in production mode, unless we are aimed at another."""
    url = os.environ.get("TIDEGATE_CONTRACT_URL")
    if url:
        yield Target(url, os.environ["TIDEGATE_CONTRACT_SECRET"])
        return
    process = GatewayProcess(folders.mktemp("gateway") / "gateway.log", {})
    try:
        yield process
        assert process.stop() == 0, process.log.read_text()
    finally:
        process.kill()


@contextlib.contextmanager
def gateways_by_settings(
    folders: pytest.TempPathFactory,
) -> Iterator[Callable[..., GatewayProcess]]:
    """Give the gateway with those settings, started once for all who ask for them."""
    if os.environ.get("TIDEGATE_CONTRACT_URL"):
        pytest.skip("needs a gateway with settings of its own")
    started: dict[tuple[tuple[str, str], ...], GatewayProcess] = {}

    def give(**settings: object) -> GatewayProcess:
        given = {name: str(value) for name, value in settings.items()}
        key = tuple(sorted(given.items()))
        if key not in started:
            started[key] = GatewayProcess(folders.mktemp("shared") / "gateway.log", given)
        return started[key]

    try:
        yield give
        for process in started.values():
            assert process.stop() == 0, process.log.read_text()
    finally:
        for process in started.values():
            process.kill()
