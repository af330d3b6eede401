"""The front door: it reads the first head of a connection and hands the connection on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from deadlines import PROMPT_S, poll_until
from hostility import PATIENT, QUERY, QUICK, bystander, served, tables_are_empty
from http_peers import HttpPeer
from peers import RawPeer, mask_frame, upgrade_head
from serving import DOOR, Address

pytestmark = pytest.mark.usefixtures("log_is_clean")

HEAD_S = 0.4


def plain_head(address: Address, path: str, *fields: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.host}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_a_silent_connection_is_closed_at_the_head_deadline() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        assert await peer.read_until_eof(HEAD_S + PROMPT_S) == b""


async def test_a_head_that_comes_byte_by_byte_is_closed_at_its_deadline() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        dribbling = asyncio.create_task(dribble(peer, upgrade_head(address, QUERY)))
        await peer.read_until_eof(HEAD_S + PROMPT_S)
        dribbling.cancel()


async def dribble(peer: RawPeer, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        for byte in data:
            await peer.send(bytes([byte]))
            await asyncio.sleep(HEAD_S / 10)


async def test_500_silent_connections_are_closed_and_leave_others_served() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        bystander(address),
        contextlib.AsyncExitStack() as stack,
    ):
        peers = [await stack.enter_async_context(RawPeer.dial(address)) for _ in range(500)]
        async with asyncio.timeout(HEAD_S + 2 * PROMPT_S):
            for peer in peers:
                assert await peer.read_until_eof(HEAD_S + 2 * PROMPT_S) == b""


async def test_an_endless_head_is_refused_and_closed() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        with contextlib.suppress(ConnectionError):
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000)
        answer = await peer.read_until_eof(HEAD_S + PROMPT_S)
        assert not answer or answer.split()[1] in {b"400", b"431"}, answer[:100]


@pytest.mark.parametrize(
    "head",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /?%b HTTP/1.1\r\nno colon\r\n\r\n" % QUERY.encode()],
    ids=["TLS", "a header without a colon"],
)
async def test_an_invalid_head_is_refused_and_closed(head: bytes) -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        await peer.send(head)
        answer = await peer.read_until_eof(HEAD_S + PROMPT_S)
        assert not answer or answer.split()[1] == b"400", answer[:100]


async def test_a_head_in_two_parts_is_one_head() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        head = upgrade_head(address, QUERY)
        await peer.send(head[:40])
        await asyncio.sleep(0.05)  # the second part comes later, on purpose
        await peer.send(head[40:] + mask_frame(b"40"))
        assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
        await peer.open_session()
        assert (await peer.read_message()).startswith("40{")


async def test_the_application_s_own_routes_are_served() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(2 * plain_head(address, "/plain"))
        assert [await peer.read_reply() for _ in range(2)] == [(200, "plain")] * 2


async def test_a_websocket_for_another_path_gets_404() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(upgrade_head(Address(address.host, address.port, "/none/"), QUERY))
        assert (await peer.read_reply()).status == 404


async def test_a_polling_session_is_upgraded_on_a_connection_of_its_own() -> None:
    async with served(DOOR, **PATIENT) as (_, address), HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        async with RawPeer.websocket(address, f"{QUERY}&sid={sid}") as raw:
            await raw.send_packets("2probe")
            assert await raw.read_packet() == "3probe"
            await raw.send_packets("5", "40")
            assert (await raw.read_message()).startswith("40{")


async def test_a_connection_that_polled_before_can_upgrade() -> None:
    async with served(DOOR, **QUICK) as (server, address), RawPeer.dial(address) as peer:
        await peer.send(plain_head(address, f"{address.path}?EIO=4&transport=polling"))
        assert (await peer.read_reply()).status == 200
        await peer.send(upgrade_head(address, QUERY) + mask_frame(b"40"))
        assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
        await peer.open_session()
        assert (await peer.read_message()).startswith("40{")
        assert len(server.eio.sockets) == 2


async def test_a_websocket_that_closes_at_once_leaves_nothing_behind() -> None:
    async with served(DOOR, **PATIENT) as (server, address):
        for _ in range(50):
            async with RawPeer.dial(address) as peer:
                await peer.send(upgrade_head(address, QUERY) + mask_frame(b"40"))
        await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)
