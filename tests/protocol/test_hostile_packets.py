"""A hostile client that sends bad packets is closed, and leaves nothing behind.

After each test, the tables are empty and the log has neither the query's token nor a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from deadlines import POLL_S, PROMPT_S, poll_until
from hostility import PATIENT, QUERY, QUICK, TOKEN, bystander, served, tables_are_empty
from http_peers import HttpPeer
from peers import RawPeer, mask_frame, upgrade_head
from serving import Address, Transport

pytestmark = pytest.mark.usefixtures("log_is_clean")


def polling_head(address: Address) -> bytes:
    query = f"EIO=4&transport=polling&token={TOKEN}"
    return f"GET {address.path}?{query} HTTP/1.1\r\nHost: {address.host}\r\n\r\n".encode()


class TestMalformedMessages:
    @pytest.mark.parametrize(
        "packets",
        [
            ['451-["message",{"_placeholder":true,"num":0}]', '42["message",1]'],
            [b"nobody announced this"],
            ['42["message",' + "[" * 100_000],
            ['42["message",' + "[" * 100_000 + "]" * 100_000 + "]"],
            ['42["message",' + '{"a":' * 100_000],
            ['42["message",' + "9" * 900_000 + "]"],
            ['42["message","' + "x" * 1_100_000 + '"]'],
        ],
        ids=[
            "attachments announced and never sent",
            "attachments sent and never announced",
            "100,000 brackets opened",
            "100,000 brackets opened and closed",
            "100,000 objects opened",
            "a number of 900,000 digits",
            "more than the largest payload",
        ],
    )
    async def test_the_message_closes_the_connection(
        self, transport: Transport, packets: list[str | bytes]
    ) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            bystander(address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            with contextlib.suppress(ConnectionError):  # closed while it was being sent
                await peer.send_packets(*packets)
            assert b"message-back" not in await peer.closed_within(PROMPT_S)

    @pytest.mark.parametrize("packet", ["40" + "[" * 100_000, "40" + '{"a":' * 100_000])
    async def test_a_deeply_nested_handshake_closes_the_connection(
        self, transport: Transport, packet: str
    ) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.open_session()
            await peer.send_packets(packet)
            await peer.closed_within(PROMPT_S)

    async def test_pending_attachments_are_freed_with_the_client(
        self, transport: Transport
    ) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            await peer.send_packets('452-["message",{"_placeholder":true,"num":0}]', b"one")

    async def test_a_large_message_within_the_bounds_is_answered(
        self, transport: Transport
    ) -> None:
        numbers = ",".join(["123456789"] * 90_000)
        async with (
            served(transport, **PATIENT) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            assert await peer.read_message() == '42["auth",{}]'
            await peer.send_packets(f'42["message",[{numbers}]]')
            assert await peer.read_message() == f'42["message-back",[{numbers}]]'

    async def test_1_000_packets_after_a_close_are_ignored(self, transport: Transport) -> None:
        async with (
            served(transport, **PATIENT) as (_, address),
            RawPeer.websocket(address, QUERY) as peer,
        ):
            await peer.connect()
            with contextlib.suppress(ConnectionError):
                await peer.send_packets("1", *['42["message",1]'] * 1_000)
            assert b"message-back" not in await peer.closed_within(PROMPT_S)


class TestUpgradeRaces:
    async def test_two_upgrades_of_one_session_leave_one_transport(
        self, transport: Transport
    ) -> None:
        async with served(transport, **PATIENT) as (server, address), HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            query = f"{QUERY}&sid={sid}"
            async with RawPeer.dial(address) as first, RawPeer.dial(address) as second:
                for raw in (first, second):
                    await raw.send(upgrade_head(address, query) + mask_frame(b"2probe"))
                for raw in (first, second):
                    with contextlib.suppress(ConnectionError):
                        await raw.send(mask_frame(b"5") + mask_frame(b"40"))
                heard = [await raw.read_until(b"40{", PROMPT_S) for raw in (first, second)]
                assert sum(b"40{" in each for each in heard) == 1, heard
                assert len(server.eio.sockets) == 1

    async def test_a_push_during_the_upgrade_is_kept(self, transport: Transport) -> None:
        async with served(transport, **PATIENT) as (_, address), HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            async with RawPeer.websocket(address, f"{QUERY}&sid={sid}") as raw:
                await raw.send_packets("2probe")
                assert await raw.read_packet() == "3probe"
                assert (await peer.push(sid, "40")).status == 200
                await raw.send_packets("5")
                assert (await raw.read_message()).startswith("40{")
                assert (await peer.push(sid, "41")).status == 400

    async def test_an_abandoned_upgrade_keeps_the_polling_session(
        self, transport: Transport
    ) -> None:
        async with served(transport, **PATIENT) as (server, address), HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            async with RawPeer.websocket(address, f"{QUERY}&sid={sid}") as raw:
                await raw.send_packets("2probe")
                assert await raw.read_packet() == "3probe"
            assert len(server.eio.sockets) == 1
            assert (await peer.push(sid, "40")).status == 200
            assert "40{" in (await peer.poll(sid)).text
            assert (await peer.push(sid, "1")).status == 200

    async def test_two_polls_at_once_close_the_session(self, transport: Transport) -> None:
        async with served(transport, **PATIENT) as (_, address), HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            async with asyncio.timeout(PROMPT_S):
                statuses = await asyncio.gather(peer.poll(sid), peer.poll(sid))
            assert min(reply.status for reply in statuses) == 200

    async def test_an_aborted_poll_closes_the_session(self, transport: Transport) -> None:
        async with served(transport, **PATIENT) as (server, address), HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            polling = asyncio.create_task(peer.poll(sid))
            await asyncio.sleep(POLL_S)
            polling.cancel()
            await asyncio.wait([polling])
            await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)


class TestTwoHeadsInOnePacket:
    async def test_two_handshakes_open_two_sessions(self, transport: Transport) -> None:
        async with served(transport, **QUICK) as (server, address), RawPeer.dial(address) as peer:
            await peer.send(2 * polling_head(address))
            replies = [await peer.read_reply() for _ in range(2)]
            assert [reply.status for reply in replies] == [200, 200]
            assert replies[0].text != replies[1].text
            assert len(server.eio.sockets) == 2

    async def test_frames_in_the_packet_of_the_upgrade_are_read(self, transport: Transport) -> None:
        async with served(transport, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
            await peer.send(upgrade_head(address, QUERY) + mask_frame(b"40"))
            assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
            await peer.open_session()
            assert (await peer.read_message()).startswith("40{")

    async def test_an_upgrade_behind_a_request_on_one_connection_is_read(
        self, transport: Transport
    ) -> None:
        async with served(transport, **QUICK) as (_, address), RawPeer.dial(address) as peer:
            await peer.send(
                polling_head(address) + upgrade_head(address, QUERY) + mask_frame(b"40")
            )
            assert (await peer.read_reply()).status == 200
            assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
            await peer.open_session()
            assert (await peer.read_message()).startswith("40{")
