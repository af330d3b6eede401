"""The real ``socket.io-client`` 4.8 against ``gateway.transport.AsyncServer`` alone.

The server is in this process and the client in another. Calls that block on the client run in a
thread, so that the server keeps running.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blackbox.node import NodeClient
from deadlines import DEADLINE_S
from serving import OURS, Address, echo_namespaces, serve

from loadtests.endpoints import unused_port

pytestmark = pytest.mark.real_part("node")

SCRIPT = Path(__file__).resolve().parent / "echo-client.mjs"
MODES: dict[str, dict[str, Any]] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"], "upgrade": False},
    "polling upgraded": {"transports": ["polling", "websocket"]},
}
PINGS = {"ping_interval": 0.3, "ping_timeout": DEADLINE_S}


class EchoClient:
    """A stock client in a process of its own, awaited without blocking the server."""

    def __init__(self) -> None:
        self.node = NodeClient(SCRIPT)
        self.sid = ""

    async def connect(self, url: str, mode: dict[str, Any], **options: Any) -> None:
        """Connect, and upgrade if the mode says so."""
        self.node.do("connect", url=url, options=mode | options)
        opened = await self.expect("connect")
        self.sid = opened["id"]
        if len(mode["transports"]) > 1:
            assert (await self.expect("upgrade"))["transport"] == "websocket"
        else:
            assert opened["transport"] == mode["transports"][0]
        await self.expect("event", event="auth")

    async def expect(self, kind: str, **fields: object) -> dict[str, Any]:
        """Return the first line of that kind with those fields."""
        return await asyncio.to_thread(self.node.expect, kind, **fields)  # type: ignore[arg-type]  # fields are no timeout

    async def call(self, event: str, *arguments: object) -> Any:
        """Emit an event and return its acknowledgement."""
        return await asyncio.to_thread(self.node.call, event, *arguments)

    async def end(self) -> None:
        """Close the client and wait for its process to exit."""
        await asyncio.to_thread(self.node.end)


def packed(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode()}


@pytest.fixture(params=list(MODES.values()), ids=list(MODES))
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    options: dict[str, Any] = request.param
    return options


@pytest.fixture
async def client() -> AsyncIterator[EchoClient]:
    started = EchoClient()
    try:
        yield started
    finally:
        await started.end()


@pytest.fixture
async def server() -> Any:
    return echo_namespaces(OURS, cors_allowed_origins="*", **PINGS)


@pytest.fixture
async def address(server: Any, client: EchoClient) -> AsyncIterator[Address]:
    async with serve(server) as listening:
        yield listening


def origin_of(address: Address) -> str:
    return f"http://{address.host}:{address.port}"


@pytest.fixture
async def connected(address: Address, client: EchoClient, mode: dict[str, Any]) -> EchoClient:
    await client.connect(origin_of(address), mode)
    return client


async def test_an_event_is_acknowledged_with_all_its_arguments(connected: EchoClient) -> None:
    assert await connected.call("message-with-ack", 1, "2", {"3": [False]}) == [
        1,
        "2",
        {"3": [False]},
    ]


async def test_the_server_is_answered_by_the_client(server: Any, connected: EchoClient) -> None:
    assert await server.call("question", {"n": 7}, to=connected.sid, timeout=DEADLINE_S) == {"n": 7}


async def test_bytes_are_echoed_unchanged(connected: EchoClient) -> None:
    sent = [packed(bytes(range(256))), "between", packed(b"")]
    connected.node.do("emit", event="message", args=sent)
    assert (await connected.expect("event", event="message-back"))["args"] == sent


async def test_bytes_are_acknowledged(connected: EchoClient) -> None:
    sent = packed(bytes(range(256)) * 200)
    assert await connected.call("message-with-ack", sent) == [sent]


async def test_a_custom_namespace_is_joined(
    address: Address, client: EchoClient, mode: dict[str, Any]
) -> None:
    await client.connect(f"{origin_of(address)}/custom", mode, auth={"token": "abc"})
    assert await client.call("message-with-ack", "here") == ["here"]


async def test_events_that_are_sent_during_the_upgrade_arrive_once_and_in_order(
    address: Address, client: EchoClient
) -> None:
    mode = MODES["polling upgraded"]
    client.node.do("connect", url=origin_of(address), options=mode)
    await client.expect("connect")
    client.node.do("count", event="message", to=200)
    await client.expect("upgrade")
    client.node.do("count", event="message", to=100)
    got = [(await client.expect("event", event="message-back"))["args"][0] for _ in range(300)]
    assert got == [*range(1, 201), *range(1, 101)]


async def test_a_client_is_kept_over_many_pings(connected: EchoClient) -> None:
    await asyncio.sleep(5 * PINGS["ping_interval"])  # the test expects that nothing happens
    assert await connected.call("message-with-ack", "still here") == ["still here"]
    assert not [line for line in connected.node.lines if line["kind"] == "disconnect"]


async def test_a_client_returns_by_itself_when_its_transport_is_closed(
    server: Any, connected: EchoClient
) -> None:
    eio_sid = server.manager.eio_sid_from_sid(connected.sid, "/")
    await server.eio.disconnect(eio_sid)
    gone = await connected.expect("disconnect")
    assert gone["active"] is True, f"the stock client does not come back after {gone['reason']!r}"
    await connected.expect("reconnect")
    assert (await connected.expect("connect"))["id"] != connected.sid
    assert await connected.call("message-with-ack", "back") == ["back"]


async def test_a_client_that_is_kicked_stays_away(server: Any, connected: EchoClient) -> None:
    await server.disconnect(connected.sid)
    gone = await connected.expect("disconnect")
    assert gone == {"kind": "disconnect", "reason": "io server disconnect", "active": False}


async def test_a_client_returns_after_a_restart(client: EchoClient, mode: dict[str, Any]) -> None:
    port = unused_port()
    async with serve(echo_namespaces(OURS, **PINGS), port=port) as first:
        await client.connect(origin_of(first), mode)
    await client.expect("disconnect")
    async with serve(echo_namespaces(OURS, **PINGS), port=port):
        await client.expect("reconnect")
        assert await client.call("message-with-ack", "back") == ["back"]
        await client.end()
