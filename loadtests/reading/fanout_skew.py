"""Fan-out skew: time between the first and the last read of one publication in a process.

The copies of a publication arrive in several batches. A publication is complete when no copy
has arrived for ``QUIET_NS``. Publications with a single copy are left out, and so are the copies of
users who asked for fewer events a second: those wait for their turn.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from loadtests.reading.batches import UNSHARED, Batch, Integers

QUIET_NS: Final = 1_000_000_000
"""A publication is complete when no copy has arrived for this long."""


class FanoutSkew:
    """Finds the first and the last copy of each publication."""

    def __init__(self) -> None:
        self._parts: list[tuple[Integers, Integers, Integers, Integers]] = []
        self._settled_ns: int | None = None

    def take(self, batch: Batch, without: Collection[int] = ()) -> None:
        """Take the copies of a batch.

        Args:
            batch: the batch.
            without: owners whose copies are left out.
        """
        keys, first_ns, last_ns, copies = batch.copies(without)
        if len(keys) and keys.min() == UNSHARED:
            shared = keys != UNSHARED
            keys, first_ns = keys[shared], first_ns[shared]
            last_ns, copies = last_ns[shared], copies[shared]
        self._parts.append((keys, first_ns, last_ns, copies))

    def settle(self, now_ns: int) -> tuple[Integers, Integers]:
        """Return the skew and the last read stamp (both ns) of each complete publication.

        Both arrays are empty when no publication is complete, and when the previous check is
        less than ``QUIET_NS`` ago.
        """
        if self._settled_ns is None:
            self._settled_ns = now_ns
        if now_ns - self._settled_ns < QUIET_NS:
            return _NOTHING, _NOTHING
        self._settled_ns = now_ns
        return self._finish(now_ns - QUIET_NS)

    def close(self) -> tuple[Integers, Integers]:
        """Return skew and last read stamp of all remaining publications."""
        return self._finish(None)

    def _finish(self, until_ns: int | None) -> tuple[Integers, Integers]:
        """End the publications last read by ``until_ns``; None ends all of them."""
        if not self._parts:
            return _NOTHING, _NOTHING
        keys, first_ns, last_ns, copies = _merged(self._parts)
        is_over = np.ones(len(keys), dtype=np.bool_) if until_ns is None else last_ns <= until_ns
        rest = ~is_over
        self._parts = [(keys[rest], first_ns[rest], last_ns[rest], copies[rest])]
        told = is_over & (copies > 1)
        return last_ns[told] - first_ns[told], last_ns[told]


def _merged(
    parts: list[tuple[Integers, Integers, Integers, Integers]],
) -> tuple[Integers, Integers, Integers, Integers]:
    """Return the parts merged into one, with each publication once."""
    columns = zip(*parts, strict=True)
    keys, first_ns, last_ns, copies = (np.concatenate(column) for column in columns)
    if not len(keys):
        return keys, first_ns, last_ns, copies
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return (
        keys[begins],
        np.minimum.reduceat(first_ns[order], begins),
        np.maximum.reduceat(last_ns[order], begins),
        np.add.reduceat(copies[order], begins),
    )


_NOTHING: Final[Integers] = np.empty(0, dtype=np.int64)
