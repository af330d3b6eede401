"""``ExpiryWheel``: connections by the second in which their token is due."""

from __future__ import annotations

import math


class ExpiryWheel:
    """Connections by the wall-clock second in which their token expires, or is to be warned of.

    It remembers no time, so the wall clock may step in either direction.
    """

    def __init__(self) -> None:
        self._due_second: dict[str, int] = {}
        self._sids: dict[int, set[str]] = {}
        self._earliest: float = math.inf  # no bucket is earlier; there may be none at it

    def __len__(self) -> int:
        return len(self._due_second)

    def schedule(self, sid: str, due_unix_s: float) -> None:
        """Set the time at which a connection is due. A past time is due at once.

        Args:
            sid: the connection.
            due_unix_s: the time, Unix s. It is reported at most a second late, never early.
        """
        self.cancel(sid)
        second = math.ceil(due_unix_s)
        self._due_second[sid] = second
        bucket = self._sids.get(second)
        if bucket is None:
            self._sids[second] = {sid}
            self._earliest = min(self._earliest, second)
        else:
            bucket.add(sid)

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
        if unix_s < self._earliest:
            return []
        due: list[str] = []
        for second in sorted(second for second in self._sids if second <= unix_s):
            due.extend(sorted(self._sids.pop(second)))
        for sid in due:
            del self._due_second[sid]
        self._earliest = min(self._sids, default=math.inf)
        return due
