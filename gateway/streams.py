"""Streams: numbers every publication; each stream counts from 1 without a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from gateway.channels import rooms_of, streams_of_room, symbol_channel_of
from gateway.contract import USER_RETENTION_SECONDS, user_room, user_stream
from gateway.retention import Retention
from gateway.stream_table import StreamTable

_RETENTION_NS: Final = round(USER_RETENTION_SECONDS * 1e9)
_MOST_STREAMS: Final = 200_000  # about 60 MB
_LOOKS_A_SWEEP: Final = 5_000  # 2 to 3 ms
_LOOKS_FOR_ROOM: Final = 16
_USER_STREAM_PREFIX: Final = user_stream("")


class _Numbered:
    """The last number of a stream, and when it was given."""

    __slots__ = ("last", "used_ns")

    def __init__(self) -> None:
        self.last = 0
        self.used_ns = 0


class Streams(StreamTable[_Numbered]):
    """The last number of every stream, of rooms and of users.

    A stream is kept while a client is in a room that delivers it. Afterwards it is kept for the
    retention, from the last client's leaving or the last publication, whichever is later. A
    model session has no room: it is kept for the retention after its last event.

    Above ``most`` streams, the one that has been silent longest is forgotten early, unless a
    client is in the room of its own.

    A user's numbers never repeat: a stream that begins after others were forgotten goes on above
    the numbers of them all. So the number that a returning client names is never one of another
    count. A user who had a client before any was forgotten begins at 1.

    Args:
        epoch: random for each process. Numbers compare only within an epoch.
        retention_ns: how long a stream that nobody receives is kept, ns.
        most: how many streams are kept.
        on_symbol_forgotten: called with the id of each stream of a symbol that is forgotten.
    """

    def __init__(
        self,
        epoch: str,
        retention_ns: int = _RETENTION_NS,
        most: int = _MOST_STREAMS,
        *,
        on_symbol_forgotten: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(epoch)
        self._on_symbol_forgotten = on_symbol_forgotten
        self._forgotten_early = 0
        self._most = most
        self._retention_ns = retention_ns
        self._retention = Retention(retention_ns)
        self._forgotten_users = 0  # the highest number of a user's forgotten stream
        self._left_ns: dict[str, int] = {}  # when the last client left, by channel with symbols

    def next(self, stream: str, now_ns: int) -> int:
        """Return a stream's next number, which is given from then on.

        Args:
            stream: its id; a user's is ``user:ID``.
            now_ns: the time, monotonic ns.
        """
        numbered = self._streams.get(stream)
        if numbered is None:
            numbered = self._begin(stream, now_ns)
        numbered.last = number = numbered.last + 1
        numbered.used_ns = now_ns
        return number

    def last_user(self, user_id: str) -> int:
        """Return the last number of a user's stream."""
        numbered = self._streams.get(user_stream(user_id))
        if numbered is not None:
            return numbered.last
        return self._before_first(user_room(user_id)) if self._forgotten_users else 0

    def hold_user(self, user_id: str, now_ns: int) -> None:
        """Note that a client has entered its user's room, which it must ``release``.

        Args:
            user_id: the user.
            now_ns: the time, monotonic ns.
        """
        if self._forgotten_users and (stream := user_stream(user_id)) not in self._streams:
            self._begin(stream, now_ns)  # its first number must not rise once it is told
        self.hold((user_room(user_id),))

    def _before_first(self, room: str) -> int:
        """Return the number before the first one of a user's stream, which does not exist yet."""
        return 0 if room in self._members else self._forgotten_users

    def release(self, rooms: Iterable[str], now_ns: int) -> None:
        """Note that a client has left rooms that it held.

        Raises:
            KeyError: no client holds one of them.
        """
        for room in rooms:
            if self._leave(room):
                self._emptied(room, now_ns)

    def sweep(self, now_ns: int) -> int:
        """Forget streams whose retention has passed.

        Returns:
            How many streams ``most`` has cost their retention since the last sweep.
        """
        for stream in self._retention.take_due(now_ns, _LOOKS_A_SWEEP):
            due_ns = self._due_ns(stream, now_ns)
            if due_ns > now_ns:
                self._retention.add(stream, due_ns)
            else:
                self._forget(stream)
        early, self._forgotten_early = self._forgotten_early, 0
        return early

    def _begin(self, stream: str, now_ns: int) -> _Numbered:
        if len(self._streams) >= self._most:
            self._make_room(now_ns)
        numbered = _Numbered()
        self._add(stream, numbered)
        self._retention.add(stream, now_ns + self._retention_ns)
        if stream.startswith(_USER_STREAM_PREFIX):
            numbered.last = self._before_first(rooms_of(stream)[-1])
        return numbered

    def _make_room(self, now_ns: int) -> None:
        """Forget the stream that has been silent longest, if a few looks find one."""
        for _ in range(_LOOKS_FOR_ROOM):
            stream, slot_ends_ns = self._retention.take_first()
            due_ns = self._streams[stream].used_ns + self._retention_ns
            if any(room in self._members for room in rooms_of(stream)[-1:]):
                self._retention.add(stream, now_ns + self._retention_ns)
            elif due_ns >= slot_ends_ns:
                self._retention.add(stream, due_ns)  # it has been used since
            else:
                self._forget(stream)
                self._forgotten_early += due_ns > now_ns
                return

    def _due_ns(self, stream: str, now_ns: int) -> int:
        """Return when a stream may be forgotten, or looked at again if it has clients."""
        rooms = rooms_of(stream)
        if any(room in self._members for room in rooms):
            return now_ns + max(1, self._retention_ns)
        used_ns = self._streams[stream].used_ns
        left_ns = max((self._left_ns.get(room, 0) for room in rooms), default=0)
        return max(used_ns, left_ns) + self._retention_ns

    def _emptied(self, room: str, now_ns: int) -> None:
        """Start the retention of a room's streams: its last client has left."""
        if room in self._of_symbols:
            self._left_ns[room] = now_ns
        for stream in streams_of_room(room):
            numbered = self._streams.get(stream)
            if numbered is not None:
                numbered.used_ns = now_ns

    def _forget(self, stream: str) -> None:
        numbered = self._streams.pop(stream)
        channel = symbol_channel_of(stream)
        if channel is not None:
            del self._of_symbols[channel][stream]
            if self._on_symbol_forgotten is not None:
                self._on_symbol_forgotten(stream)
        elif stream.startswith(_USER_STREAM_PREFIX):
            self._forgotten_users = max(self._forgotten_users, numbered.last)
