"""``ModelAnswer``: the pieces of a model's answer, and how far each client has received them. Pure.

A client that keeps up receives each piece as it comes. For one that does not, the pieces wait
here and not in its queue. They are joined into one text when it reads again, so a fast model
never fills the queue of a slow client.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.contract import MAX_ANSWER_BYTES
from gateway.llm import ProviderFailure, Trouble

MOST_JOINED_BYTES: Final = 8_192
"""Pieces are joined up to this size. A larger frame would keep a slow client too long from
answering a ping."""


class Joined(NamedTuple):
    """Pieces that are sent in one event.

    Attributes:
        text: the pieces, joined.
        first: the number of the first piece, from 1.
        last: the number of the last piece.
    """

    text: str
    first: int
    last: int


class ModelAnswer:
    """The pieces of an answer, numbered from 1."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def text(self) -> str:
        """The whole answer so far."""
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """Add a piece.

        Raises:
            ProviderFailure: it is no text that UTF-8 can hold, or the answer becomes too large.
        """
        try:
            size = len(piece.encode())
        except UnicodeEncodeError:
            raise ProviderFailure(Trouble.MALFORMED) from None
        if self._bytes + size > MAX_ANSWER_BYTES:
            raise ProviderFailure(Trouble.TOO_LARGE)
        self._pieces.append(piece)
        self._sizes.append(size)
        self._bytes += size

    def after(self, number: int) -> Joined | None:
        """Return the pieces after a number, at least one, joined up to ``MOST_JOINED_BYTES``.

        Returns:
            The pieces, ``None`` if there are none.
        """
        end, size = number, 0
        while end < len(self._pieces):
            size += self._sizes[end]
            if size > MOST_JOINED_BYTES and end > number:
                break
            end += 1
        if end == number:
            return None
        return Joined("".join(self._pieces[number:end]), number + 1, end)
