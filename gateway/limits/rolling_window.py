"""Rolling windows: at most so many events in any window, whatever their spacing.

A fixed window lets twice its limit through around its edge; these windows end at every
event. A window costs memory only once something was sent.
"""

from __future__ import annotations

from array import array
from typing import Final

_FIRST_CAPACITY: Final = 4


class RollingWindow:
    """Accepts exactly ``limit`` events in any window (t − window, t].

    The times of accepted events stand in a ring that is made at the first one and grows
    by need, up to ``limit``.

    Args:
        limit: events, at least 1.
        window_ns: length of the window, ns.
    """

    __slots__ = ("_count", "_head", "_limit", "_times_ns", "_window_ns")

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._times_ns: array[int] | None = None
        self._head = 0
        self._count = 0

    def admit(self, now_ns: int) -> int:
        """Accept an event, or say when one would pass.

        Returns:
            0 when it was accepted and counts; otherwise ns until one would be.
        """
        wait_ns = self.wait_ns(now_ns)
        if wait_ns == 0:
            self.charge(now_ns)
        return wait_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return ns until an event would be accepted, 0 for now; charges nothing."""
        self._forget(now_ns)
        if self._count < self._limit or self._times_ns is None:
            return 0
        return self._times_ns[self._head] + self._window_ns - now_ns

    def charge(self, now_ns: int) -> None:
        """Count an event for which ``wait_ns`` at this very time was 0."""
        times_ns = self._times_ns
        if times_ns is None or self._count == len(times_ns):
            times_ns = self._grow()
        times_ns[(self._head + self._count) % len(times_ns)] = now_ns
        self._count += 1

    def empty_at(self, now_ns: int) -> bool:
        """Return whether no accepted event is left in the window."""
        self._forget(now_ns)
        return self._count == 0

    def _forget(self, now_ns: int) -> None:
        times_ns = self._times_ns
        if times_ns is None:
            return
        past_ns = now_ns - self._window_ns
        while self._count and times_ns[self._head] <= past_ns:
            self._head = (self._head + 1) % len(times_ns)
            self._count -= 1

    def _grow(self) -> array[int]:
        old = self._times_ns or array("q")
        capacity = min(self._limit, max(_FIRST_CAPACITY, 2 * len(old)))
        grown = old[self._head :] + old[: self._head]
        grown.frombytes(bytes(grown.itemsize * (capacity - len(grown))))
        self._times_ns = grown
        self._head = 0
        return grown
