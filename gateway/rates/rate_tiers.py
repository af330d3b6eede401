"""``RateTiers``: which client takes which room at which rate, and the tiers of all rates. Pure.

A client is in one tier for each stream, or gets every event. The rate of a symbol's own
subscription holds for that symbol, that of the whole channel for all other symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.channels import channel_of_room, is_symbol_room
from gateway.contract import MAX_RATES, named_streams
from gateway.rates.tier import SlotFrame, Tier, TierRoom, Update

EVERY: Final = 0
"""In place of a rate: every event."""
_PHASE_NS: Final = 10_000_000
"""Between the slots of two tiers. The shortest slot holds the slots of all tiers apart."""


@dataclass(slots=True)
class RateChange:
    """What a subscription changes.

    Attributes:
        left: rooms of the transport that the client leaves.
        entered: rooms of the transport that it enters.
        catch_up: events that the client lacks, of streams that it gets at another rate from now
            on, each for this client.
        marks: the last number that it has of its streams, where that is not the stream's last.
    """

    left: Sequence[TierRoom | str] = ()
    entered: Sequence[TierRoom | str] = ()
    catch_up: list[SlotFrame] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)


class RateTiers:
    """The rates of all clients.

    Args:
        rates: the rates, frames a second for each stream.

    Attributes:
        carriers: by room, the tiers in which a client takes it. Empty if no client has a rate.
        apart: clients that hold a symbol and its channel at different rates, by the symbol's room
            and the rate of the channel.
    """

    def __init__(self, rates: Sequence[int] = MAX_RATES) -> None:
        self._tiers = {rate: Tier(rate, place * _PHASE_NS) for place, rate in enumerate(rates)}
        self.carriers: dict[str, tuple[Tier, ...]] = {}
        self.apart: dict[tuple[str, int], dict[str, None]] = {}
        self._rates: dict[str, dict[str, int]] = {}  # by client and room, without EVERY
        self._apart_of: dict[str, list[tuple[str, int]]] = {}

    def __len__(self) -> int:
        return len(self._rates)

    def of(self, sid: str) -> dict[str, int]:
        """Return the rates of a client by room; rooms whose every event it gets are left out."""
        return dict(self._rates.get(sid, {}))

    def subscribe(
        self, sid: str, rooms: Sequence[str], rate: int, held: Sequence[str]
    ) -> RateChange:
        """Let a client take rooms at a rate.

        Args:
            sid: the client.
            rooms: the rooms of its subscription.
            rate: the rate, or ``EVERY``.
            held: the rooms that it held before.
        """
        if not rate and sid not in self._rates:
            return RateChange(entered=rooms)
        old = self._rates_of(sid, held)
        return self._change(sid, old, {**old, **dict.fromkeys(rooms, rate)}, rooms)

    def unsubscribe(self, sid: str, rooms: Sequence[str], held: Sequence[str]) -> RateChange:
        """Let a client leave rooms.

        Args:
            sid: the client.
            rooms: the rooms of its subscription.
            held: the rooms that it held before.
        """
        if sid not in self._rates:
            return RateChange(left=rooms)
        old = self._rates_of(sid, held)
        new = {room: rate for room, rate in old.items() if room not in rooms}
        return self._change(sid, old, new, rooms)

    def drop(self, sid: str) -> None:
        """Forget a client that has disconnected."""
        for room, rate in self._rates.pop(sid, {}).items():
            self._tiers[rate].forget(sid)
            self._tiers[rate].remove(room)
            self._note_carriers(room)
        self._forget_apart(sid)

    def offer(self, update: Update, now_ns: int) -> list[tuple[int, int]]:
        """Take the newest event of a stream.

        Args:
            update: the event.
            now_ns: the time, monotonic ns.

        Returns:
            The rates whose ``take`` is now to be called, each with the time for it.
        """
        channel, symbol = update.rooms
        tiers = dict.fromkeys((*self.carriers.get(channel, ()), *self.carriers.get(symbol, ())))
        offered = [(tier.rate, tier.offer(update, now_ns)) for tier in tiers]
        return [(rate, due_ns) for rate, due_ns in offered if due_ns is not None]

    def take(self, rate: int, most: int) -> tuple[list[SlotFrame], bool]:
        """Return the frames of a rate's slot, and whether more streams wait; see ``Tier.take``.

        Args:
            rate: the rate.
            most: how many streams at once.
        """
        return self._tiers[rate].take(most, self.apart)

    def forget_waiting(self) -> None:
        """Forget the events that wait for a slot: their streams do not go on."""
        for tier in self._tiers.values():
            tier.forget_waiting()

    def tier_rooms(self, rooms: Iterable[str]) -> list[TierRoom]:
        """Return the members of rooms that take market data at a rate."""
        return [TierRoom(room, tier.rate) for room in rooms for tier in self.carriers.get(room, ())]

    def _rates_of(self, sid: str, held: Sequence[str]) -> dict[str, int]:
        rates = self._rates.get(sid, {})
        return {room: rates.get(room, EVERY) for room in held}

    def _change(
        self, sid: str, old: Mapping[str, int], new: Mapping[str, int], rooms: Sequence[str]
    ) -> RateChange:
        change = RateChange()
        for stream in self._due_streams(rooms):
            self._move(sid, stream, old, new, change)
        moved = [room for room in rooms if old.get(room) != new.get(room)]
        change.left = [_room_at(room, old[room]) for room in moved if room in old]
        change.entered = [_room_at(room, new[room]) for room in moved if room in new]
        for room in moved:
            if new.get(room):
                self._tiers[new[room]].add(room)
            if old.get(room):
                self._tiers[old[room]].remove(room)
            self._note_carriers(room)
        self._keep(sid, new)
        return change

    def _due_streams(self, rooms: Sequence[str]) -> dict[str, None]:
        """Return the streams of rooms that wait for a slot in any tier, each once."""
        found: dict[str, None] = {}
        for room in rooms:
            for tier in self._tiers.values():
                streams = named_streams(room) if is_symbol_room(room) else tier.due_streams(room)
                found.update(dict.fromkeys(streams))
        return found

    def _move(
        self,
        sid: str,
        stream: str,
        old: Mapping[str, int],
        new: Mapping[str, int],
        change: RateChange,
    ) -> None:
        """Move a client to its new rate of a stream that waits for a slot."""
        waiting = (tier.newest(stream) for tier in self._tiers.values())
        update = next((update for update in waiting if update is not None), None)
        if update is None:
            return
        before, after = _rate_at(old, update.rooms), _rate_at(new, update.rooms)
        number = self._tiers[before].position(stream, sid) if before else None
        is_behind = number is not None and number < update.number
        if number is not None and is_behind and after in (before, None):
            change.marks[stream] = number
        if after == before:
            return
        if before:
            self._tiers[before].leave(stream, sid)
        if number is not None and is_behind and after is not None:
            change.catch_up.append(SlotFrame(update, number, (sid,)))
        if after:
            self._tiers[after].join(stream, sid)

    def _note_carriers(self, room: str) -> None:
        carriers = tuple(tier for tier in self._tiers.values() if room in tier.rooms)
        if carriers:
            self.carriers[room] = carriers
        else:
            self.carriers.pop(room, None)

    def _keep(self, sid: str, rates: Mapping[str, int]) -> None:
        """Keep a client's rates, and where those of a symbol and its channel differ."""
        self._forget_apart(sid)
        own = {room: rate for room, rate in rates.items() if rate}
        if not own:
            self._rates.pop(sid, None)
            return
        self._rates[sid] = own
        for room, rate in rates.items():
            whole = rates.get(channel_of_room(room).value)
            if is_symbol_room(room) and whole is not None and whole != rate:
                key = (room, whole)
                self.apart.setdefault(key, {})[sid] = None
                self._apart_of.setdefault(sid, []).append(key)

    def _forget_apart(self, sid: str) -> None:
        for key in self._apart_of.pop(sid, ()):
            del self.apart[key][sid]
            if not self.apart[key]:
                del self.apart[key]


def _room_at(room: str, rate: int) -> TierRoom | str:
    return TierRoom(room, rate) if rate else room


def _rate_at(rates: Mapping[str, int], rooms: tuple[str, str]) -> int | None:
    """Return the rate at which a client gets a symbol, ``None`` if it does not get it."""
    channel, symbol = rooms
    rate = rates.get(symbol)
    return rates.get(channel) if rate is None else rate
