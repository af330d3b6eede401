"""``Rooms``: who is connected to which namespace, and in which of its rooms.

A client manager for python-socketio. The stock one scans all rooms of a namespace, each
client's own among them, whenever somebody leaves; here each client knows its rooms, and a
client's own room is the client.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import socketio

if TYPE_CHECKING:
    from gateway.transport.session import EngineSession


class Member:
    """One Socket.IO client: a session's connection to one namespace.

    Attributes:
        sid: its id, which the client knows as ``socket.id``.
        namespace: where.
        session: over what.
        rooms: the rooms that it is in, without its own.
        is_connected: its CONNECT has been answered, and it is not leaving.
        callbacks: what waits for its acknowledgements.
    """

    __slots__ = ("callbacks", "is_connected", "namespace", "rooms", "session", "sid")

    def __init__(self, sid: str, namespace: str, session: EngineSession) -> None:
        self.sid = sid
        self.namespace = namespace
        self.session = session
        self.rooms: list[str] = []
        self.is_connected = False
        self.callbacks: dict[int, Any] | None = None


class Rooms(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio ships no types
    """The members of every namespace and room of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._members: dict[str, dict[str, Member]] = {}
        self._rooms: dict[str, dict[str, dict[str, EngineSession]]] = {}
        self._ack_ids = itertools.count(1)

    # Members

    def join(self, session: EngineSession, namespace: str) -> Member | None:
        """Enter a session into a namespace, ``None`` when it is there already."""
        if member_of(session, namespace) is not None:
            return None
        sid = self.server.eio.generate_id()
        member = Member(sid, namespace, session)
        self._members.setdefault(namespace, {})[sid] = member
        session.members = (*session.members, member)
        return member

    def part(self, member: Member) -> None:
        """Take a member out of its namespace and of all its rooms."""
        rooms = self._rooms.get(member.namespace, {})
        for room in member.rooms:
            sessions = rooms.get(room)
            if sessions is not None:
                sessions.pop(member.sid, None)
                if not sessions:
                    del rooms[room]
        member.rooms = []
        member.is_connected = False
        member.callbacks = None
        members = self._members.get(member.namespace, {})
        members.pop(member.sid, None)
        if not members:
            self._members.pop(member.namespace, None)
            self._rooms.pop(member.namespace, None)
        session = member.session
        session.members = tuple(other for other in session.members if other is not member)

    def mute(self, member: Member) -> None:
        """Let nothing more reach a member whose disconnect handler still runs."""
        rooms = self._rooms.get(member.namespace, {})
        for room in member.rooms:
            if room in rooms:
                rooms[room].pop(member.sid, None)

    def member(self, sid: str | None, namespace: str | None = None) -> Member | None:
        """Return a member by its id, connected or not."""
        members = self._members.get(namespace or "/")
        return None if members is None or sid is None else members.get(sid)

    def sessions(
        self, namespace: str, rooms: str | Collection[str] | None, skip: Iterable[str | None] = ()
    ) -> list[EngineSession]:
        """Return the sessions of a namespace's rooms at this moment, each once.

        Args:
            namespace: the namespace.
            rooms: a room, a member's id, several of them, or ``None`` for everybody.
            skip: members that are left out.
        """
        skipped = [sid for sid in skip if sid is not None]
        if rooms is None:
            found = {sid: m.session for sid, m in self._members.get(namespace, {}).items()}
        elif isinstance(rooms, str):
            single = self._room(namespace, rooms)
            if not skipped:
                return list(single.values())
            found = dict(single)
        else:
            found = {}
            for room in rooms:
                found.update(self._room(namespace, room))
        for sid in skipped:
            found.pop(sid, None)
        return list(found.values())

    def _room(self, namespace: str, room: str) -> dict[str, EngineSession]:
        sessions = self._rooms.get(namespace, {}).get(room)
        if sessions is not None:
            return sessions
        member = self.member(room, namespace)
        return {} if member is None else {member.sid: member.session}

    def enter(self, member: Member, room: str) -> None:
        """Let a member into a room; twice is once.

        Raises:
            ValueError: the room is another member's own.
        """
        if room == member.sid:
            return
        if self.member(room, member.namespace) is not None:
            raise ValueError("cannot enter a sid room")
        sessions = self._rooms.setdefault(member.namespace, {}).setdefault(room, {})
        if member.sid not in sessions:
            sessions[member.sid] = member.session
            member.rooms.append(room)

    def leave(self, member: Member, room: str) -> None:
        """Take a member out of a room; one that it is not in is fine."""
        rooms = self._rooms.get(member.namespace, {})
        sessions = rooms.get(room)
        if sessions is None or sessions.pop(member.sid, None) is None:
            return
        member.rooms.remove(room)
        if not sessions:
            del rooms[room]

    def room_count(self, namespace: str = "/") -> int:
        """Return how many rooms of a namespace have members, their own not counted."""
        return len(self._rooms.get(namespace, {}))

    def expect_ack(self, member: Member, callback: Any) -> int:
        """Return the id by which a member's acknowledgement will call back."""
        if member.callbacks is None:
            member.callbacks = {}
        ack_id = next(self._ack_ids)
        member.callbacks[ack_id] = callback
        return ack_id

    # python-socketio's client manager

    def get_namespaces(self) -> Collection[str]:
        """Return the namespaces that have members."""
        return self._members.keys()

    def get_participants(
        self, namespace: str, room: str | Collection[str] | None
    ) -> Iterator[tuple[str, str]]:
        """Return ``(sid, Engine.IO sid)`` of the members of a room, each once."""
        found: dict[str, EngineSession] = {}
        if room is None:
            found = {sid: m.session for sid, m in self._members.get(namespace, {}).items()}
        else:
            for one in [room] if isinstance(room, str) else room:
                found.update(self._room(namespace, one))
        yield from ((sid, session.sid) for sid, session in found.items())

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: str | Collection[str] | None = None,
        skip_sid: str | list[str] | None = None,
        callback: Any = None,
        to: str | Collection[str] | None = None,
        **_kwargs: Any,
    ) -> None:
        """Send an event to the members of a room, encoded once."""
        skip = skip_sid if isinstance(skip_sid, list) else [skip_sid]
        target = to or room
        if callback is None:
            self.server.broadcast(event, data, namespace, target, skip)
            return
        for sid, _ in list(self.get_participants(namespace, target)):
            member = self.member(sid, namespace)
            if member is not None and sid not in skip:
                self.server.send_to(member, event, data, self.expect_ack(member, callback))

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Enter a client that is not connected yet; return its id, ``None`` if it is there."""
        session = self.server.eio.sockets.get(eio_sid)
        member = None if session is None else self.join(session, namespace)
        return None if member is None else member.sid

    async def connect(self, sid: str, namespace: str) -> str:
        """Mark a client as connected."""
        member = self.member(sid, namespace)
        if member is not None:
            member.is_connected = True
        return sid

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        """Return whether a client waits for its connect handler."""
        member = self.member(sid, namespace)
        return member is not None and not member.is_connected

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Return whether a client is connected, and not leaving."""
        member = self.member(sid, namespace)
        return member is not None and member.is_connected

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """Return a session's client in a namespace."""
        session = self.server.eio.sockets.get(eio_sid)
        member = None if session is None else member_of(session, namespace)
        return None if member is None else member.sid

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Return a client's session."""
        member = self.member(sid, namespace)
        return None if member is None else member.session.sid

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        """Mark a client as leaving; return its session's id."""
        member = self.member(sid, namespace)
        if member is None:
            return None
        member.is_connected = False
        return member.session.sid

    def basic_disconnect(self, sid: str, namespace: str, **_kwargs: Any) -> None:
        """Take a client out of every table."""
        member = self.member(sid, namespace)
        if member is not None:
            self.part(member)

    def is_sid_room(self, namespace: str, room: str) -> bool:
        """Return whether a room is a client's own."""
        return self.member(room, namespace) is not None

    def basic_enter_room(
        self,
        sid: str,
        namespace: str,
        room: str,
        eio_sid: str | None = None,  # noqa: ARG002
    ) -> None:
        """Let a client into a room.

        Raises:
            ValueError: the client is not there, or the room is another client's own.
        """
        member = self.member(sid, namespace)
        if member is None:
            raise ValueError("sid is not connected to requested namespace")
        self.enter(member, room)

    def basic_leave_room(self, sid: str, namespace: str, room: str) -> None:
        """Take a client out of a room."""
        member = self.member(sid, namespace)
        if member is not None:
            self.leave(member, room)

    def basic_close_room(self, room: str, namespace: str) -> None:
        """Take everybody out of a room.

        Raises:
            ValueError: the room is a client's own.
        """
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot close a sid room")
        for sid, _ in list(self.get_participants(namespace, room)):
            self.basic_leave_room(sid, namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        """Return the rooms that a client is in, its own among them."""
        member = self.member(sid, namespace)
        return [] if member is None else [member.sid, *member.rooms]

    async def trigger_callback(self, sid: str, id: int, data: list[Any]) -> None:  # noqa: A002
        """Call what waits for an acknowledgement; one that nobody waits for is ignored."""
        for namespace in list(self._members):
            member = self.member(sid, namespace)
            if member is not None and member.callbacks and id in member.callbacks:
                answer = member.callbacks.pop(id)(*data)
                if answer is not None and hasattr(answer, "__await__"):
                    await answer
                return


def member_of(session: EngineSession, namespace: str) -> Member | None:
    """Return a session's client in a namespace."""
    for member in session.members:
        if member.namespace == namespace:
            return member
    return None
