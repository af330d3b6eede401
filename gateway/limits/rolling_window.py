"""``RollingWindow``: admits a number of events in any window of a length.

A fixed window admits twice its limit around its edge. A rolling window ends at every event.
It allocates memory at its first event.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

_FIRST_CAPACITY: Final = 4


class RollingWindow:
    """Admits exactly ``limit`` events in any window (t − window, t].

    The times of admitted events are in a ring buffer, which grows as needed, up to ``limit``.

    Args:
        limit: the number of events, at least 1.
        window_ns: the length of the window, ns.
    """

    __slots__ = ("_count", "_head", "_limit", "_times_ns", "_window_ns")

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._times_ns: array[int] | None = None
        self._head = 0
        self._count = 0

    def admit(self, now_ns: int) -> int:
        """Count an event if it is admitted.

        Returns:
            0 if it was admitted, otherwise ns until an event would be.
        """
        wait_ns = self.wait_ns(now_ns)
        if wait_ns == 0:
            self.charge(now_ns)
        return wait_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return ns until an event would be admitted, 0 for now, without counting one."""
        self._forget(now_ns)
        if self._count < self._limit or self._times_ns is None:
            return 0
        return self._times_ns[self._head] + self._window_ns - now_ns

    def charge(self, now_ns: int) -> None:
        """Count an event. ``wait_ns`` must have returned 0 for the same time."""
        times_ns = self._times_ns
        if times_ns is None or self._count == len(times_ns):
            times_ns = self._grow()
        times_ns[(self._head + self._count) % len(times_ns)] = now_ns
        self._count += 1

    def times_after(self, since_ns: int) -> list[int]:
        """Return when events were counted after a time, the newest first, monotonic ns."""
        times_ns = self._times_ns
        if times_ns is None:
            return []
        places = range(self._head + self._count - 1, self._head - 1, -1)
        newest_first = (times_ns[place % len(times_ns)] for place in places)
        return list(takewhile(lambda time_ns: time_ns > since_ns, newest_first))

    def add_past(self, times_ns: Sequence[int]) -> None:
        """Count events that were admitted elsewhere. Of more than the limit the newest count.

        Args:
            times_ns: when, monotonic ns, in any order.
        """
        if times_ns:
            kept = sorted([*self.times_after(-1), *times_ns])[-self._limit :]
            self._times_ns, self._head, self._count = array("q", kept), 0, len(kept)

    def empty_from_ns(self) -> int:
        """Return when the last admitted event leaves the window, 0 if there is none."""
        times_ns = self._times_ns
        if times_ns is None or not self._count:
            return 0
        return times_ns[(self._head + self._count - 1) % len(times_ns)] + self._window_ns

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
