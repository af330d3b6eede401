"""``Participants``: the Socket.IO clients of this process, by namespace and room.

Each client knows its rooms, and its own room is the client itself. So a client that leaves
costs no scan over all rooms.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

from gateway.transport.engine_session import EngineSession
from gateway.transport.parcels import Parcel

_SEVERAL: Final = (list, tuple, set, frozenset)


class Participant:
    """One Socket.IO client: a session's connection to one namespace.

    Args:
        sid: its id, the client's ``socket.id``.
        namespace: the namespace.
        session: the session that carries it.

    Attributes:
        rooms: the rooms that it is in, without its own.
        is_connected: its CONNECT has been answered, and it is not leaving.
        is_leaving: its disconnect handler is running.
        early: parcels sent to it before its CONNECT was answered.
        callbacks: callbacks of the acknowledgements it owes, by id.
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
        self.rooms: list[Any] = []
        self.is_connected = False
        self.is_leaving = False
        self.early: list[Parcel] | None = None
        self.callbacks: dict[int, Any] | None = None


class Participants:
    """The participants of every namespace and room of this process."""

    def __init__(self) -> None:
        self._participants: dict[str, dict[str, Participant]] = {}
        self._rooms: dict[str, dict[Hashable, dict[str, EngineSession]]] = {}
        self._ack_ids = itertools.count(1)
        self._pending = 0

    def join(self, session: EngineSession, namespace: str, sid: str) -> Participant | None:
        """Add a session to a namespace, without receiving any event before ``admit``.

        Args:
            session: the client's session.
            namespace: the namespace.
            sid: the id of the new participant.

        Returns:
            The new participant, ``None`` if the session is in the namespace already.
        """
        if participant_of(session, namespace) is not None:
            return None
        participant = Participant(sid, namespace, session)
        self._pending += 1
        self._participants.setdefault(namespace, {})[sid] = participant
        session.participants = (*session.participants, participant)
        return participant

    def admit(self, participant: Participant) -> list[Parcel]:
        """Let a participant receive the events of its namespace and rooms.

        Returns:
            The parcels sent to it alone before.
        """
        participant.is_connected = True
        self._pending -= 1
        for room in participant.rooms:
            self._sessions_of(participant.namespace, room)[participant.sid] = participant.session
        early, participant.early = participant.early or [], None
        return early

    def part(self, participant: Participant) -> None:
        """Remove a participant from its namespace and all its rooms."""
        if not participant.is_connected and not participant.is_leaving:
            self._pending -= 1
        self._leave_all(participant)
        participant.is_connected = False
        participant.callbacks = None
        participants = self._participants.get(participant.namespace, {})
        participants.pop(participant.sid, None)
        if not participants:
            self._participants.pop(participant.namespace, None)
            self._rooms.pop(participant.namespace, None)
        session = participant.session
        session.participants = tuple(
            other for other in session.participants if other is not participant
        )

    def mute(self, participant: Participant) -> None:
        """Send nothing more to a participant whose disconnect handler is running."""
        participant.is_connected = False
        participant.is_leaving = True
        self._leave_all(participant)

    def _leave_all(self, participant: Participant) -> None:
        rooms = self._rooms.get(participant.namespace, {})
        for room in participant.rooms:
            sessions = rooms.get(room)
            if sessions is not None:
                sessions.pop(participant.sid, None)
                if not sessions:
                    del rooms[room]
        participant.rooms = []

    def _sessions_of(self, namespace: str, room: Hashable) -> dict[str, EngineSession]:
        return self._rooms.setdefault(namespace, {}).setdefault(room, {})

    def find(self, sid: Any, namespace: str | None = None) -> Participant | None:
        """Return a participant by its id, connected or not."""
        participants = self._participants.get(namespace or "/")
        return None if participants is None or sid is None else participants.get(sid)

    def sessions(
        self, namespace: str, rooms: Any, skip: Iterable[str | None] = ()
    ) -> list[EngineSession]:
        """Return the sessions of a namespace's rooms at this moment, each once.

        Args:
            namespace: the namespace.
            rooms: a room, a participant's id, several of them, or ``None`` for the namespace.
            skip: ids of participants to leave out.
        """
        found = self._union(namespace, rooms)
        skipped = [sid for sid in skip if sid in found]
        if skipped:
            found = dict(found)
            for sid in skipped:
                del found[sid]
        return list(found.values())

    def _union(self, namespace: str, rooms: Any) -> Mapping[Any, EngineSession]:
        """Return the participants of rooms. For one room this is its table: do not change it."""
        if rooms is None:
            return {
                sid: participant.session
                for sid, participant in self._participants.get(namespace, {}).items()
                if participant.is_connected
            }
        named = rooms if isinstance(rooms, _SEVERAL) else (rooms,)
        tables = [table for room in named if (table := self._room(namespace, room))]
        if len(tables) == 1:
            return tables[0]
        return {sid: session for table in tables for sid, session in table.items()}

    def has_any(self, rooms: Any) -> bool:
        """Return whether rooms of the default namespace, or participants' ids, have anybody."""
        named = rooms if isinstance(rooms, _SEVERAL) else (rooms,)
        participants = self._participants.get("/", {})
        return self.has_members(named) or any(room in participants for room in named)

    def has_members(self, rooms: Iterable[Hashable]) -> bool:
        """Return whether any of these rooms of the default namespace has anybody."""
        tables = self._rooms.get("/")
        return tables is not None and not tables.keys().isdisjoint(rooms)

    def _room(self, namespace: str, room: Any) -> dict[str, EngineSession]:
        sessions = self._rooms.get(namespace, {}).get(room)
        if sessions is not None:
            return sessions
        participant = self.find(room, namespace)
        if participant is None or not participant.is_connected:
            return {}
        return {participant.sid: participant.session}

    def waiting(self, namespace: str, rooms: Any) -> list[Participant]:
        """Return the participants among these ids whose CONNECT is not answered yet."""
        if not self._pending or rooms is None:
            return []
        named = rooms if isinstance(rooms, _SEVERAL) else (rooms,)
        participants = (self.find(sid, namespace) for sid in named)
        return [
            m for m in participants if m is not None and not m.is_connected and not m.is_leaving
        ]

    def enter(self, participant: Participant, room: Hashable) -> None:
        """Add a participant to a room, if it is not there already.

        Raises:
            ValueError: the room is another participant's id.
        """
        if room == participant.sid:
            return
        if room in self._participants.get(participant.namespace, ()):
            raise ValueError("cannot enter a sid room")
        if participant.is_leaving or room in participant.rooms:
            return
        participant.rooms.append(room)
        if participant.is_connected:
            self._sessions_of(participant.namespace, room)[participant.sid] = participant.session

    def leave(self, participant: Participant, room: Hashable) -> None:
        """Remove a participant from a room, if it is there."""
        if room not in participant.rooms:
            return
        participant.rooms.remove(room)
        rooms = self._rooms.get(participant.namespace, {})
        sessions = rooms.get(room)
        if sessions is not None:
            sessions.pop(participant.sid, None)
            if not sessions:
                del rooms[room]

    def expect_ack(self, participant: Participant, callback: Any) -> int:
        """Keep a callback for a participant's acknowledgement, and return the id to ask with."""
        if participant.callbacks is None:
            participant.callbacks = {}
        ack_id = next(self._ack_ids)
        participant.callbacks[ack_id] = callback
        return ack_id


def participant_of(session: EngineSession, namespace: str) -> Participant | None:
    """Return a session's participant in a namespace, ``None`` if there is none or it is leaving."""
    participant: Participant
    for participant in session.participants:
        if participant.namespace == namespace and not participant.is_leaving:
            return participant
    return None
