"""Whether a user that returns gets the private events that it missed, each once. Pure.

A returning user names the last number that it has (``lastUserSeq``) and its epoch. The numbers
from there to the welcome's ``userSeq`` are those that it missed. They follow in order, or
``resync`` comes. A number that comes over a gap shows that those between are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.results import ReturnOutcome


class PrivateNumbers:
    """One user's private numbers, over all of its connections.

    Attributes:
        last: the highest number that it has; None before the first welcome.
    """

    __slots__ = ("_epoch", "_until", "last")

    def __init__(self) -> None:
        self.last: int | None = None
        self._epoch: object = None
        self._until = 0  # the last number that the user missed

    @property
    def is_current(self) -> bool:
        """Whether it has all that it missed."""
        return self.last is None or self.last >= self._until

    def said(self) -> dict[str, object]:
        """Return what the user says of itself when it connects."""
        return {} if self.last is None else {"lastUserSeq": self.last, "epoch": self._epoch}

    def welcome(self, payload: Mapping[str, Any]) -> bool:
        """Take a welcome, and return whether the gateway owes what the user missed.

        At a first welcome, and of another epoch, it owes nothing from before.
        """
        number, epoch = int(payload["userSeq"]), payload.get("epoch")
        is_owed = self.last is not None and epoch == self._epoch
        if not is_owed:
            self.last = number
        self._epoch = epoch
        self._until = number
        return is_owed

    def resync(self, payload: Mapping[str, Any]) -> None:
        """Take a ``resync``: the user goes on from the number in it."""
        self.last = self._until = int(payload["userSeq"])

    def receive(self, number: int) -> list[ReturnOutcome]:
        """Take a private event.

        Returns:
            What it shows: that it was missed and came, that others before it are lost, or that it
            had come before. Nothing of a live event; the ledger counts those.
        """
        last = number - 1 if self.last is None else self.last
        if number <= last:
            return [ReturnOutcome.DOUBLED]
        lost = max(0, min(number - 1, self._until) - last)
        self.last = number
        replayed = [ReturnOutcome.REPLAYED] if number <= self._until else []
        return [ReturnOutcome.LOST] * lost + replayed

    def close(self) -> list[ReturnOutcome]:
        """Return a loss for each missed event that has not come by the end of the run."""
        if self.last is None:
            return []
        lost = max(0, self._until - self.last)
        self._until = self.last
        return [ReturnOutcome.LOST] * lost
