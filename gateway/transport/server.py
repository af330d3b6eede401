"""``AsyncServer``: ``socketio.AsyncServer`` on this package's transport.

python-socketio keeps packets, namespaces, event handlers and the interface that people
know. What is under it is ours: sessions, rooms, fan-out, and the reading of packets, which
is strict and in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import socketio
from socketio import packet as packets

from gateway.transport import standardjson
from gateway.transport.clients import Clients, OnBreach, OnEvent, OnWelcome
from gateway.transport.engine import EngineServer
from gateway.transport.environ import RequestEnviron
from gateway.transport.fanout import FanOut, OnDone
from gateway.transport.parcels import LOSSLESS, Flow, Lane, Parcel
from gateway.transport.rooms import Member, Rooms
from gateway.transport.session import EngineSession

_CONNECT_TIMEOUT_S: Final = 45.0  # Socket.IO's own

log = logging.getLogger("gateway.transport")


class AsyncServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio ships no types
    """A Socket.IO 5 server for aiohttp.

    Args:
        client_manager: a ``Rooms``, or a class that mixes one in.
        connect_timeout: s from the opening of a transport until its client's CONNECT is accepted.
        flows: how events of a name are sent, where not in order and whole.
        on_event: ``(sid, name, arguments, size in bytes) -> acknowledgement``, or an awaitable
            of it; takes the place of the handlers of events, but not of ``connect`` and
            ``disconnect``. ``name`` is what the client sent there, of any JSON type.
        on_welcome: ``(sid)``, right behind a client's CONNECT.
        on_breach: ``(sid or None before CONNECT, what)``, before a client is closed for it.
        json: module with ``dumps`` and ``loads``; without one the standard library's, but what
            JavaScript cannot read (NaN, infinities) is neither sent nor taken.
        logger: as ``socketio.AsyncServer`` takes it; INFO is never said, tokens are in it.
        **options: as ``socketio.AsyncServer`` and ``EngineServer`` take them.

    Raises:
        ValueError: an option that this transport does not have.
    """

    def __init__(
        self,
        client_manager: Rooms | None = None,
        logger: Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: Any = None,
        *,
        connect_timeout: float = _CONNECT_TIMEOUT_S,
        flows: Mapping[str, Flow] | None = None,
        on_event: OnEvent | None = None,
        on_welcome: OnWelcome | None = None,
        on_breach: OnBreach | None = None,
        **options: Any,
    ) -> None:
        if client_manager is not None and not isinstance(client_manager, Rooms):
            raise ValueError(
                f"client_manager is a {type(client_manager).__name__}; this transport needs a "
                "gateway.transport.Rooms, or a class such as `class Manager(AsyncRedisManager, "
                "Rooms)`"
            )
        if options.pop("serializer", "default") != "default":
            raise ValueError("serializer: this transport speaks the default one alone")
        engineio_logger = options.pop("engineio_logger", False)
        if isinstance(engineio_logger, bool):
            engineio_logger = _quiet_logger("gateway.transport.engineio")
        if isinstance(logger, bool):
            logger = _quiet_logger("gateway.transport.socketio")
        super().__init__(
            client_manager=client_manager or Rooms(),
            logger=logger,
            async_handlers=async_handlers,
            namespaces=namespaces,
            connect_timeout=connect_timeout,
            engineio_logger=engineio_logger,
            **options,
        )
        # A class of its own: the stock one's json would be every server's in the process.
        self._json = json or standardjson
        self.packet_class = type("Packet", (packets.Packet,), {"json": self._json})
        self.manager_initialized: bool
        self._flows = dict(flows or {})
        self.fanout = FanOut()
        self._clients = Clients(self, on_event, on_welcome, on_breach)
        self.eio.application = self._clients
        self.environ = _Environs(self.eio)

    # Sending

    def _flow(self, event: str) -> Flow:
        return self._flows.get(event, LOSSLESS)

    def _parcel(self, event: str, data: Any, namespace: str, ack_id: int | None = None) -> Parcel:
        """Encode an event."""
        if isinstance(data, tuple):
            arguments = [event, *data]
        else:
            arguments = [event] if data is None else [event, data]
        return self.encode(packets.EVENT, arguments, namespace, ack_id)

    def encode(self, kind: int, data: Any, namespace: str, ack_id: int | None = None) -> Parcel:
        """Return a packet, its binary parts with it."""
        text = self._encode_plain(kind, data, namespace, ack_id)
        if text is not None:
            return Parcel(text)
        return _parcel_of(self.packet_class(kind, namespace=namespace, data=data, id=ack_id))

    def _encode_plain(self, kind: int, data: Any, namespace: str, ack_id: int | None) -> str | None:
        """Encode a packet without looking for binary parts first, ``None`` where it has some."""
        text = str(kind)
        if namespace != "/":
            text += f"{namespace},"
        if ack_id is not None:
            text += str(ack_id)
        if data is None:
            return text
        try:
            return text + str(self._json.dumps(data, separators=(",", ":")))
        except (TypeError, ValueError):  # bytes, or what no JSON can hold: the slow way tells
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
    ) -> int:
        """Send an event, encoded once, to everybody who is in the rooms now, one copy each.

        Args:
            event: its name.
            data: the payload; a tuple is several arguments.
            namespace: where.
            rooms: a room or several; ``None`` for the whole namespace.
            skip: clients that are left out.
            on_done: called with the ns that it took to reach the last one.
            is_passable: a reply that goes behind the lane may overtake it.

        Returns:
            How many clients it is for.
        """
        sessions = self.manager.sessions(namespace, rooms, skip)
        early = self.manager.waiting(namespace, rooms)
        if not sessions and not early:
            return 0
        flow = self._flow(event)
        parcel = self._parcel(event, data, namespace)
        if flow.conflate_by is not None and isinstance(data, Mapping):
            parcel.conflatable(
                (namespace, event),
                data,
                flow,
                lambda payload: self._parcel(event, payload, namespace),
            )
        for member in early:
            _send_early(member, parcel)
        if sessions:
            self.fanout.submit(flow.lane, parcel, sessions, on_done, is_passable=is_passable)
        return len(sessions) + len(early)

    def send_to(self, member: Member, event: str, data: Any, ack_id: int | None = None) -> None:
        """Send an event to one client, behind what waits in the event's lane."""
        parcel = self._parcel(event, data, member.namespace, ack_id)
        if member.is_connected:
            self.send_parcel(member.session, parcel, self._flow(event).lane)
        else:
            _send_early(member, parcel)

    def send_parcel(
        self, session: EngineSession, parcel: Parcel, lane: Lane = Lane.LOSSLESS
    ) -> None:
        """Send a parcel to one session, behind what waits in a lane."""
        if self.fanout.is_idle(lane):
            session.send(parcel)
        else:
            self.fanout.submit(lane, parcel, [session])

    def reply(self, sid: str, event: str, data: Any) -> bool:
        """Send an event to one client at once, ahead of what waits in the lanes.

        Returns:
            Whether the client was there.
        """
        member = self.manager.member(sid)
        if member is None:
            return False
        member.session.send(self._parcel(event, data, "/"))
        return True

    def reply_behind(
        self, sid: str, event: str, data: Any, lane: Lane, on_sent: Callable[[], None]
    ) -> bool:
        """Send an event to one client behind everything that a lane holds for it.

        Args:
            sid: the client.
            event: the event's name.
            data: its payload.
            lane: the lane whose events it must not overtake.
            on_sent: called when it has been sent; at once where the lane is idle.

        Returns:
            Whether it was sent at once.
        """
        member = self.manager.member(sid)
        if member is None:
            on_sent()
            return True
        session = member.session
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

    def enter_rooms(self, sid: str, rooms: Iterable[str]) -> None:
        """Let a client into rooms of the default namespace; one that is gone is ignored."""
        member = self.manager.member(sid)
        if member is not None:
            for room in rooms:
                self.manager.enter(member, room)

    def leave_rooms(self, sid: str, rooms: Iterable[str]) -> None:
        """Take a client out of rooms of the default namespace."""
        member = self.manager.member(sid)
        if member is not None:
            for room in rooms:
                self.manager.leave(member, room)

    def kick(self, sid: str, namespace: str = "/") -> None:
        """Disconnect a client; the transport of one that has no other namespace is closed."""
        member = self.manager.member(sid, namespace)
        if member is None:
            return
        session = member.session
        session.send(self.encode(packets.DISCONNECT, None, namespace))
        waiting = self._clients.part(member, self.reason.SERVER_DISCONNECT)
        if waiting is not None:
            self.eio.spawn(waiting)
        if not any(other.is_connected for other in session.members):
            self.eio.close(session, self.reason.SERVER_DISCONNECT)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Disconnect a client; where the manager is shared, in whatever process it is."""
        namespace = namespace or "/"
        if ignore_queue or await self.manager.can_disconnect(sid, namespace):
            await self.fanout.flushed()  # what was emitted to it before comes before
            self.kick(sid, namespace)

    def close_transport(self, sid: str, reason: str) -> None:
        """Close a client's transport without a DISCONNECT, so that a stock client returns."""
        member = self.manager.member(sid)
        if member is not None:
            self.eio.close(member.session, reason)

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return what was saved for a client; also while its disconnect handler runs.

        Raises:
            KeyError: there is no such client.
        """
        saved: dict[str, Any] = self._saved(sid, namespace).setdefault(namespace or "/", {})
        return saved

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Save an application's data for a client.

        Raises:
            KeyError: there is no such client.
        """
        self._saved(sid, namespace)[namespace or "/"] = session

    def _saved(self, sid: str, namespace: str | None) -> dict[str, Any]:
        member = self.manager.member(sid, namespace)
        if member is None:
            raise KeyError("Session not found")
        session: EngineSession = member.session
        if session.application is None:
            session.application = {}
        return session.application

    def get_environ(self, sid: str, namespace: str | None = None) -> RequestEnviron | None:
        """Return the environ of a client's request, ``None`` when it is not there."""
        member = self.manager.member(sid, namespace)
        return None if member is None else member.session.environ

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        session = self.eio.sockets.get(eio_sid)
        if session is not None:
            session.send(_parcel_of(pkt))

    def instrument(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: the admin interface reaches into the stock transport.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the admin interface is not available on this transport")

    def event_handler(
        self, event: str, namespace: str, arguments: tuple[Any, ...]
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """Return the function that handles an event, and what it is called with."""
        found: tuple[Any, tuple[Any, ...]] = self._get_event_handler(event, namespace, arguments)
        return found

    def namespace_handler(
        self, namespace: str, arguments: tuple[Any, ...]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return the class-based namespace that handles events, and what it is called with."""
        found: tuple[Any, tuple[Any, ...]] = self._get_namespace_handler(namespace, arguments)
        return found

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer


def _parcel_of(packet: Any) -> Parcel:
    encoded = packet.encode()
    return Parcel(*encoded) if isinstance(encoded, list) else Parcel(encoded)


def _send_early(member: Member, parcel: Parcel) -> None:
    """Keep a parcel for a member until its CONNECT is answered; who is leaving gets none."""
    if not member.is_leaving:
        member.early = [*(member.early or ()), parcel]


class _Environs(Mapping[str, RequestEnviron]):
    """The environ of each session, by Engine.IO sid."""

    def __init__(self, engine: EngineServer) -> None:
        self._engine = engine

    def __getitem__(self, eio_sid: str) -> RequestEnviron:
        session: EngineSession = self._engine.sockets[eio_sid]
        return session.environ

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.sockets)

    def __len__(self) -> int:
        return len(self._engine.sockets)


def _quiet_logger(name: str) -> logging.Logger:
    """Return a logger that never says INFO: both libraries print tokens there."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger
