"""When tokens need attention: one entry a connection, found by the second it is due in."""

from __future__ import annotations

import math
from typing import Final

_LONGEST_STEP_S: Final = 3_600  # a wall clock that jumps further is met by looking at all seconds


class ExpiryWheel:
    """Connections by the wall-clock second in which their token is due.

    Args:
        unix_s: the wall clock now.
    """

    def __init__(self, unix_s: float) -> None:
        self._second = math.floor(unix_s)
        self._due_second: dict[str, int] = {}
        self._sids: dict[int, set[str]] = {}

    def __len__(self) -> int:
        return len(self._due_second)

    def schedule(self, sid: str, due_unix_s: float) -> None:
        """Make a connection due at a time, in place of the one it had; a past time is due at once.

        Args:
            sid: the connection.
            due_unix_s: when; never reported early, at most a second late.
        """
        self.cancel(sid)
        second = max(math.ceil(due_unix_s), self._second + 1)
        self._due_second[sid] = second
        self._sids.setdefault(second, set()).add(sid)

    def cancel(self, sid: str) -> None:
        """Forget a connection; one that is not there is fine."""
        second = self._due_second.pop(sid, None)
        if second is None:
            return
        bucket = self._sids[second]
        bucket.discard(sid)
        if not bucket:
            del self._sids[second]

    def take_due(self, unix_s: float) -> list[str]:
        """Return the connections that are due, each once, and forget them."""
        now = math.floor(unix_s)
        if now <= self._second:
            return []
        if now - self._second > _LONGEST_STEP_S:
            seconds = sorted(second for second in self._sids if second <= now)
        else:
            seconds = [s for s in range(self._second + 1, now + 1) if s in self._sids]
        self._second = now
        due: list[str] = []
        for second in seconds:
            due.extend(sorted(self._sids.pop(second)))
        for sid in due:
            del self._due_second[sid]
        return due
