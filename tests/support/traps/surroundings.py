"""Traps around the protocol: clocks, addresses, logs, extensions."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from unittest.mock import patch

from deadlines import PROMPT_S, QUIET_S
from peers import RawPeer
from serving import Transport, echo_namespaces, serve

from traps.proof import PATIENT, demand, demanded, sessions

TOKEN = "a-token-that-no-log-may-show"
OTHER_LOOPBACK = "127.0.0.9"


async def check_a_ping_deadline_ignores_the_wall_clock(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT | {"ping_interval": 0.1})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        sid = await peer.connect()
        assert await peer.read_packet() == '42["auth",{}]'
        assert await peer.read_packet() == "2"
        with patch("time.time", lambda now=time.time: now() + 3_600):
            await server.emit("an hour later", to=sid)
            with demanded("the wall clock jumped, and the client was closed"):
                assert await peer.read_packet(PROMPT_S) == '42["an hour later"]'


async def check_the_ping_interval_is_told_to_the_millisecond(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT | {"ping_interval": 0.3, "ping_timeout": 1.25})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        opened = await peer.open_session()
        told = opened["pingInterval"], opened["pingTimeout"]
        demand(told == (300, 1_250), f"the client is told {told} ms")


async def check_the_address_is_the_peers(transport: Transport) -> None:
    server = transport.socketio(**PATIENT)
    seen: list[str] = []

    async def connect(sid: str, environ: dict[str, str], auth: object) -> None:
        seen.append(environ["REMOTE_ADDR"])

    server.on("connect", connect)
    async with (
        serve(server) as address,
        RawPeer.websocket(address, source=OTHER_LOOPBACK) as peer,
    ):
        await peer.connect()
        demand(seen == [OTHER_LOOPBACK], f"a peer at {OTHER_LOOPBACK} is said to be at {seen}")


async def check_no_log_shows_a_token(transport: Transport) -> None:
    written = io.StringIO()
    logger = logging.Logger("tried", logging.INFO)  # noqa: LOG001 - must not outlive the check
    logger.addHandler(logging.StreamHandler(written))
    server = echo_namespaces(transport, **PATIENT, logger=logger, engineio_logger=logger)
    query = f"EIO=4&transport=websocket&token={TOKEN}"
    async with serve(server) as address, RawPeer.websocket(address, query) as peer:
        await peer.connect(f'40{{"token":"{TOKEN}"}}')
        await peer.send_packets(f'42["message","{TOKEN}"]', f'42["message","{TOKEN}"')
        await asyncio.sleep(QUIET_S)  # what is logged late must not be missed
    demand(TOKEN not in written.getvalue(), "the token is in the log")


async def check_compression_is_never_negotiated(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    async with serve(server) as address, RawPeer.websocket(address, headers=offer) as peer:
        demand("extensions" not in peer.head.lower(), "takes permessage-deflate in silence")
        demand(sessions(server) == 1, "a browser's offer is refused with the connection")


CHECKS_OF_THE_WHOLE_PROCESS = [check_a_ping_deadline_ignores_the_wall_clock]
CHECKS = [
    check_the_ping_interval_is_told_to_the_millisecond,
    check_the_address_is_the_peers,
    check_no_log_shows_a_token,
    check_compression_is_never_negotiated,
]
