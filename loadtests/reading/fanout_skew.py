"""Fan-out skew: how far apart the copies of one publication were read within a process.

The copies come in several batches, so a publication waits here until nothing of it has
come for ``QUIET_NS``. What has a single copy tells nothing and is left out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from loadtests.reading.batches import UNSHARED, Batch, Integers

QUIET_NS: Final = 1_000_000_000
"""A publication of which nothing has come for so long is complete."""


class FanoutSkew:
    """Lays the first and the last copy of each publication beside each other."""

    def __init__(self) -> None:
        self._parts: list[tuple[Integers, Integers, Integers, Integers]] = []
        self._settled_ns: int | None = None

    def take(self, batch: Batch) -> None:
        """Take the copies of a batch."""
        keys, first_ns, last_ns, copies = batch.copies()
        if len(keys) and keys.min() == UNSHARED:
            shared = keys != UNSHARED
            keys, first_ns = keys[shared], first_ns[shared]
            last_ns, copies = last_ns[shared], copies[shared]
        self._parts.append((keys, first_ns, last_ns, copies))

    def settle(self, now_ns: int) -> tuple[Integers, Integers]:
        """Return the skew of each publication that is complete, and its last read stamp, ns.

        It looks at most once in ``QUIET_NS``; otherwise, and when nothing is complete,
        both are empty.
        """
        if self._settled_ns is None:
            self._settled_ns = now_ns
        if now_ns - self._settled_ns < QUIET_NS:
            return _NOTHING, _NOTHING
        self._settled_ns = now_ns
        return self._finish(now_ns - QUIET_NS)

    def close(self) -> tuple[Integers, Integers]:
        """Return the same of everything that is left."""
        return self._finish(None)

    def _finish(self, until_ns: int | None) -> tuple[Integers, Integers]:
        """End what was last read by ``until_ns``; None ends everything."""
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
    """Return parts as one, each publication once."""
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
