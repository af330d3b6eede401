"""``Tier``: one rate, the streams that wait for its next slot, and what the slot sends. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_NS_PER_S: Final = 1_000_000_000
_PREVIOUS: Final = b'"prevSeq":'


class TierRoom(NamedTuple):
    """The members of a room that take its market data at a rate. No publisher can name it."""

    room: str
    rate: int


class Update(NamedTuple):
    """A numbered event of a symbol.

    Attributes:
        event: its name.
        symbol: its symbol.
        rooms: the room of the whole channel, and that of the symbol.
        stream: the id of its stream.
        number: its number there.
        packet: the event, encoded as it was sent.
    """

    event: str
    symbol: str
    rooms: tuple[str, str]
    stream: str
    number: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class SlotFrame:
    """One frame of a slot, encoded for all its recipients.

    Attributes:
        update: the newest event of its stream.
        previous: the last number that the recipients got.
        rooms: the recipients: rooms of the tier, or clients.
        skip: members of the rooms that do not get it.
    """

    update: Update
    previous: int
    rooms: tuple[TierRoom | str, ...]
    skip: tuple[str, ...] = ()

    @property
    def packet(self) -> bytes:
        """The event, encoded, with ``previous`` as its ``prevSeq``."""
        return renumbered(self.update.packet, self.previous)


class _Due:
    """What a stream is to send at the next slot.

    ``joiners`` are members that have a later number than ``previous``, each with that number.
    """

    __slots__ = ("joiners", "newest", "previous")

    def __init__(self, newest: Update) -> None:
        self.newest = newest
        self.previous = newest.number - 1
        self.joiners: dict[str, int] = {}


class Tier:
    """One rate. Its slots are at even distances, whenever its streams have events.

    ::

        events     1  2 3          4       5 6 7
        slots    |-------|-------|-------|-------|
        frames           3               4       7
        prevSeq          0               3       4

    Args:
        rate: frames a second, for each stream.
        phase_ns: when its slots begin, ns after those of a tier without a phase.

    Attributes:
        rooms: the rooms that clients take at this rate, with the number of these clients.
    """

    def __init__(self, rate: int, phase_ns: int = 0) -> None:
        self.rate = rate
        self.rooms: dict[str, int] = {}
        self._slot_ns = _NS_PER_S // rate
        self._phase_ns = phase_ns
        self._ends_ns = 0  # of the slot that is awaited, or was awaited last
        self._is_awaited = False
        self._due: dict[str, _Due] = {}
        self._joining: set[str] = set()  # clients that are joiners of any stream

    def add(self, room: str) -> None:
        """Count a client that takes a room at this rate."""
        self.rooms[room] = self.rooms.get(room, 0) + 1

    def remove(self, room: str) -> None:
        """Count a client less. Streams that nobody takes at this rate wait no longer.

        Raises:
            KeyError: no client takes the room at this rate.
        """
        self.rooms[room] -= 1
        if not self.rooms[room]:
            del self.rooms[room]
            self._due = {
                stream: due for stream, due in self._due.items() if self._carries(due.newest.rooms)
            }

    def _carries(self, rooms: Iterable[str]) -> bool:
        return any(room in self.rooms for room in rooms)

    def offer(self, update: Update, now_ns: int) -> int | None:
        """Take the newest event of a stream, in place of one that waits for the slot.

        Args:
            update: the event.
            now_ns: the time, monotonic ns.

        Returns:
            The end of the slot, when nothing waited before: call ``take`` then.
        """
        due = self._due.get(update.stream)
        if due is None:
            self._due[update.stream] = _Due(update)
        else:
            due.newest = update
        if self._is_awaited:
            return None
        self._is_awaited = True
        slots = (max(now_ns, self._ends_ns) - self._phase_ns) // self._slot_ns + 1
        self._ends_ns = slots * self._slot_ns + self._phase_ns
        return self._ends_ns

    def take(
        self, most: int, apart: Mapping[tuple[str, int], Collection[str]]
    ) -> tuple[list[SlotFrame], bool]:
        """Return the frames of the slot that has ended.

        Args:
            most: how many streams at once.
            apart: clients that hold a symbol and its channel at different rates, by the symbol's
                room and the rate of the channel.

        Returns:
            The frames, and whether more streams wait: call ``take`` again soon.
        """
        frames: list[SlotFrame] = []
        for stream in list(self._due)[:most]:
            frames.extend(self._frames(self._due.pop(stream), apart))
        self._is_awaited = bool(self._due)
        if not self._due:
            self._joining.clear()
        return frames, self._is_awaited

    def _frames(
        self, due: _Due, apart: Mapping[tuple[str, int], Collection[str]]
    ) -> Iterable[SlotFrame]:
        update = due.newest
        rooms = tuple(TierRoom(room, self.rate) for room in update.rooms if room in self.rooms)
        skip = (*apart.get((update.rooms[1], self.rate), ()), *due.joiners)
        yield SlotFrame(update, due.previous, rooms, skip)
        by_number: dict[int, list[str]] = defaultdict(list)
        for sid, number in due.joiners.items():
            by_number[number].append(sid)
        for number, sids in by_number.items():
            if number < update.number:
                yield SlotFrame(update, number, tuple(sids))

    def due_streams(self, room: str) -> list[str]:
        """Return the streams of a whole channel that wait for the slot."""
        return [stream for stream, due in self._due.items() if due.newest.rooms[0] == room]

    def newest(self, stream: str) -> Update | None:
        """Return the event that waits for the slot, ``None`` if the stream has none."""
        due = self._due.get(stream)
        return None if due is None else due.newest

    def position(self, stream: str, sid: str) -> int | None:
        """Return the last number that a member got, ``None`` if it is the stream's last one."""
        due = self._due.get(stream)
        return None if due is None else due.joiners.get(sid, due.previous)

    def join(self, stream: str, sid: str) -> None:
        """Note that a new member has the number that waits for the slot."""
        due = self._due.get(stream)
        if due is not None:
            due.joiners[sid] = due.newest.number
            self._joining.add(sid)

    def leave(self, stream: str, sid: str) -> None:
        """Forget a member that gets a stream at another rate from now on, or no longer."""
        due = self._due.get(stream)
        if due is not None:
            due.joiners.pop(sid, None)

    def forget_waiting(self) -> None:
        """Forget the events that wait for the slot."""
        self._due.clear()
        self._joining.clear()

    def forget(self, sid: str) -> None:
        """Forget a client that has disconnected."""
        if sid in self._joining:
            self._joining.discard(sid)
            for due in self._due.values():
                due.joiners.pop(sid, None)


def renumbered(packet: bytes, previous: int) -> bytes:
    """Return an encoded event of a symbol with another ``prevSeq``.

    The gateway's own fields follow those of the publisher, so the last ``prevSeq`` is its own.
    """
    head, name, rest = packet.rpartition(_PREVIOUS)
    return b"%b%b%d%b" % (head, name, previous, rest[rest.index(b",") :])
