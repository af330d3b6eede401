"""A user's account in the ledger, with the lane as its front.

Pushes that continue their streams never reach the ledger: the lane keeps the last number
of each. That is enough, because from a stay's mark to the lane's last number each has
come, once and in order. So a stream to which nothing else has happened costs a user two
array items, its mark and its last number. Whatever else happens to it (a gap, a repeat, a
leave) makes a membership of it, and that keeps the books from then on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract import TRADING_STREAM, USER_STREAM
from loadtests.oracles.ledger import Account
from loadtests.oracles.membership import Counts, Membership
from loadtests.reading.fast_path import Lane
from loadtests.reading.intake import MAX_NUMBER, place_of


class LaneAccount(Account):
    """An account whose regular streams are numbers in a lane.

    Args:
        user_id: who it is.
        group: its behaviour, a column of the ledger.
        lane: the user's.
    """

    __slots__ = ("_lane", "_regular", "_starts")

    def __init__(self, user_id: str, group: str, lane: Lane) -> None:
        super().__init__(user_id, group)
        self._lane = lane
        self._regular = array("I")  # slots of streams that need no membership
        self._starts = array("I")  # the mark of each

    def received(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event that the lane did not."""
        if payload.get("snapshot") is True:
            return
        place = place_of(name, payload)
        streams = [] if place is None else [place.stream]
        if USER_STREAM in streams:
            streams.append(TRADING_STREAM)  # the owner's form may stand in both
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
            if self._lane.last[slot] < last_numbers.get(self._listed(self._stream(slot)), 0):
                return False
        for stream in self._streams:
            self._book(stream)
        return super().owes_nothing(last_numbers)

    def open_slots(self, kind: str) -> Iterator[int]:
        """Return the slots of the streams of a kind (``price``) that are owed now."""
        prefix, intake = f"{kind}:", self._lane.intake
        for slot in self._regular:
            if intake.stream_at(slot).startswith(prefix):
                yield slot
        for stream, membership in self._streams.items():
            if membership.is_open and stream.startswith(prefix):
                yield intake.slot_of(stream)

    def close(self, last_numbers: Mapping[str, int]) -> Iterator[tuple[str, Counts]]:
        """End every stay at its stream's last number and return what became of each, once."""
        while self._regular:
            stream = self._stream(self._regular[-1])
            # Not kept: the memberships of thousands of users are not needed at one time.
            membership = self._take_regular(stream)
            membership.leave(last_numbers.get(self._listed(stream), membership.last))
            self._lane.forget(stream)
            yield stream, membership.counts
        for stream in self._streams:
            self._book(stream)
        yield from super().close(last_numbers)

    def _join(self, stream: str, mark: int) -> None:
        if stream in self._streams or mark > MAX_NUMBER:
            super()._join(stream, mark)
            self._follow(stream)
        elif self._lane.last_of(stream) is None:
            self._regular.append(self._lane.intake.slot_of(stream))
            self._starts.append(mark)
            self._lane.follow(stream, mark)

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
        """Have a membership that knows what the lane knows, where the user is in the stream."""
        number = self._lane.last_of(stream)
        if number is None:
            return
        membership = self._streams.get(stream)
        if membership is None:
            self._streams[stream] = self._take_regular(stream)
        else:
            membership.advance(number)

    def _take_regular(self, stream: str) -> Membership:
        place = self._regular.index(self._lane.intake.slot_of(stream))
        self._regular.pop(place)
        membership = Membership()
        membership.join(self._starts.pop(place))
        membership.advance(self._lane.last_of(stream) or 0)
        return membership

    def _follow(self, stream: str) -> None:
        """Have the lane go on from where the membership is."""
        membership = self._streams.get(stream)
        if membership is None:
            return
        if membership.is_open and stream != USER_STREAM:
            self._lane.follow(stream, membership.last)
        else:
            self._lane.forget(stream)

    def _stream(self, slot: int) -> str:
        return self._lane.intake.stream_at(slot)
