"""The official Engine.IO test suite (socketio/socket.io, docs/engine.io-protocol).

These are all 25 cases of ``v4-test-suite``. A case about closing runs a second time with a ping
every 25 s, so that no ping timeout can be mistaken for a decision of the server.
"""

from __future__ import annotations

import asyncio

import pytest
from engine_cases import BOTH_PINGS, CloseCases, HandshakeCases, HeartbeatCases
from http_peers import HttpPeer

SEPARATOR = "\x1e"


@pytest.fixture
def peer(engine: HttpPeer) -> HttpPeer:
    return engine


class TestHandshake(HandshakeCases):
    pass


class TestMessage:
    @pytest.mark.parametrize(
        "body",
        ["4hello", SEPARATOR.join(["4test1", "4test2", "4test3"]), f"4hello{SEPARATOR}bAQIDBA=="],
        ids=["one text packet", "several text packets", "text and binary packets"],
    )
    async def test_polling_returns_what_was_sent(self, peer: HttpPeer, body: str) -> None:
        sid = await peer.open_polling()
        assert await peer.push(sid, body) == (200, "ok")
        assert await peer.poll(sid) == (200, body)

    @BOTH_PINGS
    async def test_a_polling_session_is_closed_by_a_malformed_packet(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        sid = await peer.open_polling()
        async with asyncio.timeout(closing_s):
            assert (await peer.push(sid, "abc")).status == 400
            assert (await peer.poll(sid)).status == 400

    @BOTH_PINGS
    async def test_a_polling_session_is_closed_by_two_polls_at_once(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        sid = await peer.open_polling()
        async with asyncio.timeout(closing_s), asyncio.TaskGroup() as group:
            first = group.create_task(peer.poll(sid))
            await asyncio.sleep(0.005)
            second = group.create_task(peer.poll(sid, "&t=burst"))
        assert first.result() == (200, "1")
        assert second.result().status in {400, 500}
        assert (await peer.poll(sid)).status == 400

    @BOTH_PINGS
    async def test_a_polling_session_is_closed_by_a_cancelled_poll(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        sid = await peer.open_polling()
        polling = asyncio.create_task(peer.poll(sid))
        await asyncio.sleep(0.005)
        polling.cancel()
        await asyncio.wait([polling])
        async with asyncio.timeout(closing_s):
            assert (await peer.poll(sid)).status == 400

    @pytest.mark.parametrize("packet", ["4hello", bytes([1, 2, 3, 4])], ids=["text", "binary"])
    async def test_a_websocket_returns_what_was_sent(
        self, peer: HttpPeer, packet: str | bytes
    ) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send(packet)
            assert await socket.receive() == packet

    @BOTH_PINGS
    async def test_a_websocket_session_is_closed_by_a_malformed_packet(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send("abc")
            await socket.receive_until_closed(closing_s)


class TestHeartbeat(HeartbeatCases):
    pass


class TestClose(CloseCases):
    pass


class TestUpgrade:
    async def test_polling_is_upgraded_to_a_websocket(self, peer: HttpPeer) -> None:
        sid = await peer.open_polling()
        async with peer.websocket(sid) as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            assert await peer.poll(sid) == (200, "6")
            await socket.send("5")
            await socket.send("4hello")
            assert await socket.receive() == "4hello"

    async def test_requests_with_the_same_sid_are_refused_after_the_upgrade(
        self, peer: HttpPeer
    ) -> None:
        sid = await peer.open_polling()
        async with peer.websocket(sid) as socket:
            await socket.send("2probe")
            await socket.send("5")
            assert (await peer.poll(sid)).status == 400
            await socket.send("4hello")
            assert await socket.receive() == "3probe"
            assert await socket.receive() == "4hello"

    @BOTH_PINGS
    async def test_a_websocket_with_the_same_sid_is_refused_after_the_upgrade(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        sid = await peer.open_polling()
        async with peer.websocket(sid) as socket:
            await socket.send("2probe")
            await socket.send("5")
            async with asyncio.timeout(closing_s):
                assert await peer.refuses_websocket(f"EIO=4&transport=websocket&sid={sid}")
            await socket.send("4hello")
            assert await socket.receive() == "3probe"
            assert await socket.receive() == "4hello"
