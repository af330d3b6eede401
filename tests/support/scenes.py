"""Shared parts of the tests of single sessions: both loops, the session, received messages."""

from __future__ import annotations

from typing import Any, Final

import pytest
from deadlines import poll_until
from peers import RawPeer

ON_BOTH_LOOPS: Final = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
"""Run a test on asyncio's loop and on uvloop's, whose transports differ in detail."""


def only_session(server: Any) -> Any:
    """Return the one Engine.IO session of a Socket.IO or an Engine.IO server."""
    (session,) = getattr(server, "eio", server).sockets.values()
    return session


async def hear(peer: RawPeer, last: str) -> list[str]:
    """Return the received messages up to a last one; answer pings."""
    heard = [await peer.read_message()]
    while heard[-1] != last:
        heard.append(await peer.read_message())
    return heard


async def let_go(server: Any) -> None:
    """Wait until every emitted message is sent or queued for its clients."""
    await poll_until(lambda: not any(server.fanout.waiting), "lanes empty")
