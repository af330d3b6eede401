"""``ExpiryWheel``: connections by the second in which their token is due."""

from __future__ import annotations

import math
from typing import Final

_LONGEST_STEP_S: Final = 3_600  # after a larger jump of the wall clock, all entries are checked


class ExpiryWheel:
    """Connections by the wall-clock second in which their token expires, or is to be warned of.

    Args:
        unix_s: the time, Unix s.
    """

    def __init__(self, unix_s: float) -> None:
        self._second = math.floor(unix_s)
        self._due_second: dict[str, int] = {}
        self._sids: dict[int, set[str]] = {}

    def __len__(self) -> int:
        return len(self._due_second)

    def schedule(self, sid: str, due_unix_s: float) -> None:
        """Set the time at which a connection is due. A past time is due at once.

        Args:
            sid: the connection.
            due_unix_s: the time, Unix s. It is reported at most a second late, never early.
        """
        self.cancel(sid)
        second = max(math.ceil(due_unix_s), self._second + 1)
        self._due_second[sid] = second
        self._sids.setdefault(second, set()).add(sid)

    def cancel(self, sid: str) -> None:
        """Remove a connection, if it is there."""
        second = self._due_second.pop(sid, None)
        if second is None:
            return
        bucket = self._sids[second]
        bucket.discard(sid)
        if not bucket:
            del self._sids[second]

    def take_due(self, unix_s: float) -> list[str]:
        """Remove the due connections and return them."""
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
