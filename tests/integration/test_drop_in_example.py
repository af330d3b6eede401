"""The documented example, run as a user runs it, with a stock client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import socketio
from deadlines import DEADLINE_S

from loadtests.endpoints import unused_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "drop_in.py"


@pytest.fixture
def example() -> Iterator[str]:
    """Start the example and yield its URL."""
    port = unused_port()
    process = subprocess.Popen([sys.executable, str(EXAMPLE), str(port)], stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


@pytest.mark.parametrize(
    "transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join
)
async def test_a_stock_client_talks_to_the_example(example: str, transports: list[str]) -> None:
    client = socketio.AsyncClient()
    heard: asyncio.Queue[object] = asyncio.Queue()
    client.on("message", heard.put)
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await client.connect(example, transports=transports)
                break
            except socketio.exceptions.ConnectionError:
                await asyncio.sleep(0.05)
        assert await client.call("message", {"n": 1}) == {"n": 1}
        assert await heard.get() == {"n": 1}
        assert client.transport() == transports[-1]
        await client.disconnect()
