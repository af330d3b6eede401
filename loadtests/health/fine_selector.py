"""An event loop with timers exact to the microsecond, for work whose lateness is judged."""

from __future__ import annotations

import asyncio
import ctypes
import select
import selectors
import sys
from typing import Final

_PR_SET_TIMERSLACK: Final = 29
_SLACK_NS: Final = 1_000  # the kernel's default delays timers by up to 50 µs


class FineSelector(selectors.EpollSelector):
    """Waits with a timeout in microseconds. The timeout of epoll is rounded up to milliseconds.

    An epoll descriptor is readable when any of its members is, and select(2) takes microseconds.
    The descriptor is the loop's first, so it is below the limit of 1,024.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the ready descriptors, as ``selectors.BaseSelector.select``."""
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def make_fine_loop() -> asyncio.AbstractEventLoop:
    """Return a loop with exact timers on Linux, and an ordinary one elsewhere."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)
    return asyncio.SelectorEventLoop(FineSelector())
