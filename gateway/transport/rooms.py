"""``Rooms``: who is connected to which namespace, and in which of its rooms.

A client manager for python-socketio. The stock one scans all rooms of a namespace, each
client's own among them, whenever somebody leaves; here each client knows its rooms, and a
client's own room is the client.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import socketio

_SEVERAL: Final = (list, tuple, set, frozenset)

if TYPE_CHECKING:
    from gateway.transport.parcels import Parcel
    from gateway.transport.session import EngineSession


class Member:
    """One Socket.IO client: a session's connection to one namespace.

    Attributes:
        sid: its id, which the client knows as ``socket.id``.
        namespace: where.
        session: over what.
        rooms: the rooms that it is in, without its own.
        is_connected: its CONNECT has been answered, and it is not leaving.
        is_leaving: its disconnect handler runs.
        early: what was sent to it before its CONNECT was answered.
        callbacks: what waits for its acknowledgements.
    """

    __slots__ = (
        "callbacks",
        "early",
        "is_connected",
        "is_leaving",
        "namespace",
        "rooms",
        "session",
        "sid",
    )

    def __init__(self, sid: str, namespace: str, session: EngineSession) -> None:
        self.sid = sid
        self.namespace = namespace
        self.session = session
        self.rooms: list[str] = []
        self.is_connected = False
        self.is_leaving = False
        self.early: list[Parcel] | None = None
        self.callbacks: dict[int, Any] | None = None


class Rooms(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio ships no types
    """The members of every namespace and room of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._members: dict[str, dict[str, Member]] = {}
        self._rooms: dict[str, dict[str, dict[str, EngineSession]]] = {}
        self._ack_ids = itertools.count(1)
        self._pending = 0

    # Members

    def join(self, session: EngineSession, namespace: str) -> Member | None:
        """Enter a session into a namespace, ``None`` when it is there already.

        Nothing reaches the new member until ``admit``.
        """
        if member_of(session, namespace) is not None:
            return None
        sid = self.server.eio.generate_id()
        member = Member(sid, namespace, session)
        self._pending += 1
        self._members.setdefault(namespace, {})[sid] = member
        session.members = (*session.members, member)
        return member

    def admit(self, member: Member) -> list[Parcel]:
        """Let a member have what its namespace and its rooms get.

        Returns:
            What was sent to it alone before.
        """
        member.is_connected = True
        self._pending -= 1
        for room in member.rooms:
            self._sessions_of(member.namespace, room)[member.sid] = member.session
        early, member.early = member.early or [], None
        return early

    def part(self, member: Member) -> None:
        """Take a member out of its namespace and of all its rooms."""
        if not member.is_connected and not member.is_leaving:
            self._pending -= 1
        self._leave_all(member)
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
        member.is_connected = False
        member.is_leaving = True
        self._leave_all(member)

    def _leave_all(self, member: Member) -> None:
        rooms = self._rooms.get(member.namespace, {})
        for room in member.rooms:
            sessions = rooms.get(room)
            if sessions is not None:
                sessions.pop(member.sid, None)
                if not sessions:
                    del rooms[room]
        member.rooms = []

    def _sessions_of(self, namespace: str, room: str) -> dict[str, EngineSession]:
        return self._rooms.setdefault(namespace, {}).setdefault(room, {})

    def member(self, sid: str | None, namespace: str | None = None) -> Member | None:
        """Return a member by its id, connected or not."""
        members = self._members.get(namespace or "/")
        return None if members is None or sid is None else members.get(sid)

    def sessions(
        self, namespace: str, rooms: Any, skip: Iterable[str | None] = ()
    ) -> list[EngineSession]:
        """Return the sessions of a namespace's rooms at this moment, each once.

        Args:
            namespace: the namespace.
            rooms: a room, a member's id, several of them, or ``None`` for everybody.
            skip: members that are left out.
        """
        found = self._union(namespace, rooms)
        skipped = [sid for sid in skip if sid in found]
        if skipped:
            found = dict(found)
            for sid in skipped:
                del found[sid]
        return list(found.values())

    def _union(self, namespace: str, rooms: Any) -> Mapping[Any, EngineSession]:
        """Return the members of rooms; of one room its own table, not to be changed."""
        if rooms is None:
            return {
                sid: member.session
                for sid, member in self._members.get(namespace, {}).items()
                if member.is_connected
            }
        named = rooms if isinstance(rooms, _SEVERAL) else (rooms,)
        tables = [table for room in named if (table := self._room(namespace, room))]
        if len(tables) == 1:
            return tables[0]
        return {sid: session for table in tables for sid, session in table.items()}

    def _room(self, namespace: str, room: Any) -> dict[str, EngineSession]:
        sessions = self._rooms.get(namespace, {}).get(room)
        if sessions is not None:
            return sessions
        member = self.member(room, namespace)
        if member is None or not member.is_connected:
            return {}
        return {member.sid: member.session}

    def waiting(self, namespace: str, rooms: Any) -> list[Member]:
        """Return the members named by their ids whose CONNECT is not answered yet."""
        if not self._pending or rooms is None:
            return []
        named = rooms if isinstance(rooms, _SEVERAL) else (rooms,)
        members = (self.member(sid, namespace) for sid in named)
        return [m for m in members if m is not None and not m.is_connected and not m.is_leaving]

    def enter(self, member: Member, room: str) -> None:
        """Let a member into a room; twice is once.

        Raises:
            ValueError: the room is another member's own.
        """
        if room == member.sid:
            return
        if self.member(room, member.namespace) is not None:
            raise ValueError("cannot enter a sid room")
        if member.is_leaving or room in member.rooms:
            return
        member.rooms.append(room)
        if member.is_connected:
            self._sessions_of(member.namespace, room)[member.sid] = member.session

    def leave(self, member: Member, room: str) -> None:
        """Take a member out of a room; one that it is not in is fine."""
        if room not in member.rooms:
            return
        member.rooms.remove(room)
        rooms = self._rooms.get(member.namespace, {})
        sessions = rooms.get(room)
        if sessions is not None:
            sessions.pop(member.sid, None)
            if not sessions:
                del rooms[room]

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

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Return ``(sid, Engine.IO sid)`` of the members of a room, each once."""
        members = list(self._union(namespace, room).items())
        yield from ((sid, session.sid) for sid, session in members)

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
        for sid, _ in self.get_participants(namespace, target):
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
        if member is not None and not member.is_connected:
            self.admit(member)
        return sid

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        """Return whether a client waits for its connect handler."""
        member = self.member(sid, namespace)
        return member is not None and not member.is_connected and not member.is_leaving

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
        self.mute(member)
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
        for sid, _ in self.get_participants(namespace, room):
            self.basic_leave_room(sid, namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        """Return the rooms that a client is in, its own among them."""
        member = self.member(sid, namespace)
        return [] if member is None else [member.sid, *member.rooms]

    def _generate_ack_id(self, sid: str, callback: Any) -> int:
        """Return the id of an acknowledgement; a shared manager's own is one, too."""
        for namespace in self._members:
            member = self.member(sid, namespace)
            if member is not None:
                return self.expect_ack(member, callback)
        return super()._generate_ack_id(sid, callback)  # type: ignore[no-any-return]

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
    """Return a session's client in a namespace, one that is leaving not counted."""
    for member in session.members:
        if member.namespace == namespace and not member.is_leaving:
            return member
    return None
