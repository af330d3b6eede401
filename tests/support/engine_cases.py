"""Cases of both official suites: handshake, heartbeat and close of Engine.IO v4.

Each suite runs them against its own server, the fixture ``peer``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from deadlines import PROMPT_S
from http_peers import HttpPeer

OPENING_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
BOTH_PINGS: Callable[..., Any] = pytest.mark.parametrize(
    "ping_interval_ms", [300, 25_000], indirect=True, ids=["ping-300ms", "ping-25s"]
)
"""A case about closing runs with the suite's fast pings, and with a ping every 25 s. In the second
run, no ping timeout can be mistaken for a decision of the server."""
QUICK_PINGS: Callable[..., Any] = pytest.mark.parametrize(
    "ping_interval_ms", [300], indirect=True, ids=["ping-300ms"]
)
"""A case about pings. All others have a ping every 25 s, which comes in no slow test's way."""


def assert_opens(content: dict[str, Any], upgrades: list[str]) -> None:
    assert content.keys() == OPENING_KEYS
    assert isinstance(content["sid"], str)
    assert content["upgrades"] == upgrades
    assert content["pingInterval"] == 300
    assert content["pingTimeout"] == 200
    assert content["maxPayload"] == 1_000_000


class HandshakeCases:
    """Opening a session, and the requests that are refused."""

    @QUICK_PINGS
    async def test_polling_opens_a_session(self, peer: HttpPeer) -> None:
        opened = await peer.request("GET", "EIO=4&transport=polling")
        assert opened.status == 200
        assert opened.text[0] == "0"
        assert_opens(json.loads(opened.text[1:]), ["websocket"])

    async def test_polling_without_a_known_protocol_version_is_refused(
        self, peer: HttpPeer
    ) -> None:
        assert (await peer.request("GET", "transport=polling")).status == 400
        assert (await peer.request("GET", "EIO=abc&transport=polling")).status == 400

    async def test_polling_without_a_known_transport_is_refused(self, peer: HttpPeer) -> None:
        assert (await peer.request("GET", "EIO=4")).status == 400
        assert (await peer.request("GET", "EIO=4&transport=abc")).status == 400

    async def test_polling_opens_with_no_other_method_than_get(self, peer: HttpPeer) -> None:
        assert (await peer.request("POST", "EIO=4&transport=polling")).status == 400
        assert (await peer.request("PUT", "EIO=4&transport=polling")).status == 400

    @QUICK_PINGS
    async def test_a_websocket_opens_a_session(self, peer: HttpPeer) -> None:
        async with peer.websocket() as socket:
            assert_opens(await socket.handshake(), [])

    async def test_a_websocket_without_a_known_protocol_version_is_refused(
        self, peer: HttpPeer
    ) -> None:
        assert await peer.refuses_websocket("transport=websocket")
        assert await peer.refuses_websocket("EIO=abc&transport=websocket")

    async def test_a_websocket_without_a_known_transport_is_refused(self, peer: HttpPeer) -> None:
        assert await peer.refuses_websocket("EIO=4")
        assert await peer.refuses_websocket("EIO=4&transport=abc")


@QUICK_PINGS
class HeartbeatCases:
    """Pings from the server, pongs from the client."""

    async def test_polling_brings_pings_and_takes_pongs(self, peer: HttpPeer) -> None:
        sid = await peer.open_polling()
        for _ in range(3):
            assert await peer.poll(sid) == (200, "2")
            assert (await peer.push(sid, "3")).status == 200

    async def test_a_polling_session_without_pongs_is_closed(self, peer: HttpPeer) -> None:
        sid = await peer.open_polling()
        await asyncio.sleep(0.3 + 0.2)  # the case is about exactly this time
        assert (await peer.poll(sid)).status == 400

    async def test_a_websocket_brings_pings_and_takes_pongs(self, peer: HttpPeer) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            for _ in range(3):
                assert await socket.receive() == "2"
                await socket.send("3")

    async def test_a_websocket_session_without_pongs_is_closed(self, peer: HttpPeer) -> None:
        async with peer.websocket() as socket:
            await socket.receive_until_closed(2 * PROMPT_S)


class CloseCases:
    """A client that announces its end."""

    @BOTH_PINGS
    async def test_a_polling_session_ends_when_its_client_says_so(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        sid = await peer.open_polling()
        async with asyncio.timeout(closing_s), asyncio.TaskGroup() as group:
            polling = group.create_task(peer.poll(sid))
            group.create_task(peer.push(sid, "1"))
        assert polling.result() == (200, "6")
        assert (await peer.poll(sid)).status == 400

    @BOTH_PINGS
    async def test_a_websocket_session_ends_when_its_client_says_so(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send("1")
            await socket.receive_until_closed(closing_s)
