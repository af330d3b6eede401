"""Compare the heartbeats that one client received with those it should have received. Pure."""

from __future__ import annotations

import math


class HeartbeatOracle:
    """Counts the missed and the extra heartbeats of one client.

    A heartbeat is missed when none arrives within half an interval of its due time. The
    welcome counts as the first one: the gateway sends heartbeats on one global tick, so the
    next is due within one interval.

    A heartbeat is extra when its number is not higher than the last one's, or when more came
    since the first one than were due by the gateway's clock. One more than due is allowed: the
    tick of the first one may have been late.

    Args:
        interval_ns: the welcome's ``heartbeatInterval``, ns.
        welcome_ns: the welcome's read stamp, monotonic ns.

    Raises:
        ValueError: the interval is not positive.
    """

    __slots__ = ("_beats", "_first_ns", "_last_ns", "_number", "extra", "interval_ns", "missed")

    def __init__(self, interval_ns: int, welcome_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"heartbeat interval of {interval_ns} ns; it must be over 0")
        self.interval_ns = interval_ns
        self.missed = 0
        self.extra = 0
        self._last_ns = welcome_ns
        self._first_ns = 0
        self._beats = 0
        self._number: int | None = None

    def beat(self, stamp_ns: int, number: object = None, sent_ns: int | None = None) -> int | None:
        """Take a heartbeat.

        Args:
            stamp_ns: its read stamp, monotonic ns.
            number: its ``seq``; anything but an integer is no number.
            sent_ns: its ``ts`` by the gateway's clock, ns; None where it has none.

        Returns:
            The gap to the previous one in ns; None for the first and for an extra one.
        """
        if self._is_extra(stamp_ns if sent_ns is None else sent_ns, number):
            self.extra += 1
            return None
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

    def _is_extra(self, at_ns: int, number: object) -> bool:
        if isinstance(number, int):
            if self._number is not None and number <= self._number:
                return True
            self._number = number
        if not self._beats:
            self._first_ns = at_ns
        due = (at_ns - self._first_ns + self.interval_ns // 2) // self.interval_ns
        return self._beats > due + 1

    def _missed_in(self, gap_ns: int) -> int:
        # Halves always round up: Python's round() gives 2 for both 1.5 and 2.5.
        return max(0, math.floor(gap_ns / self.interval_ns + 0.5) - 1)
