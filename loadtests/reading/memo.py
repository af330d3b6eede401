"""A memo of what frames say, for a process that reads the same bytes once a user.

A gateway encodes a broadcast once, so each of its receivers here reads the very same
frame. Two generations: what was not asked for in the last turn is forgotten at the next
but one, and a generation that is full turns early, so memory is bounded.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MAX_ENTRIES: Final = 16_384
"""Of one generation. Default of :class:`Memo`."""

Said = TypeVar("Said")


class Memo(Generic[Said]):
    """Frame → what it says.

    Args:
        max_entries: of one generation; two are held.

    Attributes:
        young: the generation that is being filled; the hot path looks here by itself, and
            asks :meth:`recall` for what it does not find.
    """

    __slots__ = ("_max", "_old", "young")

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max = max_entries
        self._old: dict[bytes, Said] = {}
        self.young: dict[bytes, Said] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def recall(self, frame: bytes) -> Said | None:
        """Return what a frame says where it is still known."""
        said = self.young.get(frame)
        if said is None:
            said = self._old.get(frame)
            if said is not None:
                self.keep(frame, said)
        return said

    def keep(self, frame: bytes, said: Said) -> None:
        """Remember what a frame says."""
        if len(self.young) >= self._max:
            self.turn()
        self.young[frame] = said

    def turn(self) -> None:
        """Forget the older generation and begin a new one."""
        self._old = self.young
        self.young = {}
