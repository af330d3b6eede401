"""WebSockets over TLS, whose transports count queued bytes in their own way."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from certificates import make_contexts
from deadlines import DEADLINE_S, PROMPT_S, poll_until
from hostility import PATIENT
from peers import RawPeer
from scenes import ON_BOTH_LOOPS, hear, only_session
from serving import OURS, serve

pytestmark = ON_BOTH_LOOPS

SEND_AGE_S = 0.5


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path)


@pytest.fixture(params=[False, True], ids=["aiohttp", "door"])
def has_door(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def echoing(**settings: Any) -> Any:
    server = OURS.socketio(**PATIENT, **settings)
    server.on("connect", lambda sid, environ, auth: None)
    server.on("echo", lambda sid, data: data)
    return server


async def test_acknowledgements_arrive_over_tls(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], has_door: bool
) -> None:
    server = echoing()
    quiet: list[int] = []
    server.on("quiet", lambda sid, number: quiet.append(number))
    async with (
        serve(server, tls=contexts[0], has_door=has_door) as address,
        RawPeer.websocket(address, tls=contexts[1]) as peer,
    ):
        await peer.connect()
        for number in range(4):
            # This event gets no answer, so the numbers of reads and writes are odd and even.
            await peer.send_packets(f'42["quiet",{number}]')
            await poll_until(partial(quiet.__contains__, number), "handled")
            for ack in range(number):
                await peer.send_packets(f'42{ack}["echo",{ack}]')
            for ack in range(number):
                assert await peer.read_message(PROMPT_S) == f"43{ack}[{ack}]"
        assert only_session(server).is_clear


async def test_events_arrive_over_tls(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], has_door: bool
) -> None:
    server = echoing()
    async with (
        serve(server, tls=contexts[0], has_door=has_door) as address,
        RawPeer.websocket(address, tls=contexts[1]) as peer,
    ):
        await peer.connect()
        for number in range(5):
            await server.emit("tick", number)
            assert await peer.read_message(PROMPT_S) == f'42["tick",{number}]'
        assert only_session(server).waiting_bytes == 0


async def test_over_tls_a_client_that_never_reads_is_closed_and_a_reading_one_is_kept(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server = echoing(max_send_age=SEND_AGE_S)
    async with (
        serve(server, tls=contexts[0], has_door=True) as address,
        RawPeer.websocket(address, tls=contexts[1]) as reader,
        RawPeer.websocket(address, tls=contexts[1], receive_buffer=4_096) as deaf,
    ):
        await reader.connect()
        await deaf.connect()
        reading = asyncio.create_task(hear(reader, '42["last"]'))
        async with asyncio.timeout(SEND_AGE_S + DEADLINE_S):
            while len(server.eio.sockets) == 2:
                await server.emit("flood", "y" * 10_000)
                await asyncio.sleep(0.01)  # a pace that the reader can follow
        await server.emit("last")
        async with asyncio.timeout(PROMPT_S):
            assert len(await reading) > 2
        assert server.eio.counts.closed == {"slow consumer": 1}
