"""``Throttle``: at most so many values a second of each key, the newest kept, the last always."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

_NS_PER_S: Final = 1e9
Value = TypeVar("Value")


class Throttle(Generic[Value]):
    """Passes values of a key at least an interval apart.

    A value that comes too early waits until its interval has passed. A newer one takes its place.

    Args:
        most_per_second: values of a key that pass in a second; 0 for no limit.

    Attributes:
        replaced: how many values a newer one replaced.
    """

    def __init__(self, most_per_second: float) -> None:
        self._interval_ns = -int(-_NS_PER_S // most_per_second) if most_per_second else 0
        self._passed_ns: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, Value] = {}
        self._due: list[tuple[int, int, Hashable]] = []
        self._order = 0  # keys of one time are due in the order of their values
        self.replaced = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, key: Hashable, value: Value, now_ns: int) -> bool:
        """Return whether a value passes now. Otherwise it waits.

        Args:
            key: what the limit is for.
            value: the newest value.
            now_ns: the time, monotonic ns.
        """
        if key in self._waiting:
            self.replaced += 1
            self._waiting[key] = value
            return False
        passed_ns = self._passed_ns.get(key)
        if passed_ns is not None and now_ns - passed_ns < self._interval_ns:
            self._wait(key, value, passed_ns + self._interval_ns)
            return False
        if self._interval_ns:
            self._passed_ns[key] = now_ns
        return True

    def put_back(self, key: Hashable, value: Value, due_ns: int) -> None:
        """Make a value that passed wait again, unless a newer one waits.

        Args:
            key: what the limit is for.
            value: the value.
            due_ns: when it may pass, monotonic ns.
        """
        if key in self._waiting:
            self.replaced += 1
        else:
            self._wait(key, value, due_ns)

    def next_due_ns(self) -> int | None:
        """Return when the next value may pass, ``None`` if none waits."""
        return self._due[0][0] if self._due else None

    def take_due(self, now_ns: int, most: int) -> list[Value]:
        """Return values that may pass now, those that are due longest first.

        Args:
            now_ns: the time, monotonic ns.
            most: how many at most.
        """
        values: list[Value] = []
        while self._due and self._due[0][0] <= now_ns and len(values) < most:
            _, _, key = heapq.heappop(self._due)
            values.append(self._waiting.pop(key))
            if self._interval_ns:
                self._passed_ns[key] = now_ns
        return values

    def _wait(self, key: Hashable, value: Value, due_ns: int) -> None:
        self._waiting[key] = value
        self._order += 1
        heapq.heappush(self._due, (due_ns, self._order, key))
