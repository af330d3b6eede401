"""Traps of queued bytes and of the cost of a disconnect."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from deadlines import PROMPT_S, poll_until
from peers import RawPeer, mask_frame
from serving import Transport, serve

from traps.proof import PATIENT, demand, demanded, sessions

PINGING = PATIENT | {"ping_interval": 0.2}
NARROW = 4_096  # bytes that the kernel takes for a peer that does not read
BLOCK = "x" * 16_384


def _server(transport: Transport, **settings: Any) -> Any:
    server = transport.socketio(**settings)
    server.on("connect", lambda sid, environ, auth: None)
    return server


async def check_bytes_that_wait_are_bounded(transport: Transport) -> None:
    """A client that never reads, but answers pings, is closed when too much is queued for it."""
    server = _server(transport, **PINGING, max_send_bytes=262_144, max_send_age=60.0)
    async with serve(server) as address, RawPeer.websocket(address, receive_buffer=NARROW) as peer:
        await peer.connect()
        for _ in range(1_000):  # 16 MB, more than any kernel's share
            await server.emit("block", BLOCK)
            if not sessions(server):
                break
            peer.writer.write(mask_frame(b"3"))
            await asyncio.sleep(0)
        with demanded("16 MB wait for a client that does not read"):
            await poll_until(lambda: not sessions(server), "closed", PROMPT_S)


async def check_the_age_of_what_waits_is_bounded(transport: Transport) -> None:
    """A client that never reads is closed when few bytes are queued for too long."""
    server = _server(transport, **PINGING, max_send_bytes=64_000_000, max_send_age=0.5)
    async with serve(server) as address, RawPeer.websocket(address, receive_buffer=NARROW) as peer:
        await peer.connect()
        for _ in range(500):  # 8 MB
            await server.emit("block", BLOCK)
        with demanded("bytes queued for a client that does not read grow old"):
            await poll_until(lambda: not sessions(server), "closed", 0.5 + PROMPT_S)


async def check_a_client_that_does_not_read_can_be_closed(transport: Transport) -> None:
    server = _server(transport, **PATIENT, max_send_bytes=64_000_000, max_send_age=60.0)
    async with serve(server) as address, RawPeer.websocket(address, receive_buffer=NARROW) as peer:
        await peer.connect()
        for _ in range(500):
            await server.emit("block", BLOCK)
        (eio_sid,) = server.eio.sockets
        with demanded("closing a client that does not read hangs"):
            async with asyncio.timeout(2 * PROMPT_S):
                await server.eio.disconnect(eio_sid)
            await poll_until(lambda: not sessions(server), "gone", 2 * PROMPT_S)


async def check_leaving_costs_the_same_among_many(transport: Transport) -> None:
    """A disconnect takes as long among 4,000 clients with a room each as among 250."""
    few, many = [await _time_disconnects(transport, clients) for clients in (250, 4_000)]
    demand(many < 4 * few, f"16 times the clients, {many / few:.1f} times the cost of leaving")


async def _time_disconnects(transport: Transport, clients: int) -> float:
    server = _server(transport)
    sids = [await server.manager.connect(f"eio-{number}", "/") for number in range(clients)]
    best = float("inf")
    for start in range(0, 200, 40):
        began = time.process_time()
        for sid in sids[start : start + 40]:
            await server.manager.disconnect(sid, "/")
        best = min(best, time.process_time() - began)
    return best


CHECKS = [
    check_bytes_that_wait_are_bounded,
    check_the_age_of_what_waits_is_bounded,
    check_a_client_that_does_not_read_can_be_closed,
    check_leaving_costs_the_same_among_many,
]
