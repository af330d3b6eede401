"""``Dismissed``: a closing socket that belongs to no session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Dismissed(asyncio.Protocol):
    """The protocol of a socket until it is closed, or aborted at its deadline.

    A client that does not read would otherwise hold a closing socket with unsent bytes forever.

    Args:
        transport: the transport of the socket.
        ended: called when the socket is closed or aborted.
    """

    __slots__ = ("_ended", "transport", "wake_tick")

    def __init__(self, transport: asyncio.Transport, ended: Callable[[Dismissed], None]) -> None:
        self._ended = ended
        self.transport = transport
        self.wake_tick = 0

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that the socket is closed (asyncio protocol)."""
        self._ended(self)

    def wake(self, _now_ns: int) -> int:
        """Abort the socket: it has had its time (timer wheel)."""
        self.transport.abort()
        self._ended(self)
        return 0
