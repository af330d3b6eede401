"""The fast path: the short way of a push from a socket's bytes to the columns of the intake.

A frame that is known, and that continues its stream at this user, needs no decoding, no
event and no call: its number goes into the user's array of last numbers and a line into
the columns. Everything else (private frames, gaps, repeats, answers) stops the fast path, and
takes the user's own way, event by event.
"""

from __future__ import annotations

from array import array
from typing import Final

from loadtests.reading.intake import WHOLE_TEXT, Intake

UNARMED: Final = 0xFFFF_FFFF
"""The last number of a stream that the fast path does not follow: nothing continues it."""
MAX_ARRAY: Final = 1_024
"""A fast path with a slot from here on keeps a dictionary: an array would be mostly empty."""

_LENGTH_16: Final = 126


class FastPath:
    """One user's fast path.

    Args:
        intake: where pushes go.
        owner: the user's number in the columns.

    Attributes:
        is_timed: whether the server's clock is ours; a push is counted and not timed otherwise.
        wanted: names of events that a handler waits for: they are no business of the fast path.
    """

    __slots__ = ("intake", "is_timed", "last", "owner", "wanted")

    def __init__(self, intake: Intake, owner: int) -> None:
        self.intake = intake
        self.owner = owner
        self.is_timed = False
        self.wanted: frozenset[str] = frozenset()
        self.last: array[int] | dict[int, int] = array("I")

    def follow(self, stream: str, number: int) -> None:
        """Expect the number after this one next on a stream."""
        slot = self.intake.slot_of(stream)
        if slot >= len(self.last):
            self._reach(slot)
        self.last[slot] = min(number, UNARMED)

    def last_of(self, stream: str) -> int | None:
        """Return the last number that was followed on a stream, None where none is."""
        try:
            number = self.last[self.intake.slot_of(stream)]
        except LookupError:
            return None
        return None if number == UNARMED else number

    def forget(self, stream: str) -> None:
        """Follow a stream no more."""
        if self.last_of(stream) is not None:
            self.last[self.intake.slot_of(stream)] = UNARMED

    def clear(self) -> None:
        """Follow nothing: a new connection begins."""
        self.last = array("I")

    def take(self, data: bytes, offset: int, stamp_ns: int) -> int:
        """Take whole frames from ``offset`` on, and return where the first that is not ours begins.

        Args:
            data: one read's bytes.
            offset: where a frame begins.
            stamp_ns: the read's stamp.
        """
        intake, last, wanted = self.intake, self.last, self.wanted
        known = intake.memo.young
        size = len(data)
        try:
            while offset < size and data[offset] == WHOLE_TEXT:
                end = offset + 2 + data[offset + 1]
                if end == offset + 2 + _LENGTH_16:
                    end = offset + 4 + (data[offset + 2] << 8 | data[offset + 3])
                elif data[offset + 1] > _LENGTH_16:
                    break
                if end > size:
                    break
                frame = data[offset:end]
                push = known.get(frame) or intake.learn(frame)
                if push is None or last[push.slot] != push.previous:
                    break
                if wanted and push.name in wanted:
                    break
                last[push.slot] = push.number
                if self.is_timed:
                    intake.stamps.append(stamp_ns)
                    intake.pushes.append(push)
                    intake.owners.append(self.owner)
                else:
                    intake.others += 1
                offset = end
        except LookupError:
            pass  # half a frame's head, or a stream that the fast path has never followed
        return offset

    def _reach(self, slot: int) -> None:
        """Make room for a slot."""
        if isinstance(self.last, dict):
            return
        if slot < MAX_ARRAY:
            self.last.extend([UNARMED] * (slot + 1 - len(self.last)))
        else:
            self.last = {place: last for place, last in enumerate(self.last) if last != UNARMED}
