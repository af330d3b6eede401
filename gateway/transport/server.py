"""``SocketServer``: sends Socket.IO events, encoded once, to the clients of this process.

It does not depend on python-socketio: ``dropin.AsyncServer`` adds that interface.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from gateway.transport.application import ApplicationHandlers, Hooks
from gateway.transport.clients import Clients
from gateway.transport.counts import EndReason
from gateway.transport.decoding import DISCONNECT, EVENT
from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.fan_out import FanOut, OnDone
from gateway.transport.parcels import LOSSLESS, Flow, Lane, Parcel
from gateway.transport.participants import Participant, Participants

Keep = Callable[[bytes], None]


class SocketServer:
    """The sending side of a Socket.IO 5 server.

    Args:
        engine: the Engine.IO sessions. This server becomes their application.
        participants: the clients and their rooms.
        handlers: the application's handlers.
        hooks: callbacks of a gateway.
        packet_class: encodes and decodes packets with binary parts, as python-socketio's does.
        flows: how an event is delivered, by its name; the default is lossless.
    """

    def __init__(
        self,
        engine: Engine,
        participants: Participants,
        handlers: ApplicationHandlers,
        hooks: Hooks,
        *,
        packet_class: type[Any],
        flows: Mapping[str, Flow],
    ) -> None:
        self.engine = engine
        self.participants = participants
        self.packet_class = packet_class
        self.fanout = FanOut()
        self._json = packet_class.json
        self._flows = flows
        self._clients = Clients(engine, participants, handlers, hooks, self)
        engine.application = self._clients

    def _flow(self, event: str) -> Flow:
        return self._flows.get(event, LOSSLESS)

    def _parcel(self, event: str, data: Any, namespace: str, ack_id: int | None = None) -> Parcel:
        """Return the parcel of an event."""
        if isinstance(data, tuple):
            arguments = [event, *data]
        else:
            arguments = [event] if data is None else [event, data]
        return self.encode(EVENT, arguments, namespace, ack_id)

    def encode(self, kind: int, data: Any, namespace: str, ack_id: int | None = None) -> Parcel:
        """Return the parcel of a packet, with its binary parts.

        Args:
            kind: the packet type.
            data: the payload.
            namespace: the namespace.
            ack_id: the id of the acknowledgement, ``None`` for none.
        """
        text = self._encode_plain(kind, data, namespace, ack_id)
        if text is not None:
            return Parcel(text)
        return parcel_of(self.packet_class(kind, namespace=namespace, data=data, id=ack_id))

    def _encode_plain(self, kind: int, data: Any, namespace: str, ack_id: int | None) -> str | None:
        """Return a packet as text, ``None`` if it has binary parts."""
        text = str(kind)
        if namespace != "/":
            text += f"{namespace},"
        if ack_id is not None:
            text += str(ack_id)
        if data is None:
            return text
        try:
            return text + str(self._json.dumps(data, separators=(",", ":")))
        except (TypeError, ValueError):  # bytes, or no JSON value: the slow path finds out
            return None

    def broadcast(
        self,
        event: str,
        data: Any,
        namespace: str = "/",
        rooms: Any = None,
        skip: Iterable[str | None] = (),
        on_done: OnDone | None = None,
        *,
        is_passable: bool = False,
        keep: Keep | None = None,
    ) -> int:
        """Send an event, encoded once, to the clients that are in the rooms now, one copy each.

        Args:
            event: the event's name.
            data: the payload. A tuple is sent as several arguments.
            namespace: the namespace.
            rooms: a room or several, ``None`` for the whole namespace.
            skip: ids of clients to leave out.
            on_done: called after the last send, with the ns that the sending took.
            is_passable: whether replies may overtake it.
            keep: called with the packet's text, even if there is no recipient.

        Returns:
            The number of recipients.
        """
        sessions = self.participants.sessions(namespace, rooms, skip)
        early = self.participants.waiting(namespace, rooms)
        if not sessions and not early and keep is None:
            return 0
        parcel = self._parcel(event, data, namespace)
        if keep is not None:
            keep(parcel.text)
            if not sessions and not early:
                return 0
        flow = self._flow(event)
        if flow.conflate_by is not None and isinstance(data, Mapping):
            parcel.conflatable(
                (namespace, event),
                data,
                flow,
                lambda payload: self._parcel(event, payload, namespace),
            )
        for participant in early:
            _send_early(participant, parcel)
        if sessions:
            self.fanout.submit(flow.lane, parcel, sessions, on_done, is_passable=is_passable)
        return len(sessions) + len(early)

    def broadcast_encoded(
        self,
        event: str,
        packet: bytes,
        fields: Mapping[str, Any],
        *,
        rooms: Any,
        skip: Iterable[str] = (),
        on_done: OnDone | None = None,
    ) -> int:
        """Send an encoded event to the clients that are in rooms now, one copy each.

        Args:
            event: the event's name.
            packet: the packet's text.
            fields: its fields that the event's flow names.
            rooms: a room or several.
            skip: ids of clients to leave out.
            on_done: called after the last send, with the ns that the sending took.

        Returns:
            The number of recipients.
        """
        sessions = self.participants.sessions("/", rooms, skip)
        early = self.participants.waiting("/", rooms)
        if not sessions and not early:
            return 0
        flow = self._flow(event)
        parcel = Parcel(packet.decode())
        if flow.conflate_by is not None:
            parcel.conflatable(
                ("/", event), fields, flow, lambda payload: self._parcel(event, payload, "/")
            )
        for participant in early:
            _send_early(participant, parcel)
        if sessions:
            self.fanout.submit(flow.lane, parcel, sessions, on_done)
        return len(sessions) + len(early)

    def send_to(
        self, participant: Participant, event: str, data: Any, ack_id: int | None = None
    ) -> None:
        """Send an event to one client, after the queued parcels of the event's lane.

        Args:
            participant: the client.
            event: the event's name.
            data: the payload.
            ack_id: the id of the acknowledgement, ``None`` for none.
        """
        parcel = self._parcel(event, data, participant.namespace, ack_id)
        if participant.is_connected:
            self.send_parcel(participant.session, parcel, self._flow(event).lane)
        else:
            _send_early(participant, parcel)

    def send_parcel(
        self, session: EngineSession, parcel: Parcel, lane: Lane = Lane.LOSSLESS
    ) -> None:
        """Send a parcel to one session, after the queued parcels of a lane.

        Args:
            session: the session.
            parcel: the parcel.
            lane: the lane.
        """
        if self.fanout.is_idle(lane):
            session.send(parcel)
        else:
            self.fanout.submit(lane, parcel, [session])

    def reply(self, sid: str, event: str, data: Any) -> bool:
        """Send an event to one client at once, before the queued parcels of the lanes.

        Args:
            sid: the client.
            event: the event's name.
            data: its payload.

        Returns:
            Whether the client exists.
        """
        participant = self.participants.find(sid)
        if participant is None:
            return False
        participant.session.send(self._parcel(event, data, "/"))
        return True

    def is_behind(self, sid: str) -> bool:
        """Return whether a client has not taken all that was sent to it."""
        participant = self.participants.find(sid)
        return participant is not None and participant.session.is_behind

    def state(self, event: str, data: Mapping[str, Any], number: int) -> Parcel:
        """Return the parcel of a stream's state, for clients that join the stream.

        To a client that cannot keep up, the stream's next event replaces it.

        Args:
            event: the name of the stream's events.
            data: the payload.
            number: the stream's last number. The next event names it as the previous one.
        """
        parcel = self._parcel(event, data, "/")
        parcel.conflatable(("/", event), data, self._flow(event))
        parcel.previous = number
        return parcel

    def reply_parcel(self, sid: str, parcel: Parcel, lane: Lane) -> None:
        """Send a parcel to one client, after the queued parcels of a lane.

        Args:
            sid: the client.
            parcel: the parcel.
            lane: the lane.
        """
        participant = self.participants.find(sid)
        if participant is not None:
            self.send_parcel(participant.session, parcel, lane)

    def reply_encoded(self, sid: str, packet: bytes) -> None:
        """Send a packet's text to one client at once, before the queued parcels of the lanes."""
        participant = self.participants.find(sid)
        if participant is not None:
            participant.session.send(Parcel(packet.decode()))

    def reply_behind(
        self, sid: str, event: str, data: Any, lane: Lane, on_sent: Callable[[], None]
    ) -> bool:
        """Send an event to one client, after all queued parcels of a lane.

        Args:
            sid: the client.
            event: the event's name.
            data: its payload.
            lane: the lane whose events it must not overtake.
            on_sent: called once it has been sent; at once if the lane is idle.

        Returns:
            Whether it was sent at once.
        """
        participant = self.participants.find(sid)
        if participant is None:
            on_sent()
            return True
        session = participant.session
        parcel = self._parcel(event, data, "/")
        parcel.follows_all = True
        if self.fanout.is_idle(lane):
            session.send(parcel)
            on_sent()
            return True

        def finished(_took_ns: int) -> None:
            on_sent()

        self.fanout.submit(lane, parcel, [session], finished, is_passable=True)
        return False

    def get_environ(self, sid: str, namespace: str | None = None) -> RequestEnviron | None:
        """Return the environ of a client's request, ``None`` if the client does not exist."""
        participant = self.participants.find(sid, namespace)
        return None if participant is None else participant.session.environ

    def enter_rooms(self, sid: str, rooms: Iterable[Hashable]) -> None:
        """Add a client to rooms of the default namespace, if it still exists."""
        participant = self.participants.find(sid)
        if participant is not None:
            for room in rooms:
                self.participants.enter(participant, room)

    def leave_rooms(self, sid: str, rooms: Iterable[Hashable]) -> None:
        """Remove a client from rooms of the default namespace."""
        participant = self.participants.find(sid)
        if participant is not None:
            for room in rooms:
                self.participants.leave(participant, room)

    def kick(self, sid: str, namespace: str = "/") -> None:
        """Disconnect a client, and close its transport if it has no other namespace."""
        participant = self.participants.find(sid, namespace)
        if participant is None:
            return
        session = participant.session
        session.send(self.encode(DISCONNECT, None, namespace))
        waiting = self._clients.part(participant, EndReason.SERVER_DISCONNECT)
        if waiting is not None:
            self.engine.spawn(waiting)
        if not any(other.is_connected for other in session.participants):
            self.engine.close(session, EndReason.SERVER_DISCONNECT)

    def close_transport(self, sid: str, reason: str) -> None:
        """Close a client's transport without a DISCONNECT, so that a stock client reconnects."""
        participant = self.participants.find(sid)
        if participant is not None:
            self.engine.close(participant.session, reason)


def parcel_of(packet: Any) -> Parcel:
    """Return the parcel of a packet object, with its binary parts."""
    encoded = packet.encode()
    return Parcel(*encoded) if isinstance(encoded, list) else Parcel(encoded)


def _send_early(participant: Participant, parcel: Parcel) -> None:
    """Keep a parcel for a participant until its CONNECT is answered, unless it is leaving."""
    if not participant.is_leaving:
        participant.early = [*(participant.early or ()), parcel]
