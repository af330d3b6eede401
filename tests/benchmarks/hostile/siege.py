"""``Siege``: one attack while it lasts, and the pace of its turns."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.lines import Target


class Siege:
    """One attack while it lasts.

    Args:
        target: whom.

    Attributes:
        counts: what was done, and what became of it.
        is_under_way: set as soon as the gateway feels it.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.counts: Counter[str] = Counter()
        self.is_under_way = asyncio.Event()

    async def dial(self) -> socket.socket:
        """Open a connection and count it."""
        self.counts["connections"] += 1
        return await lines.dial(self.target.port)

    async def join(self, receive_bytes: int | None = None) -> socket.socket:
        """Become a client with its subscription, and count it."""
        self.counts["connections"] += 1
        return await lines.join(self.target, receive_bytes)


class Pace:
    """Turns at absolute times; one that is late does not shift the next.

    Args:
        every_s: between two turns.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = asyncio.get_running_loop().time()

    async def turn(self) -> None:
        """Wait until the next turn is due; let others run where it already is."""
        self._due_s += self._every_s
        await asyncio.sleep(max(0.0, self._due_s - asyncio.get_running_loop().time()))
