"""``Rooms``: the participants of this process as python-socketio's client manager.

python-socketio's own manager scans all rooms of a namespace whenever a client leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import socketio

from gateway.transport.participants import Participants, participant_of


class Rooms(Participants, socketio.AsyncManager):  # type: ignore[misc]  # python-socketio ships no types
    """A client manager for ``AsyncServer``; mix it into another, such as ``AsyncRedisManager``."""

    def __init__(self) -> None:
        Participants.__init__(self)
        socketio.AsyncManager.__init__(self)

    def get_namespaces(self) -> Collection[str]:
        """Return the namespaces that have participants."""
        return self._participants.keys()

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Yield ``(sid, Engine.IO sid)`` of the participants of a room, each once."""
        participants = list(self._union(namespace, room).items())
        yield from ((sid, session.sid) for sid, session in participants)

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
        """Send an event to the participants of a room, encoded once.

        Args:
            event: the event's name.
            data: the payload.
            namespace: the namespace.
            room: a room or several, ``None`` for the whole namespace.
            skip_sid: ids of participants to leave out.
            callback: called with each participant's acknowledgement.
            to: takes the place of ``room``.
        """
        skip = skip_sid if isinstance(skip_sid, list) else [skip_sid]
        target = to or room
        if callback is None:
            self.server.broadcast(event, data, namespace, target, skip)
            return
        for sid, _ in self.get_participants(namespace, target):
            participant = self.find(sid, namespace)
            if participant is not None and sid not in skip:
                self.server.send_to(
                    participant, event, data, self.expect_ack(participant, callback)
                )

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Add a client that is not connected yet; return its id, ``None`` if it is there."""
        session = self.server.eio.sockets.get(eio_sid)
        participant = (
            None
            if session is None
            else self.join(session, namespace, self.server.eio.generate_id())
        )
        return None if participant is None else participant.sid

    async def connect(self, sid: str, namespace: str) -> str:
        """Mark a client as connected."""
        participant = self.find(sid, namespace)
        if participant is not None and not participant.is_connected:
            self.admit(participant)
        return sid

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        """Return whether a client's connect handler is running."""
        participant = self.find(sid, namespace)
        return (
            participant is not None and not participant.is_connected and not participant.is_leaving
        )

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Return whether a client is connected and not leaving."""
        participant = self.find(sid, namespace)
        return participant is not None and participant.is_connected

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """Return the id of a session's client in a namespace."""
        session = self.server.eio.sockets.get(eio_sid)
        participant = None if session is None else participant_of(session, namespace)
        return None if participant is None else participant.sid

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Return the id of a client's session."""
        participant = self.find(sid, namespace)
        return None if participant is None else participant.session.sid

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        """Mark a client as leaving; return its session's id."""
        participant = self.find(sid, namespace)
        if participant is None:
            return None
        self.mute(participant)
        return participant.session.sid

    def basic_disconnect(self, sid: str, namespace: str, **_kwargs: Any) -> None:
        """Remove a client from every table."""
        participant = self.find(sid, namespace)
        if participant is not None:
            self.part(participant)

    def is_sid_room(self, namespace: str, room: str) -> bool:
        """Return whether a room is a client's id."""
        return self.find(room, namespace) is not None

    def basic_enter_room(
        self,
        sid: str,
        namespace: str,
        room: str,
        eio_sid: str | None = None,  # noqa: ARG002
    ) -> None:
        """Add a client to a room.

        Args:
            sid: the client.
            namespace: its namespace.
            room: the room.
            eio_sid: ignored.

        Raises:
            ValueError: the client does not exist, or the room is another client's id.
        """
        participant = self.find(sid, namespace)
        if participant is None:
            raise ValueError("sid is not connected to requested namespace")
        self.enter(participant, room)

    def basic_leave_room(self, sid: str, namespace: str, room: str) -> None:
        """Remove a client from a room, if it is there.

        Args:
            sid: the client.
            namespace: its namespace.
            room: the room.
        """
        participant = self.find(sid, namespace)
        if participant is not None:
            self.leave(participant, room)

    def basic_close_room(self, room: str, namespace: str) -> None:
        """Remove all clients from a room.

        Raises:
            ValueError: the room is a client's id.
        """
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot close a sid room")
        for sid, _ in self.get_participants(namespace, room):
            self.basic_leave_room(sid, namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        """Return a client's rooms, its own id first."""
        participant = self.find(sid, namespace)
        return [] if participant is None else [participant.sid, *participant.rooms]

    def _generate_ack_id(self, sid: str, callback: Any) -> int:
        """Return the id of an acknowledgement, for a client or for a shared manager itself."""
        for namespace in self._participants:
            participant = self.find(sid, namespace)
            if participant is not None:
                return self.expect_ack(participant, callback)
        return super()._generate_ack_id(sid, callback)  # type: ignore[no-any-return]

    async def trigger_callback(self, sid: str, id: int, data: list[Any]) -> None:  # noqa: A002
        """Call the callback of an acknowledgement, if there is one.

        Args:
            sid: the client.
            id: the id of the acknowledgement.
            data: its arguments.
        """
        for namespace in list(self._participants):
            participant = self.find(sid, namespace)
            if participant is not None and participant.callbacks and id in participant.callbacks:
                answer = participant.callbacks.pop(id)(*data)
                if answer is not None and hasattr(answer, "__await__"):
                    await answer
                return
