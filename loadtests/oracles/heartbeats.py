"""The heartbeats that one client ought to have heard, held against those that it did. Pure."""

from __future__ import annotations

import math


class HeartbeatOracle:
    """One client's heartbeats against the interval that its welcome announced.

    A beat is missed when none came within half an interval of where it was due.
    The welcome stands for a first beat: the gateway beats on one global tick, so
    the first must come within one interval of it.

    Args:
        interval_ns: the welcome's ``heartbeatInterval``.
        welcome_ns: the welcome's read stamp.
    """

    __slots__ = ("_beats", "_last_ns", "interval_ns", "missed")

    def __init__(self, interval_ns: int, welcome_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"a heartbeat interval of {interval_ns} ns; it is over 0")
        self.interval_ns = interval_ns
        self.missed = 0
        self._last_ns = welcome_ns
        self._beats = 0

    def beat(self, stamp_ns: int) -> int | None:
        """Take a heartbeat and return the gap to the one before, in ns; None for the first."""
        gap_ns = stamp_ns - self._last_ns
        self.missed += self._missed_in(gap_ns)
        self._last_ns = stamp_ns
        self._beats += 1
        return gap_ns if self._beats > 1 else None

    def close(self, now_ns: int) -> int:
        """Count what a silent end missed, and return all that was missed; idempotent."""
        self.missed += self._missed_in(now_ns - self._last_ns)
        self._last_ns = max(now_ns, self._last_ns)
        return self.missed

    def _missed_in(self, gap_ns: int) -> int:
        # Halves go up, always: Python's round() sends 1.5 and 2.5 to the same 2.
        return max(0, math.floor(gap_ns / self.interval_ns + 0.5) - 1)
