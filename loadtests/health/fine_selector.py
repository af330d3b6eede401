"""A loop that waits to the microsecond, for what is due at a moment that is judged."""

from __future__ import annotations

import asyncio
import ctypes
import select
import selectors
import sys
from typing import Final

_PR_SET_TIMERSLACK: Final = 29
_SLACK_NS: Final = 1_000  # the kernel's default lets a timer be 50 µs late


class FineSelector(selectors.EpollSelector):
    """Waits to the microsecond. epoll's own timeout is whole milliseconds, rounded up.

    An epoll descriptor is itself readable when anything in it is, and select(2) takes
    its timeout in microseconds; the descriptor is a loop's first and so below 1,024.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, as ``selectors.BaseSelector.select``."""
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def make_fine_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are exact, as far as this system has such."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)
    return asyncio.SelectorEventLoop(FineSelector())
