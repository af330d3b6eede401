"""The official Socket.IO test suite (socketio/socket.io, docs/socket.io-protocol).

These are all 32 cases of ``v5-test-suite``. A case about closing runs a second time with a ping
every 25 s, so that no ping timeout can be mistaken for a decision of the peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from engine_cases import (
    BOTH_PINGS,
    QUICK_PINGS,
    CloseCases,
    HandshakeCases,
    HeartbeatCases,
)
from http_peers import HttpPeer, WebSocket

ATTACHMENTS = [bytes([1, 2, 3]), bytes([4, 5, 6])]
PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


@pytest.fixture
def peer(socketio_peer: HttpPeer) -> HttpPeer:
    return socketio_peer


@contextlib.asynccontextmanager
async def connected(peer: HttpPeer) -> AsyncIterator[WebSocket]:
    """Connect to the main namespace, and read the event that its connect handler emits."""
    async with peer.websocket() as socket:
        await socket.handshake()
        await socket.send("40")
        await socket.receive()
        await socket.receive()
        yield socket


async def receive_but_pings(socket: WebSocket, count: int) -> list[str | bytes]:
    packets: list[str | bytes] = []
    while len(packets) < count:
        if (packet := await socket.receive()) != "2":
            packets.append(packet)
    return packets


class TestHandshake(HandshakeCases):
    pass


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
            await socket.send("5")

    async def test_requests_with_the_same_sid_are_refused_after_the_upgrade(
        self, peer: HttpPeer
    ) -> None:
        sid = await peer.open_polling()
        async with peer.websocket(sid) as socket:
            await socket.send("2probe")
            await socket.send("5")
            assert (await peer.poll(sid)).status == 400

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


class TestConnect:
    @pytest.mark.parametrize(
        ("packet", "namespace", "auth"),
        [
            ("40", "", "{}"),
            ('40{"token":"123"}', "", '{"token":"123"}'),
            ("40/custom,", "/custom,", "{}"),
            ('40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'),
        ],
        ids=["main", "main with a payload", "custom", "custom with a payload"],
    )
    async def test_a_namespace_is_joined(
        self, peer: HttpPeer, packet: str, namespace: str, auth: str
    ) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send(packet)
            answer = await socket.receive()
            assert isinstance(answer, str)
            assert answer.startswith(f"40{namespace}")
            content = json.loads(answer[2 + len(namespace) :])
            assert content.keys() == {"sid"}
            assert isinstance(content["sid"], str)
            assert await socket.receive() == f'42{namespace}["auth",{auth}]'

    async def test_an_unknown_namespace_is_refused(self, peer: HttpPeer) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send("40/random")
            assert await socket.receive() == '44/random,{"message":"Invalid namespace"}'

    @BOTH_PINGS
    async def test_a_malformed_packet_in_the_place_of_connect_closes(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        async with peer.websocket() as socket:
            await socket.handshake()
            await socket.send("4abc")
            await socket.receive_until_closed(closing_s)

    @BOTH_PINGS
    async def test_a_client_that_never_connects_is_closed(
        self, peer: HttpPeer, closing_s: float
    ) -> None:
        async with peer.websocket() as socket:
            await socket.receive_until_closed(closing_s)


class TestDisconnect:
    @QUICK_PINGS
    async def test_leaving_the_main_namespace_keeps_the_transport(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send("41")
            assert await socket.receive() == "2"

    async def test_leaving_a_custom_namespace_keeps_the_main_one(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send("40/custom")
            await socket.receive()
            await socket.receive()
            await socket.send("41/custom")
            await socket.send('42["message","message to main namespace"]')
            assert await socket.receive() == '42["message-back","message to main namespace"]'


class TestMessage:
    async def test_an_event_is_delivered(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send('42["message",1,"2",{"3":[true]}]')
            assert await socket.receive() == '42["message-back",1,"2",{"3":[true]}]'

    async def test_an_event_with_attachments_is_delivered(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send(f'452-["message",{PLACEHOLDERS}')
            for attachment in ATTACHMENTS:
                await socket.send(attachment)
            packets = await receive_but_pings(socket, 3)
            assert packets == [f'452-["message-back",{PLACEHOLDERS}', *ATTACHMENTS]

    async def test_an_event_is_acknowledged(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send('42456["message-with-ack",1,"2",{"3":[false]}]')
            assert await socket.receive() == '43456[1,"2",{"3":[false]}]'

    async def test_an_event_with_attachments_is_acknowledged(self, peer: HttpPeer) -> None:
        async with connected(peer) as socket:
            await socket.send(f'452-789["message-with-ack",{PLACEHOLDERS}')
            for attachment in ATTACHMENTS:
                await socket.send(attachment)
            packets = await receive_but_pings(socket, 3)
            assert packets == [f"462-789[{PLACEHOLDERS}", *ATTACHMENTS]

    @BOTH_PINGS
    @pytest.mark.parametrize(
        "packet",
        ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]'],
        ids=["unknown packet type", "invalid payload", "invalid acknowledgement id"],
    )
    async def test_a_malformed_packet_closes(
        self, peer: HttpPeer, packet: str, closing_s: float
    ) -> None:
        async with connected(peer) as socket:
            await socket.send(packet)
            await socket.receive_until_closed(closing_s)
