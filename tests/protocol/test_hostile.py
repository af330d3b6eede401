"""A hostile client that is too slow or too fast is closed in time, and leaves nothing behind.

After each test, the tables are empty and the log has neither the query's token nor a traceback.
Settings shorten the times. Each deadline is the time that the settings promise, plus
``PROMPT_S`` for the close itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from deadlines import PROMPT_S, poll_until
from hostility import PATIENT, QUERY, QUICK, assert_served, bystander, served, tables_are_empty
from http_peers import HttpPeer
from peers import PING, RawPeer, mask_frame, push_head
from serving import Transport

pytestmark = pytest.mark.usefixtures("log_is_clean")

NARROW = 4_096  # bytes that the kernel takes for a peer that does not read
BLOCK = "x" * 16_384
FLOOD = 10_000


async def answer_pings(peer: RawPeer) -> None:
    """Send pongs at the pace of the pings, without reading any ping."""
    while True:
        peer.writer.write(mask_frame(b"3"))
        await asyncio.sleep(QUICK["ping_interval"] / 3)


async def emit_until_closed(server: Any, blocks: int) -> None:
    """Broadcast at most ``blocks`` blocks to a client that should be closed for it."""
    for _ in range(blocks):
        await server.emit("block", BLOCK)
        await asyncio.sleep(0)
        if tables_are_empty(server):
            return


class TestSlowReaders:
    @pytest.mark.parametrize("pongs", [True, False], ids=["answers pings", "answers no pings"])
    async def test_a_client_that_never_reads_is_closed_when_too_much_is_queued(
        self, transport: Transport, pongs: bool
    ) -> None:
        pings = {"ping_interval": 0.3 if pongs else 25.0, "ping_timeout": 20.0}
        limits = {"max_send_bytes": 131_072, "max_send_age": 60.0}
        async with (
            served(transport, **pings, **limits) as (server, address),
            RawPeer.websocket(address, QUERY, receive_buffer=NARROW) as peer,
        ):
            await peer.connect()
            ponging = asyncio.create_task(answer_pings(peer)) if pongs else None
            await emit_until_closed(server, blocks=1_000)
            await poll_until(lambda: tables_are_empty(server), "closed", PROMPT_S)
            if ponging:
                ponging.cancel()

    async def test_a_client_that_never_reads_is_closed_when_queued_bytes_are_old(
        self, transport: Transport
    ) -> None:
        pings = {"ping_interval": 0.3, "ping_timeout": 20.0}
        limits = {"max_send_bytes": 64_000_000, "max_send_age": 0.5}
        async with (
            served(transport, **pings, **limits) as (server, address),
            RawPeer.websocket(address, QUERY, receive_buffer=NARROW) as peer,
        ):
            await peer.connect()
            ponging = asyncio.create_task(answer_pings(peer))
            await emit_until_closed(server, blocks=200)
            await poll_until(lambda: tables_are_empty(server), "closed", 0.5 + PROMPT_S)
            ponging.cancel()

    async def test_a_client_that_reads_1_kb_a_second_is_closed_when_queued_bytes_are_old(
        self, transport: Transport
    ) -> None:
        limits = {"max_send_bytes": 64_000_000, "max_send_age": 0.5}
        async with (
            served(transport, **PATIENT, **limits) as (server, address),
            RawPeer.websocket(address, QUERY, receive_buffer=NARROW) as peer,
        ):
            await peer.connect()
            reading = asyncio.create_task(self._read_1_kb_a_second(peer))
            await emit_until_closed(server, blocks=200)
            await poll_until(lambda: tables_are_empty(server), "closed", 0.5 + PROMPT_S)
            reading.cancel()

    @staticmethod
    async def _read_1_kb_a_second(peer: RawPeer) -> None:
        with contextlib.suppress(ConnectionError, EOFError):
            while True:
                await peer.reader.readexactly(100)
                await asyncio.sleep(0.1)

    async def test_a_reading_client_loses_nothing_beside_one_that_never_reads(
        self, transport: Transport
    ) -> None:
        limits = {"max_send_bytes": 131_072, "max_send_age": 60.0}
        async with (
            served(transport, **PATIENT, **limits) as (server, address),
            RawPeer.websocket(address, QUERY) as reader,
            RawPeer.websocket(address, QUERY, receive_buffer=NARROW) as stuck,
        ):
            await stuck.connect()
            await reader.connect()
            assert await reader.read_message() == '42["auth",{}]'
            for number in range(300):
                await server.emit("block", (number, BLOCK))
                packet = await reader.read_message()
                assert packet.startswith(f'42["block",{number},'), packet[:40]


class TestSilence:
    async def test_a_client_that_sends_no_pongs_is_closed_at_the_ping_deadline(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **QUICK) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            await peer.closed_within(0.3 + 0.2 + PROMPT_S)

    async def test_a_client_that_stops_polling_is_closed_at_the_ping_deadline(
        self, transport: Transport
    ) -> None:
        async with served(transport, **QUICK) as (server, address), HttpPeer.to(address) as peer:
            await peer.open_polling()
            await poll_until(lambda: tables_are_empty(server), "gone", 0.3 + 0.2 + PROMPT_S)

    async def test_a_client_that_sends_a_body_slowly_is_closed_at_the_body_deadline(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT, body_timeout=0.5) as (server, address),
            HttpPeer.to(address) as peer,
            RawPeer.dial(address) as raw,
        ):
            sid = await peer.open_polling()
            await raw.send(push_head(address, sid, "Content-Length: 1000"))
            dribbling = asyncio.create_task(self._dribble(raw))
            await raw.read_until_eof(0.5 + PROMPT_S)
            dribbling.cancel()
            await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)

    async def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing_behind(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT) as (server, address),
            HttpPeer.to(address) as peer,
        ):
            sid = await peer.open_polling()
            async with RawPeer.dial(address) as raw:
                await raw.send(push_head(address, sid, "Content-Length: 1000") + b"4half")
            await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)

    @staticmethod
    async def _dribble(peer: RawPeer) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(b"4")
                await asyncio.sleep(0.05)

    async def test_a_client_that_closes_its_sending_half_is_closed_at_once(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT) as (server, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            peer.writer.write_eof()
            await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)

    async def test_500_clients_that_never_connect_are_closed_at_the_connect_deadline(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT, connect_timeout=0.5) as (server, address),
            contextlib.AsyncExitStack() as stack,
        ):
            peers = [
                await stack.enter_async_context(RawPeer.websocket(address, QUERY))
                for _ in range(500)
            ]
            last = peers[-1]
            await last.closed_within(0.5 + PROMPT_S)
            await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)


class TestFloods:
    @pytest.mark.parametrize(
        "frame",
        [mask_frame(b"3"), mask_frame(b"", PING), mask_frame(b'42["message"')],
        ids=["pongs", "websocket pings", "malformed packets"],
    )
    async def test_others_are_served_during_a_flood_of_10_000_frames(
        self, transport: Transport, frame: bytes
    ) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            bystander(address) as other,
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            flooding = asyncio.create_task(self._flood(peer, frame))
            await assert_served(other, '["during"]')
            async with asyncio.timeout(5 * PROMPT_S):
                await flooding

    @staticmethod
    async def _flood(peer: RawPeer, frame: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(FLOOD // 100):
                await peer.send(frame * 100)
                await asyncio.sleep(0)

    async def test_the_first_malformed_packet_ends_a_flood_of_them(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            await self._flood(peer, mask_frame(b'42["message"'))
            await peer.closed_within(PROMPT_S)
