"""``Outbox``: sends to one client at once, joined into one write, or through a backlog.

A backlog exists only while the client does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gateway.transport.backlog import Backlog
from gateway.transport.counts import Counts
from gateway.transport.parcels import Parcel
from gateway.transport.websocket import WebSocket

MOST_BYTES_A_WRITE: Final = 65_536


class OutboxOwner(Protocol):
    """What an outbox needs from its engine: limits, counts and the clock."""

    max_send_bytes: int
    max_send_age_ns: int
    counts: Counts
    now_ns: Callable[[], int]


class Outbox(WebSocket):
    """The sending half of a session.

    Args:
        owner: the engine, which has the limits and counts conflated parcels.

    Attributes:
        is_clear: a frame may be written at once: the WebSocket is open and nothing is queued.
        is_open: neither side has closed the session.
    """

    __slots__ = ("_backlog", "_corked", "_corked_bytes", "_owner", "is_open")

    def __init__(self, owner: OutboxOwner) -> None:
        super().__init__()
        self._owner = owner
        self.is_open = True
        self._backlog: Backlog | None = None
        self._corked: list[Parcel] | None = None
        self._corked_bytes = 0

    def answer_poll(self, packet: bytes | None = None) -> None:
        """Answer the open poll with a packet, or with the queued packets."""
        raise NotImplementedError

    def held(self, added_bytes: int) -> None:
        """Note that the queued bytes have grown, or shrunk if negative."""
        raise NotImplementedError

    def outgrown(self) -> None:
        """Close a client that has too many queued bytes."""
        raise NotImplementedError

    def wake_by(self, due_ns: int) -> None:
        """Check the queue at that time or earlier, monotonic ns."""
        raise NotImplementedError

    def send(self, parcel: Parcel) -> None:
        """Send a parcel now, or after the queued ones."""
        if self.is_clear:
            self.put(parcel.frame)
        elif self._corked is not None:
            self._corked.append(parcel)
            self._corked_bytes += len(parcel.frame)
            if self._corked_bytes >= MOST_BYTES_A_WRITE:
                # Write now, to see whether the kernel takes it, and bound the rest.
                self.uncork()
                self.cork()
        else:
            self.hold(parcel)

    def put(self, frames: bytes) -> None:
        """Write frames of packets, and count their bytes."""
        self._owner.counts.sent_bytes += len(frames)
        self.write(frames)

    def cork(self) -> bool:
        """Collect parcels until ``uncork``, to send them in one write.

        Call both within one step that never awaits. Parcels are written earlier when they
        exceed one write. A client that cannot be written to is not corked.

        Returns:
            Whether the caller must call ``uncork``.
        """
        if not self.is_clear:
            return False
        self._corked = []
        self._corked_bytes = 0
        self.is_clear = False
        return True

    def uncork(self) -> None:
        """Write the parcels since ``cork`` at once; a closing session does not queue them."""
        parcels, self._corked = self._corked, None
        if parcels is None:
            return
        can_write = self.transport is not None and not self._is_blocked and not self._backlog
        self.is_clear = can_write and self.is_open
        if not can_write:
            for parcel in parcels:
                self.hold(parcel)
        elif len(parcels) == 1:
            self.put(parcels[0].frame)
        elif parcels:
            self.put(b"".join([parcel.frame for parcel in parcels]))

    def hold(self, parcel: Parcel) -> None:
        """Queue a parcel until it can be written. A closed session drops it."""
        if not self.is_open:
            return
        owner = self._owner
        now_ns = owner.now_ns()
        if parcel.follows_all:
            self.settle()
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog()
        before, conflated = backlog.size, backlog.conflated
        backlog.add(parcel, now_ns)
        owner.counts.conflated += backlog.conflated - conflated
        self.held(backlog.size - before)
        if backlog.lossless_bytes > owner.max_send_bytes:
            self.outgrown()
            return
        self.is_clear = False
        self.answer_poll()
        self.wake_by(now_ns + owner.max_send_age_ns)

    def settle(self) -> None:
        """Make the queued parcels lossless: the next parcel cannot overtake them."""
        backlog = self._backlog
        if backlog:
            before = backlog.size
            backlog.settle(self._owner.now_ns())
            self.held(backlog.size - before)

    @property
    def is_behind(self) -> bool:
        """Whether bytes are queued for the client, here or in the socket's transport."""
        return self._is_blocked or bool(self._backlog)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are queued for the client."""
        backlog = self._backlog
        return 0 if backlog is None else backlog.size

    def take(self, most_bytes: int) -> list[Parcel]:
        """Remove queued parcels and return them for the caller to write.

        Args:
            most_bytes: bytes of frames after which to stop.
        """
        backlog = self._backlog
        if backlog is None:
            return []
        before = backlog.size
        taken = backlog.take(most_bytes)
        self.held(backlog.size - before)
        if not backlog:
            self._backlog = None
        return taken

    def drop_waiting(self) -> None:
        """Drop all queued parcels."""
        waiting_bytes = self.waiting_bytes
        self._backlog = None
        if waiting_bytes:
            self.held(-waiting_bytes)
