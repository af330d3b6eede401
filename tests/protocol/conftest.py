"""Fixtures of the protocol suites: a server in this process, of our classes or the stock ones.

``pytest tests/protocol --transport stock`` runs the suites against python-socketio itself, and
``--transport door`` against our server behind its front door.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import uvloop
from deadlines import PROMPT_S
from hostility import TOKEN
from http_peers import HttpPeer
from serving import (
    ENGINEIO_PATH,
    SOCKETIO_PATH,
    Transport,
    echo_engine,
    echo_namespaces,
    serve,
)

pytest.register_assert_rewrite("engine_cases")

PING_TIMEOUT_MS = 200
PATIENT_PING_MS = 25_000
MAX_PAYLOAD = 1_000_000
CONNECT_TIMEOUT_S = 0.5


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--transport",
        choices=["ours", "stock", "door"],
        default="ours",
        help="server under the suites",
    )


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test on asyncio's loop, and on the loops that its marker names."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def transport(request: pytest.FixtureRequest) -> Transport:
    """Return the classes under test: ours, unless the option names others."""
    return Transport(request.config.getoption("--transport", default="ours"))


@pytest.fixture
def ping_interval_ms(request: pytest.FixtureRequest) -> int:
    """Return the time between pings: the test's own, or so long that none comes."""
    interval_ms: int = getattr(request, "param", PATIENT_PING_MS)
    return interval_ms


@pytest.fixture
def closing_s(ping_interval_ms: int) -> float:
    """Return how long a close may take. With slow pings, only the server's decision closes."""
    return PROMPT_S if ping_interval_ms == PATIENT_PING_MS else 2 * PROMPT_S


@pytest.fixture
def settings(ping_interval_ms: int) -> dict[str, Any]:
    """Return the settings of the official suites' servers, with their pings if a test asks."""
    patient = ping_interval_ms == PATIENT_PING_MS
    return {
        "ping_interval": ping_interval_ms / 1_000,
        "ping_timeout": 20.0 if patient else PING_TIMEOUT_MS / 1_000,
        "max_http_buffer_size": MAX_PAYLOAD,
        "cors_allowed_origins": "*",
        # With fast pings, a silent client is dropped, as in the official suites.
        "connect_timeout": CONNECT_TIMEOUT_S if patient else 45.0,
    }


@pytest.fixture
async def engine(transport: Transport, settings: dict[str, Any]) -> AsyncIterator[HttpPeer]:
    """Yield a peer of an Engine.IO server that echoes."""
    del settings["connect_timeout"]  # a setting of the Socket.IO server
    async with (
        serve(
            echo_engine(transport, **settings), ENGINEIO_PATH, has_door=transport.has_door
        ) as address,
        HttpPeer.to(address) as peer,
    ):
        yield peer


@pytest.fixture
async def socketio_peer(transport: Transport, settings: dict[str, Any]) -> AsyncIterator[HttpPeer]:
    """Yield a peer of a Socket.IO server that echoes in ``/`` and ``/custom``."""
    async with (
        serve(
            echo_namespaces(transport, **settings), SOCKETIO_PATH, has_door=transport.has_door
        ) as address,
        HttpPeer.to(address) as peer,
    ):
        yield peer


@pytest.fixture
def log_is_clean(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that leaves a token or a traceback in the log."""
    caplog.set_level(logging.INFO)
    yield
    for record in caplog.get_records("call"):
        assert TOKEN not in record.getMessage()
        assert record.exc_info is None, record.getMessage()
        assert "Traceback" not in record.getMessage()
