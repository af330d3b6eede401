"""``AppliedStreams``: the last number of every stream, as one node has applied them.

Redis gives the numbers. It keeps streams in two generations: a stream that is used moves to the
young one, and at a turn, once a retention, the old one is forgotten. Each turn and each stream
that is kept alive is an entry of the log, so all nodes know the same streams at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gateway.channels import rooms_of, streams_of_room, symbol_channel_of
from gateway.contract import user_room, user_stream
from gateway.stream_table import StreamTable


class _Applied:
    """The last number of a stream, and the generation in which it was used last."""

    __slots__ = ("generation", "last")

    def __init__(self, last: int, generation: int) -> None:
        self.last = last
        self.generation = generation


class AppliedStreams(StreamTable[_Applied]):
    """The last number of every stream, of rooms and of users.

    Args:
        on_symbol_forgotten: called with the id of each stream of a symbol that is forgotten.
    """

    def __init__(self, on_symbol_forgotten: Callable[[str], None]) -> None:
        super().__init__("")
        self._on_symbol_forgotten = on_symbol_forgotten
        self._generation = 0
        self._floor = 0
        self._unnumbered: dict[str, None] = {}  # held user streams that Redis does not keep yet

    def load(
        self, epoch: str, floor: int, young: Mapping[str, int], old: Mapping[str, int]
    ) -> None:
        """Take all numbers anew.

        Args:
            epoch: the log's.
            floor: the number before a new user's first.
            young: the last numbers of the young generation.
            old: those of the old one.
        """
        self.epoch, self._floor = epoch, floor
        self._streams.clear()
        for channel in self._of_symbols.values():
            channel.clear()
        self._generation += 1
        for stream, number in old.items():
            self._begin(stream, number, self._generation - 1)
        for stream, number in young.items():
            self._begin(stream, number, self._generation)
        self._unnumbered = {
            stream: None
            for room in self._members
            for stream in streams_of_room(room)
            if self._is_user(stream) and stream not in self._streams
        }

    def apply(self, stream: str, number: int) -> bool:
        """Take a stream's next number.

        Returns:
            Whether it follows the last one.
        """
        applied = self._streams.get(stream)
        if applied is None:
            self._begin(stream, number, self._generation)
            self._unnumbered.pop(stream, None)
            return number == 1 or not self._is_user(stream) or number == self._floor + 1
        follows = number == applied.last + 1
        applied.last = number
        applied.generation = self._generation
        return follows

    def keep(self, stream: str, number: int) -> None:
        """Note that a stream was kept alive, or begun.

        Args:
            stream: its id.
            number: its last number.
        """
        applied = self._streams.get(stream)
        if applied is None:
            self._begin(stream, number, self._generation)
            self._unnumbered.pop(stream, None)
        else:
            applied.generation = self._generation

    def turn(self, floor: int) -> None:
        """Forget the old generation, and let the young one grow old.

        Args:
            floor: the number before the first of a user's stream that begins from now on.
        """
        forgotten = [
            stream
            for stream, applied in self._streams.items()
            if applied.generation < self._generation
        ]
        for stream in forgotten:
            self._forget(stream)
        self._generation += 1
        self._floor = floor

    def in_danger(self) -> list[str]:
        """Return the streams that somebody here receives and that the next turn would forget."""
        return [
            stream
            for stream, applied in self._streams.items()
            if applied.generation < self._generation
            and any(room in self._members for room in rooms_of(stream))
        ]

    def unnumbered(self) -> list[str]:
        """Return the streams of users here that Redis does not keep yet."""
        return list(self._unnumbered)

    def last_user(self, user_id: str) -> int:
        """Return the last number of a user's stream."""
        applied = self._streams.get(user_stream(user_id))
        return self._floor if applied is None else applied.last

    def hold_user(self, user_id: str, _now_ns: int) -> None:
        """Note that a client has entered its user's room, which it must ``release``.

        Args:
            user_id: the user.
        """
        stream = user_stream(user_id)
        if stream not in self._streams:
            self._unnumbered[stream] = None
        self.hold((user_room(user_id),))

    def release(self, rooms: Iterable[str], _now_ns: int) -> None:
        """Note that a client has left rooms that it held.

        Args:
            rooms: the rooms.

        Raises:
            KeyError: no client holds one of them.
        """
        for room in rooms:
            if self._leave(room):
                for stream in streams_of_room(room):
                    self._unnumbered.pop(stream, None)

    @staticmethod
    def _is_user(stream: str) -> bool:
        return stream.startswith(user_stream(""))

    def _begin(self, stream: str, number: int, generation: int) -> None:
        self._add(stream, _Applied(number, generation))

    def _forget(self, stream: str) -> None:
        del self._streams[stream]
        channel = symbol_channel_of(stream)
        if channel is not None:
            del self._of_symbols[channel][stream]
            self._on_symbol_forgotten(stream)
