"""``CountedServer``: a Socket.IO server of either class that counts the events it sends.

A cost is CPU time per event, and python-socketio does not tell how many clients an event reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from gateway.contract import user_room
from gateway.routing import Delivery

Payload = dict[str, Any]


class CountedServer:
    """Sends events to clients and rooms, once a client.

    Args:
        server: ``socketio.AsyncServer`` or a class with its interface.

    Attributes:
        sent: events sent so far, once per recipient.
    """

    def __init__(self, server: Any) -> None:
        self._sio = server
        self._clients: set[str] = set()
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self.sent = 0

    @property
    def clients(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    def add(self, sid: str) -> None:
        """Take a client that connects."""
        self._clients.add(sid)

    def has(self, sid: str) -> bool:
        """Return whether a client is there."""
        return sid in self._clients

    def drop(self, sid: str, rooms: Iterable[str]) -> None:
        """Forget a client that has disconnected, and that it was in rooms."""
        self._clients.discard(sid)
        for room in rooms:
            self._members[room].discard(sid)

    async def enter(self, sid: str, room: str) -> None:
        """Add a client to a room."""
        self._members[room].add(sid)
        await self._sio.enter_room(sid, room)

    async def leave(self, sid: str, room: str) -> None:
        """Remove a client from a room."""
        self._members[room].discard(sid)
        await self._sio.leave_room(sid, room)

    async def to_client(self, sid: str, event: str, payload: Payload) -> None:
        """Send an event to one client.

        Args:
            sid: the client.
            event: the event's name.
            payload: its payload.
        """
        self.sent += 1
        await self._sio.emit(str(event), payload, to=sid)

    async def to_everyone(self, event: str, payload: Payload) -> None:
        """Send an event to every client."""
        self.sent += len(self._clients)
        await self._sio.emit(event, payload)

    async def deliver(self, delivery: Delivery) -> None:
        """Send a frame of a publication to its recipients."""
        event, payload = delivery.event, delivery.payload
        if delivery.client_id is not None:
            if self.has(delivery.client_id):
                await self.to_client(delivery.client_id, event, payload)
            return
        owner = () if delivery.user_id is None else (user_room(delivery.user_id),)
        rooms = [room for room in (*delivery.rooms, *owner) if self._members.get(room)]
        skipped: set[str] = set()
        if delivery.except_user is not None:
            skipped = self._members.get(user_room(delivery.except_user), skipped)
        recipients = set().union(*(self._members[room] for room in rooms)) - skipped
        if recipients:
            self.sent += len(recipients)
            await self._sio.emit(event, payload, room=rooms, skip_sid=list(skipped))
