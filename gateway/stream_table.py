"""``StreamTable``: the last number of every stream, and the rooms that clients hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from gateway.channels import SubscriptionRequest, streams_of_room, symbol_channel_of
from gateway.contract import CHANNELS


class _Numbered(Protocol):
    last: int


NumberedT = TypeVar("NumberedT", bound=_Numbered)


class StreamTable(Generic[NumberedT]):
    """The last number of every stream, of rooms and of users.

    Attributes:
        epoch: numbers compare only within an epoch.
    """

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._streams: dict[str, NumberedT] = {}
        self._of_symbols: dict[str, dict[str, NumberedT]] = {
            row.name.value: {} for row in CHANNELS.values() if row.takes_symbols
        }
        self._members: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def last(self, stream: str) -> int:
        """Return a stream's last number, 0 when it has none."""
        numbered = self._streams.get(stream)
        return 0 if numbered is None else numbered.last

    def hold(self, rooms: Iterable[str]) -> None:
        """Note that a client has entered rooms; it must ``release`` them."""
        for room in rooms:
            self._members[room] = self._members.get(room, 0) + 1

    def held_rooms(self) -> int:
        """Return how many rooms clients hold."""
        return len(self._members)

    def marks(self, request: SubscriptionRequest) -> dict[str, int]:
        """Return ``at`` of a subscription: the last number of each of its streams."""
        marks: dict[str, int] = {}
        for room in request.rooms:
            of_symbols = self._of_symbols.get(room, {})
            marks |= {stream: numbered.last for stream, numbered in of_symbols.items()}
            marks |= {stream: self.last(stream) for stream in streams_of_room(room)}
        return marks

    def pages(self, size: int) -> Iterator[dict[str, int]]:
        """Yield the last number of every stream; a user's stream is named ``user:ID``.

        A stream that begins meanwhile is on no page, nor is one that is forgotten meanwhile.

        Args:
            size: streams a page.
        """
        names = list(self._streams)
        for start in range(0, len(names), size):
            yield {
                name: numbered.last
                for name in names[start : start + size]
                if (numbered := self._streams.get(name)) is not None
            }

    def _leave(self, room: str) -> bool:
        """Note that a client has left a room that it held, and return whether it was the last one.

        Raises:
            KeyError: no client holds it.
        """
        self._members[room] -= 1
        if self._members[room]:
            return False
        del self._members[room]
        return True

    def _add(self, stream: str, numbered: NumberedT) -> None:
        self._streams[stream] = numbered
        channel = symbol_channel_of(stream)
        if channel is not None:
            self._of_symbols[channel][stream] = numbered
