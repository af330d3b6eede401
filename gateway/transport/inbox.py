"""``Inbox``: what a client sent while a handler of its awaits. It exists only so long."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

_MOST: Final = 64  # messages that wait for a handler before reading stops
_POLL_S: Final = 0.01

Work = Callable[[], Any]
"""One message's handling; returns an awaitable where it has to wait."""

log = logging.getLogger("gateway.transport")


class InboxOwner(Protocol):
    """What an inbox needs from its session."""

    def pause_reading(self) -> None:
        """Take no more from the client for now."""

    def resume_reading(self) -> None:
        """Take more from the client, where that was stopped."""

    def emptied(self) -> None:
        """Note that nothing waits any more."""


class Inbox:
    """Messages in the order in which they came, each handled when the one before is.

    Args:
        owner: the session, which is told to stop and to go on reading.
    """

    __slots__ = ("_owner", "_waiting")

    def __init__(self, owner: InboxOwner) -> None:
        self._owner = owner
        self._waiting: deque[Work] = deque()

    def add(self, work: Work) -> None:
        """Let one more wait."""
        self._waiting.append(work)
        if len(self._waiting) > _MOST:
            self._owner.pause_reading()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    async def work_off(self, handling: Any) -> None:
        """Await one handler after the other until none waits.

        Args:
            handling: the first, begun already.
        """
        try:
            await self._finish(lambda: handling)
            while self._waiting:
                await self._finish(self._waiting.popleft())
                if len(self._waiting) <= _MOST // 2:
                    self._owner.resume_reading()
        finally:
            self._waiting.clear()
            self._owner.emptied()

    async def _finish(self, work: Work) -> None:
        """Do one piece of work to its end; what it raises does not stop the next."""
        try:
            handling = work()
            if handling is not None:
                await handling
        except Exception:
            log.exception("a handler failed")

    async def shortened(self) -> None:
        """Wait until less waits than stops the reading."""
        # Seldom, and over in a moment: not worth an event of every inbox's own.
        while len(self._waiting) > _MOST:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
