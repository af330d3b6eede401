"""``Subscriptions``: the rooms of each client, within the limits of client and process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.channels import channel_of_room, is_symbol_room
from gateway.contract import CHANNELS, MAX_ROOMS_PER_CLIENT, MAX_SYMBOLS_PER_PROCESS, Channel
from gateway.errors import TooManySubscriptions


class Subscriptions:
    """The rooms that clients have subscribed to.

    Args:
        max_rooms_per_client: how many rooms a client may have.
        max_symbols_per_process: how many distinct symbols all clients together may have.
    """

    def __init__(
        self,
        max_rooms_per_client: int = MAX_ROOMS_PER_CLIENT,
        max_symbols_per_process: int = MAX_SYMBOLS_PER_PROCESS,
    ) -> None:
        self._max_rooms = max_rooms_per_client
        self._max_symbols = max_symbols_per_process
        self._rooms: dict[str, tuple[str, ...]] = {}  # a tuple takes a quarter of a set's memory
        self._symbol_holders: dict[str, int] = {}
        self._whole_holders: dict[str, int] = {}  # of channels that take symbols
        self._on_first: Callable[[str], None] | None = None
        self._on_last: Callable[[str], None] | None = None
        self._counts = dict.fromkeys(Channel, 0)

    def __len__(self) -> int:
        return len(self._rooms)

    def watch(self, on_first: Callable[[str], None], on_last: Callable[[str], None]) -> None:
        """Set what is called with a room of market data.

        Args:
            on_first: called when the room has got its first client.
            on_last: called when its last client has left.
        """
        self._on_first, self._on_last = on_first, on_last

    def join(self, sid: str, rooms: Sequence[str]) -> tuple[str, ...]:
        """Add rooms to a client, either all new ones or none.

        Args:
            sid: the client.
            rooms: the rooms, each once.

        Returns:
            The rooms that the client did not have before, in the given order.

        Raises:
            TooManySubscriptions: the client would have too many rooms, or the process too many
                symbols.
        """
        held = self._rooms.get(sid, ())
        joined = tuple(room for room in rooms if room not in held)
        if not joined:
            return ()
        if len(held) + len(joined) > self._max_rooms:
            raise TooManySubscriptions(f"Too many subscriptions: at most {self._max_rooms} rooms")
        symbols = [room for room in joined if is_symbol_room(room)]
        fresh = sum(room not in self._symbol_holders for room in symbols)
        if len(self._symbol_holders) + fresh > self._max_symbols:
            raise TooManySubscriptions(
                "Too many subscriptions: this gateway carries no more symbols"
            )
        self._count(joined, 1)
        self._rooms[sid] = held + joined
        for room in joined:
            self._hold(room)
        return joined

    def leave(self, sid: str, rooms: Sequence[str]) -> tuple[str, ...]:
        """Remove rooms from a client.

        Returns:
            The rooms that the client had, in the given order.
        """
        held = self._rooms.get(sid, ())
        left = tuple(room for room in rooms if room in held)
        kept = tuple(room for room in held if room not in left)
        if kept:
            self._rooms[sid] = kept
        else:
            self._rooms.pop(sid, None)
        self._let_go(left)
        return left

    def drop(self, sid: str) -> tuple[str, ...]:
        """Forget a client that has disconnected, and return the rooms that it had."""
        left = self._rooms.pop(sid, ())
        self._let_go(left)
        return left

    def of(self, sid: str) -> tuple[str, ...]:
        """Return a client's rooms, in the order of its subscriptions."""
        return self._rooms.get(sid, ())

    def counts(self) -> dict[Channel, int]:
        """Return the number of subscriptions of each channel. A client counts once per room."""
        return dict(self._counts)

    def total(self) -> int:
        """Return the number of subscriptions."""
        return sum(self._counts.values())

    def symbol_count(self) -> int:
        """Return the number of distinct symbols."""
        return len(self._symbol_holders)

    def _holders_of(self, room: str) -> dict[str, int] | None:
        """Return the table that counts a room's clients, ``None`` if none does."""
        if is_symbol_room(room):
            return self._symbol_holders
        return self._whole_holders if CHANNELS[channel_of_room(room)].takes_symbols else None

    def _hold(self, room: str) -> None:
        holders = self._holders_of(room)
        if holders is None:
            return
        holders[room] = holders.get(room, 0) + 1
        if holders[room] == 1 and self._on_first is not None:
            self._on_first(room)

    def _let_go(self, rooms: Sequence[str]) -> None:
        self._count(rooms, -1)
        for room in rooms:
            holders = self._holders_of(room)
            if holders is None:
                continue
            holders[room] -= 1
            if not holders[room]:
                del holders[room]
                if self._on_last is not None:
                    self._on_last(room)

    def _count(self, rooms: Sequence[str], step: int) -> None:
        for room in rooms:
            self._counts[channel_of_room(room)] += step
