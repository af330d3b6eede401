"""The fast path: from a socket's bytes to the columns of the intake without decoding.

A known frame that continues its stream at this user needs no decoding, no event and no call.
Its number goes into the user's array of last numbers, and a line goes into the columns. Any
other frame (private frames, gaps, repeats, answers) stops the fast path. The user's own code
then handles it event by event.
"""

from __future__ import annotations

from array import array
from typing import Final

from loadtests.reading.intake import WHOLE_TEXT, Intake

UNARMED: Final = 0xFFFF_FFFF
"""Last number of a stream that the fast path does not follow: no number continues it."""
MAX_ARRAY: Final = 1_024
"""From this slot on, a dictionary replaces the array, which would be mostly empty."""

_LENGTH_16: Final = 126


class FastPath:
    """One user's fast path.

    Args:
        intake: where pushes go.
        owner: the user's number in the columns.

    Attributes:
        is_timed: whether pushes are timed; otherwise they are only counted.
        wanted: names of events that a handler waits for; the fast path stops at them.
        conflated: by slot, how many numbers were conflated and not yet asked for.
    """

    __slots__ = ("conflated", "intake", "is_timed", "last", "owner", "wanted")

    def __init__(self, intake: Intake, owner: int) -> None:
        self.intake = intake
        self.owner = owner
        self.is_timed = False
        self.wanted: frozenset[str] = frozenset()
        self.last: array[int] | dict[int, int] = array("I")
        self.conflated: dict[int, int] = {}

    def follow(self, stream: str, number: int) -> None:
        """Expect ``number + 1`` next on a stream."""
        slot = self.intake.slot_of(stream)
        if slot >= len(self.last):
            self._reach(slot)
        self.last[slot] = min(number, UNARMED)

    def last_of(self, stream: str) -> int | None:
        """Return the last number of a stream that is followed; None for any other stream."""
        try:
            number = self.last[self.intake.slot_of(stream)]
        except LookupError:
            return None
        return None if number == UNARMED else number

    def forget(self, stream: str) -> None:
        """Stop following a stream."""
        if self.last_of(stream) is not None:
            self.last[self.intake.slot_of(stream)] = UNARMED

    def clear(self) -> None:
        """Stop following every stream, for a new connection."""
        self.last = array("I")
        self.conflated = {}

    def take_conflated(self, stream: str) -> int:
        """Return how many numbers of a stream were conflated since the last call."""
        return self.conflated.pop(self.intake.slot_of(stream), 0) if self.conflated else 0

    def take(self, data: bytes, offset: int, stamp_ns: int) -> int:
        """Take whole frames from ``offset`` on; return the offset of the first one not taken.

        Args:
            data: the bytes of one read.
            offset: where a frame begins, bytes.
            stamp_ns: the read stamp, monotonic ns.
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
                if push.conflated:
                    self.conflated[push.slot] = self.conflated.get(push.slot, 0) + push.conflated
                if self.is_timed:
                    intake.stamps.append(stamp_ns)
                    intake.pushes.append(push)
                    intake.owners.append(self.owner)
                else:
                    intake.others += 1
                offset = end
        except LookupError:
            pass  # an incomplete frame header, or a stream that was never followed
        return offset

    def _reach(self, slot: int) -> None:
        """Make room for a slot."""
        if isinstance(self.last, dict):
            return
        if slot < MAX_ARRAY:
            self.last.extend([UNARMED] * (slot + 1 - len(self.last)))
        else:
            self.last = {place: last for place, last in enumerate(self.last) if last != UNARMED}
