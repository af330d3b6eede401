"""A cache of decoded frames, for a process that reads the same bytes once per user.

A gateway encodes a broadcast once, so all its receivers in this process read the same frame.
The memo has two generations. At each turn, the entries that were not used since the previous
turn are dropped. A full generation turns early, so memory is bounded.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MAX_ENTRIES: Final = 16_384
"""Default size of one generation of a :class:`Memo`."""

Said = TypeVar("Said")


class Memo(Generic[Said]):
    """Maps a frame to its decoded content.

    Args:
        max_entries: maximum size of one generation; there are two.

    Attributes:
        young: the generation that is being filled. The hot path looks here first, and calls
            :meth:`recall` for a frame that it does not find.
    """

    __slots__ = ("_max", "_old", "young")

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max = max_entries
        self._old: dict[bytes, Said] = {}
        self.young: dict[bytes, Said] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def recall(self, frame: bytes) -> Said | None:
        """Return the content of a frame, or None for an unknown frame."""
        said = self.young.get(frame)
        if said is None:
            said = self._old.get(frame)
            if said is not None:
                self.keep(frame, said)
        return said

    def keep(self, frame: bytes, said: Said) -> None:
        """Remember the content of a frame."""
        if len(self.young) >= self._max:
            self.turn()
        self.young[frame] = said

    def turn(self) -> None:
        """Drop the older generation and start a new one."""
        self._old = self.young
        self.young = {}
