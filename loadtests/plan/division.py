"""Who is who, however many processes the users are spread over.

Locust decides how many users of each class each process has; this decides which of the
run's users they are. Places are dealt so that the processes' users come evenly mixed::

    worker 0 has 3 of 5      places 0   2   4
    worker 1 has 2 of 5        places 1   3

and so that all processes together hold exactly the places 0 to n − 1. A run with two
workers therefore has the same users, with the same tokens, addresses and symbols, as the
same run with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

OVERFLOW: Final = 1_000_000
"""Places from here on are for users that nobody planned: more than the run was to have."""
OVERFLOW_EACH: Final = 100_000


def interleave(counts: Sequence[int], which: int, k: int) -> int:
    """Return the place of item ``k`` of one of several sequences that are merged evenly.

    Item ``j`` of a sequence of ``n`` stands at ``(2j + 1) / 2n`` of the whole; of two at the
    same point the one of the earlier sequence comes first. All places are taken once.

    Args:
        counts: how long each sequence is.
        which: the sequence.
        k: the item, from 0.

    Raises:
        IndexError: the sequence has no such item.
    """
    own = counts[which]
    if not 0 <= k < own:
        raise IndexError(f"sequence {which} has {own} items, so no item {k}")
    place = 0
    for index, other in enumerate(counts):
        point = (2 * k + 1) * other  # item j stands before it where (2j + 1) * own is less
        before = (point + own - 1) // (2 * own)
        is_tie = index < which and (point - own) % (2 * own) == 0 and point >= own
        place += min(other, before + is_tie)
    return place


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """How the users of a run are spread.

    Attributes:
        counts: for each group, how many users each worker has, by its rank.
        rank: this worker's; None for one that came after the run was divided.
        worker: its index with the master, which no two workers share.
    """

    counts: Mapping[str, Sequence[int]]
    rank: int | None
    worker: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """How many users of each group the run has, in the groups' own order."""
        return {group: sum(counts) for group, counts in self.counts.items()}

    def place(self, group: str, k: int) -> int | None:
        """Return the place of this worker's user ``k`` of a group; None where none was planned."""
        number = self.number(group, k)
        if number is None:
            return None
        groups = list(self.counts)
        return interleave(list(self.totals.values()), groups.index(group), number)

    def number(self, group: str, k: int) -> int | None:
        """Return which of its group this worker's user ``k`` is; None where none was planned."""
        counts = self.counts.get(group)
        if counts is None or self.rank is None or k >= counts[self.rank]:
            return None
        return interleave(counts, self.rank, k)


class Places:
    """Hands out this process's places, in the order in which its users come on."""

    def __init__(self, division: Division | None = None) -> None:
        self._division = division
        self._taken: dict[str, int] = {}
        self._unplanned = 0

    @property
    def total(self) -> int:
        """How many users the whole run was planned with; 0 where nobody planned."""
        return 0 if self._division is None else sum(self._division.totals.values())

    def newest(self, group: str) -> int:
        """Return which of its group the user is that came last, from 0.

        Over all workers, where the run was planned with it.
        """
        k = max(0, self._taken.get(group, 0) - 1)
        number = self._division.number(group, k) if self._division is not None else None
        return k if number is None else number

    def take(self, group: str) -> tuple[int, bool]:
        """Return the next user's place, and whether the run was planned with it."""
        division = self._division
        k = self._taken.get(group, 0)
        self._taken[group] = k + 1
        place = division.place(group, k) if division is not None else None
        if place is not None:
            return place, True
        number, self._unplanned = self._unplanned, self._unplanned + 1
        if division is None:
            return number, False
        return OVERFLOW + division.worker * OVERFLOW_EACH + number, False
