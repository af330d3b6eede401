"""``Retention``: when to look whether a key is still used, so that no table is ever scanned."""

from __future__ import annotations

from collections import deque
from typing import Final

_SLOTS: Final = 1_000  # of a retention


class Retention:
    """The keys of a table by the time at which each is to be looked at.

    The table adds a key when the key is new, and again after each look at which it was kept. A
    use between two looks costs nothing here: the look finds it.

    Args:
        retention_ns: how long a key is kept, ns. A look is early by a thousandth of it at most.
    """

    def __init__(self, retention_ns: int) -> None:
        self._slot_ns = max(1, retention_ns // _SLOTS)
        self._keys: dict[int, deque[str]] = {}

    def add(self, key: str, due_ns: int) -> None:
        """Look at a key at a time, monotonic ns."""
        slot = due_ns // self._slot_ns
        keys = self._keys.get(slot)
        if keys is None:
            keys = self._keys[slot] = deque()
        keys.append(key)

    def take_due(self, now_ns: int, most: int) -> list[str]:
        """Remove the keys whose slot has begun, and return them.

        Args:
            now_ns: the time.
            most: how many keys at most; a later call returns the others.
        """
        due: list[str] = []
        for slot in sorted(slot for slot in self._keys if slot * self._slot_ns <= now_ns):
            keys = self._keys[slot]
            while keys and len(due) < most:
                due.append(keys.popleft())
            if keys:
                break
            del self._keys[slot]
        return due

    def take_first(self) -> tuple[str, int]:
        """Remove the key that is due first; return it and the end of its slot, ns.

        Raises:
            ValueError: there is no key.
        """
        slot = min(self._keys)
        keys = self._keys[slot]
        key = keys.popleft()
        if not keys:
            del self._keys[slot]
        return key, (slot + 1) * self._slot_ns
