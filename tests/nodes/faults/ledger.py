"""What clients of several nodes were owed, and what each of them got. Pure.

It knows two things of each publication: its number in the stream, which the gateway gave, and its
``n``, which the publisher gave. A gap in either is a loss, unless ``resync`` or a new subscription
came between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

_BREAK = None
"""In a list of ``n``: the client was told that events may lack here, or it subscribed anew."""


@dataclass
class Findings:
    """What went wrong at one client, or at all of them."""

    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    leaked: int = 0

    def add(self, other: Findings) -> None:
        """Add what went wrong at another client."""
        self.lost += other.lost
        self.doubled += other.doubled
        self.reordered += other.reordered
        self.leaked += other.leaked


@dataclass
class Account:
    """One client, over all its connections.

    Attributes:
        user: its user.
        epoch: the epoch that it knows.
        positions: the last number of each stream that it has.
        told: the reasons of its ``resync`` events.
        newest: the highest ``n`` of each stream that it has.
    """

    user: str
    epoch: str = ""
    positions: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    newest: Counter[str] = field(default_factory=Counter)
    _seen: dict[str, list[int | None]] = field(default_factory=dict)
    _numbers: Findings = field(default_factory=Findings)

    def connected(self, welcome: Mapping[str, Any]) -> None:
        """Take the welcome event. A client that returns goes on from its private events.

        It is in no room until it subscribes. An order of its own may come before that, by its
        user's room, with a number of the stream of all orders.
        """
        own = f"user:{self.user}"
        if not self.epoch:
            self.epoch = welcome["epoch"]
            self.positions[own] = welcome["userSeq"]
        self.positions = {own: self.positions[own]}
        for stream, seen in self._seen.items():
            if stream != own:
                seen.append(_BREAK)

    def subscribed(self, at: Mapping[str, int]) -> None:
        """Take the numbers after which the events of a subscription begin."""
        for stream, number in at.items():
            self.positions[stream] = number
            self._seen.setdefault(stream, []).append(_BREAK)

    def resync(self, event: Mapping[str, Any]) -> None:
        """Take that events may lack."""
        self.told.append(event["reason"])
        if event["epoch"] != self.epoch:
            # Receipts are lost with the log, so what was sent again may come again.
            self._seen = {stream: [] for stream in self._seen}
        self.epoch = event["epoch"]
        self.positions = {f"user:{self.user}": event["userSeq"]}
        for seen in self._seen.values():
            seen.append(_BREAK)

    def event(self, stream: str, number: int, n: int, previous: int | None = None) -> None:
        """Take an event.

        Args:
            stream: its stream.
            number: its number there.
            n: the publisher's number.
            previous: its ``prevSeq``; the number before by default.
        """
        seen = self._seen.setdefault(stream, [])
        position = self.positions.get(stream)
        before = number - 1 if previous is None else previous
        if position is not None and number > position:
            self._numbers.lost += max(0, before - position)
            self._numbers.doubled += before < position
        elif position is not None:
            self._numbers.reordered += n not in seen
        if before != number - 1:
            seen.append(_BREAK)  # conflated on purpose, as prevSeq says
        seen.append(n)
        self.positions[stream] = number
        self.newest[stream] = max(self.newest[stream], n)

    def leak(self) -> None:
        """Note an event with something private of another user."""
        self._numbers.leaked += 1

    def findings(self, accepted: Mapping[str, Sequence[int]]) -> Findings:
        """Return what went wrong.

        Args:
            accepted: by stream, the ``n`` of each accepted publication, in order.
        """
        by_n = Findings()
        for stream, seen in self._seen.items():
            by_n.add(compare(seen, accepted.get(stream, ())))
        found = self._numbers
        return Findings(
            max(found.lost, by_n.lost),
            max(found.doubled, by_n.doubled),
            max(found.reordered, by_n.reordered),
            found.leaked,
        )


def compare(seen: Sequence[int | None], accepted: Sequence[int]) -> Findings:
    """Return what went wrong in one stream.

    Args:
        seen: the ``n`` of each event in the order of arrival, with breaks.
        accepted: those of all accepted publications, in order.
    """
    found = Findings()
    numbers = [n for n in seen if n is not _BREAK]
    found.doubled = len(numbers) - len(set(numbers))
    found.reordered = sum(after < before for before, after in pairwise(numbers))
    had = set(numbers)
    for run in _runs(seen):
        found.lost += sum(run[0] < n < run[-1] and n not in had for n in accepted)
    last = max(numbers, default=accepted[-1] if accepted else 0)
    found.lost += sum(n > last for n in accepted)
    return found


def _runs(seen: Iterable[int | None]) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    for n in seen:
        if n is _BREAK:
            runs.append([])
        else:
            runs[-1].append(n)
    return [run for run in runs if run]
