"""``Membership``: one user's stay in one stream, number by number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StreamCounts:
    """Counts of one stream's deliveries to one user."""

    owed: int = 0
    received: int = 0
    conflated: int = 0
    lost: int = 0
    duplicate: int = 0
    reordered: int = 0
    late: int = 0
    leaked: int = 0

    def add(self, other: StreamCounts) -> None:
        """Add another's counts to these."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Membership:
    """One user's stay in one stream, from join to leave, possibly several times over."""

    __slots__ = ("_forgone", "_last", "_missing", "_start", "counts", "is_open")

    def __init__(self) -> None:
        self.counts = StreamCounts()
        self.is_open = False
        self._start = 0
        self._last = 0
        self._missing: list[tuple[int, int]] = []
        self._forgone: list[tuple[int, int]] | None = None  # made when something is lost

    @property
    def last(self) -> int:
        """The highest number accounted for."""
        return self._last

    def join(self, mark: int) -> None:
        """Begin a stay: the numbers after ``mark`` are owed. A second join changes nothing."""
        if not self.is_open:
            self.is_open = True
            self._start = self._last = mark

    def receive(self, number: int, previous: int) -> None:
        """Take a delivery.

        Args:
            number: its place in the stream.
            previous: ``prevSeq``: numbers between it and ``number`` were conflated for this user.
        """
        counts = self.counts
        if not self.is_open or number <= self._start:
            self._receive_outside(number)
        elif number > self._last:
            known = max(previous, self._last)
            if known > self._last:
                self._missing.append((self._last + 1, min(known, number - 1)))
            counts.conflated += max(0, number - 1 - known)
            counts.received += 1
            self._last = number
        elif _take_out(self._missing, number):
            counts.received += 1
            counts.reordered += 1
        else:
            counts.duplicate += 1

    def advance(self, number: int, conflated: int = 0) -> None:
        """Count the numbers after the last up to this one as received once and in order.

        Args:
            number: the last number that came.
            conflated: how many of them did not come, because they were conflated.
        """
        if self.is_open and number > self._last:
            self.counts.received += number - self._last - conflated
            self.counts.conflated += conflated
            self._last = number

    def leave(self, mark: int) -> None:
        """End a stay at ``mark``: owed numbers that have not come are lost."""
        if not self.is_open:
            return
        counts = self.counts
        mark = max(mark, self._start)
        if mark < self._last:  # the gateway delivered numbers beyond its own mark
            beyond = min(self._last - mark - self._missing_count(mark + 1), counts.received)
            counts.leaked += beyond
            counts.received -= beyond
            self._missing = [(a, min(b, mark)) for a, b in self._missing if a <= mark]
        elif mark > self._last:
            self._missing.append((self._last + 1, mark))
            self._last = mark
        if self._missing:
            self._forgone = [*(self._forgone or ()), *self._missing]
        counts.lost += self._missing_count(0)
        counts.owed = counts.received + counts.conflated + counts.lost
        self.is_open = False
        self._missing = []

    def forgo(self) -> None:
        """Accept no late delivery any more: a new epoch uses the same numbers for others."""
        self._forgone = None

    def owes_nothing(self, last: int) -> bool:
        """Return whether every number up to ``last`` has been accounted for."""
        return not self.is_open or (self._last >= last and not self._missing)

    def _missing_count(self, floor: int) -> int:
        return sum(b - max(a, floor) + 1 for a, b in self._missing if b >= floor)

    def _receive_outside(self, number: int) -> None:
        """Count a delivery outside a stay: late when an ended stay was owed it, else leaked."""
        counts = self.counts
        if self._forgone and _take_out(self._forgone, number):
            counts.lost -= 1
            counts.received += 1
            counts.late += 1
        else:
            counts.leaked += 1


def _take_out(ranges: list[tuple[int, int]], number: int) -> bool:
    """Remove a number from a list of ranges, and return whether one held it."""
    for index, (a, b) in enumerate(ranges):
        if a <= number <= b:
            parts = [(a, number - 1), (number + 1, b)]
            ranges[index : index + 1] = [part for part in parts if part[0] <= part[1]]
            return True
    return False
