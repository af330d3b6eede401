"""Compare the heartbeats that one client received with those it should have received. Pure."""

from __future__ import annotations

import math


class HeartbeatOracle:
    """Counts the missed heartbeats of one client.

    A heartbeat is missed when none arrives within half an interval of its due time. The
    welcome counts as the first one: the gateway sends heartbeats on one global tick, so the
    next is due within one interval.

    Args:
        interval_ns: the welcome's ``heartbeatInterval``, ns.
        welcome_ns: the welcome's read stamp, monotonic ns.

    Raises:
        ValueError: the interval is not positive.
    """

    __slots__ = ("_beats", "_last_ns", "interval_ns", "missed")

    def __init__(self, interval_ns: int, welcome_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"heartbeat interval of {interval_ns} ns; it must be over 0")
        self.interval_ns = interval_ns
        self.missed = 0
        self._last_ns = welcome_ns
        self._beats = 0

    def beat(self, stamp_ns: int) -> int | None:
        """Take a heartbeat; return the gap to the previous one in ns, or None for the first."""
        gap_ns = stamp_ns - self._last_ns
        self.missed += self._missed_in(gap_ns)
        self._last_ns = stamp_ns
        self._beats += 1
        return gap_ns if self._beats > 1 else None

    def close(self, now_ns: int) -> int:
        """Count what the silence at the end missed; return the total missed. Idempotent."""
        self.missed += self._missed_in(now_ns - self._last_ns)
        self._last_ns = max(now_ns, self._last_ns)
        return self.missed

    def _missed_in(self, gap_ns: int) -> int:
        # Halves always round up: Python's round() gives 2 for both 1.5 and 2.5.
        return max(0, math.floor(gap_ns / self.interval_ns + 0.5) - 1)
