"""A user's account in the ledger, with the fast path in front of it.

Pushes that continue their streams never reach the ledger: the fast path keeps only the last
number of each stream, and counts the numbers that were conflated. That is enough: all others from
a stay's mark to the last number have come, once and in order. So a regular stream costs a user two
array items, its mark and its last number. Any other occurrence (a gap, a repeat, a leave) turns
the stream into a membership, which keeps the account from then on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract import USER_STREAM
from loadtests.oracles.ledger import ACCOUNTED, Account
from loadtests.oracles.membership import Membership, StreamCounts
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import MAX_NUMBER, place_of


class FastPathAccount(Account):
    """An account whose regular streams are numbers in a fast path.

    Args:
        user_id: the user's id.
        group: its behaviour, a column of the ledger.
        fast_path: the user's.
    """

    __slots__ = ("_fast_path", "_regular", "_starts")

    def __init__(self, user_id: str, group: str, fast_path: FastPath) -> None:
        super().__init__(user_id, group)
        self._fast_path = fast_path
        self._regular = array("I")  # slots of streams that need no membership
        self._starts = array("I")  # the mark of each

    def received(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event that the fast path did not take."""
        if payload.get("snapshot") is True:
            return
        place = place_of(name, payload)
        streams = set() if place is None else {place.stream}
        if USER_STREAM in streams:
            streams.add(ACCOUNTED[name].stream.kind)  # the owner's form may stand in both
        for stream in streams:
            self._book(stream)
        super().received(name, payload)
        for stream in streams:
            self._follow(stream)

    def disconnected(self) -> None:
        """End every stay where it is."""
        self._book_all()
        super().disconnected()
        for stream in self._streams:
            self._follow(stream)

    def owes_nothing(self, last_numbers: Mapping[str, int]) -> bool:
        """Return whether nothing is outstanding, given the last number of every stream."""
        for slot in self._regular:
            if self._fast_path.last[slot] < last_numbers.get(self._listed(self._stream(slot)), 0):
                return False
        for stream in self._streams:
            self._book(stream)
        return super().owes_nothing(last_numbers)

    def last_of(self, stream: str) -> int:
        """Return the last number of a stream that is accounted for, 0 when there is none."""
        number = self._fast_path.last_of(stream)
        return super().last_of(stream) if number is None else number

    def open_slots(self, kind: str) -> Iterator[int]:
        """Return the slots of the streams of a kind (``price``) that the user is owed now."""
        prefix, intake = f"{kind}:", self._fast_path.intake
        for stream in self._open_streams():
            if stream.startswith(prefix):
                yield intake.slot_of(stream)

    def close(
        self, last_numbers: Mapping[str, int], *, is_sourced: bool = False
    ) -> Iterator[tuple[str, StreamCounts]]:
        """End every stay at its stream's last number, and return the counts of each, once.

        Args:
            last_numbers: the last number of every stream.
            is_sourced: whether market streams may have gone on since those were told.
        """
        while self._regular:
            stream = self._stream(self._regular[-1])
            # The membership is not kept: thousands of users need not have theirs at one time.
            membership = self._take_regular(stream)
            self._end(stream, membership, last_numbers, is_sourced=is_sourced)
            self._fast_path.forget(stream)
            yield stream, membership.counts
        for stream in self._streams:
            self._book(stream)
        yield from super().close(last_numbers, is_sourced=is_sourced)

    def _open_streams(self) -> Iterator[str]:
        yield from map(self._stream, self._regular)
        yield from super()._open_streams()

    def _join(self, stream: str, mark: int) -> None:
        if stream in self._streams or mark > MAX_NUMBER:
            super()._join(stream, mark)
            self._follow(stream)
        elif self._fast_path.last_of(stream) is None:
            self._regular.append(self._fast_path.intake.slot_of(stream))
            self._starts.append(mark)
            self._fast_path.follow(stream, mark)

    def _leave(self, stream: str, at: Mapping[str, int]) -> None:
        self._book(stream)
        super()._leave(stream, at)
        self._follow(stream)

    def _membership(self, stream: str) -> Membership:
        self._book(stream)
        return super()._membership(stream)

    def _book_all(self) -> None:
        for stream in [*map(self._stream, self._regular), *self._streams]:
            self._book(stream)

    def _book(self, stream: str) -> None:
        """Bring a stream's membership to the fast path's last number; make one if there is none."""
        number = self._fast_path.last_of(stream)
        if number is None:
            return
        membership = self._streams.get(stream)
        if membership is None:
            self._streams[stream] = self._take_regular(stream)
        else:
            membership.advance(number, self._fast_path.take_conflated(stream))

    def _take_regular(self, stream: str) -> Membership:
        place = self._regular.index(self._fast_path.intake.slot_of(stream))
        self._regular.pop(place)
        membership = Membership()
        membership.join(self._starts.pop(place))
        membership.advance(
            self._fast_path.last_of(stream) or 0, self._fast_path.take_conflated(stream)
        )
        return membership

    def _follow(self, stream: str) -> None:
        """Let the fast path continue at the membership's last number."""
        membership = self._streams.get(stream)
        if membership is None:
            return
        if membership.is_open and stream != USER_STREAM:
            self._fast_path.follow(stream, membership.last)
        else:
            self._fast_path.forget(stream)

    def _stream(self, slot: int) -> str:
        return self._fast_path.intake.stream_at(slot)
