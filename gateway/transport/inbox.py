"""``Inbox``: the messages of a client that arrive while one of its handlers is awaiting."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

_MOST: Final = 64  # queued messages above which reading stops
_POLL_S: Final = 0.01

Work = Callable[[], Any]
"""Handles one message. It returns an awaitable if the handler is asynchronous, else ``None``."""

log = logging.getLogger("gateway.transport")


class InboxOwner(Protocol):
    """What an inbox needs from its session."""

    def pause_reading(self) -> None:
        """Stop reading from the client."""

    def resume_reading(self) -> None:
        """Read from the client again."""

    def emptied(self) -> None:
        """Note that no message is queued any more."""


class Inbox:
    """Handles messages one after the other, in the order of their arrival.

    Args:
        owner: the session, which stops and resumes reading.
    """

    __slots__ = ("_owner", "_waiting")

    def __init__(self, owner: InboxOwner) -> None:
        self._owner = owner
        self._waiting: deque[Work] = deque()

    def add(self, work: Work) -> None:
        """Queue one message."""
        self._waiting.append(work)
        if len(self._waiting) > _MOST:
            self._owner.pause_reading()

    def clear(self) -> None:
        """Drop the queued messages."""
        self._waiting.clear()

    async def work_off(self, handling: Any) -> None:
        """Await one handler after the other until the queue is empty.

        Args:
            handling: the awaitable of the first handler, which has already been called.
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
        """Handle one message to its end. An exception is logged and does not stop the next."""
        try:
            handling = work()
            if handling is not None:
                await handling
        except Exception:
            log.exception("handler failed")

    async def shortened(self) -> None:
        """Wait until the queue is short enough for reading to continue."""
        # Rare and short, so not worth an asyncio.Event for every inbox.
        while len(self._waiting) > _MOST:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
