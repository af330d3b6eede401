"""Which of the run's users each process has, however many processes there are.

Locust decides how many users of each class a process has. This module decides which users they
are. Places are assigned so that the users of all processes are evenly mixed::

    worker 0 has 3 of 5      places 0   2   4
    worker 1 has 2 of 5        places 1   3

and so that all processes together hold exactly the places 0 to n − 1. So a run with two
workers has the same users, tokens, addresses and symbols as the same run with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

OVERFLOW: Final = 1_000_000
"""Places from here on belong to unplanned users, beyond those that the run was divided for."""
OVERFLOW_EACH: Final = 100_000


def interleave(counts: Sequence[int], which: int, k: int) -> int:
    """Return the place of item ``k`` of one of several evenly merged sequences.

    Item ``j`` of a sequence of ``n`` stands at ``(2j + 1) / 2n`` of the whole. Of two items at
    one point, the one of the earlier sequence comes first. Each place is taken once.

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
        rank: of this worker; None for a worker that joined after the division.
        worker: its index with the master, unique to it.
    """

    counts: Mapping[str, Sequence[int]]
    rank: int | None
    worker: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """How many users of each group the run has, in the order of the groups."""
        return {group: sum(counts) for group, counts in self.counts.items()}

    def place(self, group: str, k: int) -> int | None:
        """Return the place of this worker's user ``k`` of a group; None for an unplanned user."""
        number = self.number(group, k)
        if number is None:
            return None
        groups = list(self.counts)
        return interleave(list(self.totals.values()), groups.index(group), number)

    def number(self, group: str, k: int) -> int | None:
        """Return this worker's user ``k`` as a number in its group; None for an unplanned user."""
        counts = self.counts.get(group)
        if counts is None or self.rank is None or k >= counts[self.rank]:
            return None
        return interleave(counts, self.rank, k)


class Places:
    """Assigns this process's places, in the order in which Locust spawns its users."""

    def __init__(self, division: Division | None = None) -> None:
        self._division = division
        self._taken: dict[str, int] = {}
        self._unplanned = 0

    @property
    def total(self) -> int:
        """How many users the whole run was divided for; 0 without a division."""
        return 0 if self._division is None else sum(self._division.totals.values())

    @property
    def own(self) -> int:
        """How many of them this process has; 0 when it joined after the division."""
        division = self._division
        if division is None or division.rank is None:
            return 0
        return sum(counts[division.rank] for counts in division.counts.values())

    def newest(self, group: str) -> int:
        """Return the number in its group of the user that was spawned last, from 0.

        The number counts over all workers when the user was planned.
        """
        k = max(0, self._taken.get(group, 0) - 1)
        number = self._division.number(group, k) if self._division is not None else None
        return k if number is None else number

    def take(self, group: str) -> tuple[int, bool]:
        """Return the next user's place, and whether it was planned."""
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
