"""A selector that waits to the microsecond, for delays that are read back."""

from __future__ import annotations

import select
import selectors


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
