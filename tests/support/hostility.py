"""Shared parts of the tests of hostile clients: settings, a server, a bystander."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from deadlines import PROMPT_S, poll_until
from peers import RawPeer
from serving import Address, Transport, echo_namespaces, serve

TOKEN: Final = "a-token-that-no-log-may-show"
QUERY: Final = f"EIO=4&transport=websocket&token={TOKEN}"
QUICK: Final = {"ping_interval": 0.3, "ping_timeout": 0.2}
PATIENT: Final = {"ping_interval": 25.0, "ping_timeout": 20.0}
"""Pings so far apart that no ping timeout can be mistaken for a decision of the server."""


@contextlib.asynccontextmanager
async def served(transport: Transport, **settings: Any) -> AsyncIterator[tuple[Any, Address]]:
    """Run a server with echoing namespaces, whose tables must be empty after the clients left."""
    server = echo_namespaces(transport, cors_allowed_origins="*", **settings)
    async with serve(server, has_door=transport.has_door) as address:
        yield server, address
        await poll_until(lambda: tables_are_empty(server), "empty tables", 2 * PROMPT_S)


def tables_are_empty(server: Any) -> bool:
    participants = [
        sid
        for namespace in server.manager.get_namespaces()
        for sid, _ in server.manager.get_participants(namespace, None)
    ]
    return not len(server.eio.sockets) and not participants and not server.environ


@contextlib.asynccontextmanager
async def bystander(address: Address) -> AsyncIterator[RawPeer]:
    """Yield a well-behaved client, which must get answers at the beginning and at the end."""
    async with RawPeer.websocket(address, QUERY) as peer:
        await peer.connect()
        await assert_served(peer, '["auth",{}]', send=None)
        await assert_served(peer, '["before"]')
        yield peer
        await assert_served(peer, '["after"]')


async def assert_served(peer: RawPeer, arguments: str, send: str | None = "message") -> None:
    if send is None:
        assert await peer.read_message(PROMPT_S) == "42" + arguments
        return
    await peer.send_packets(f'427["message-with-ack",{arguments}]')
    assert await peer.read_message(PROMPT_S) == f"437[{arguments}]"
