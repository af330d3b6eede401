"""``AsyncServer``: ``socketio.AsyncServer`` on this package's transport.

python-socketio keeps packets, namespaces, event handlers and the interface that people
know. What is under it is ours: sessions, rooms, fan-out, and the reading of packets, which
is strict and in order.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import socketio
from socketio import packet as packets
from socketio.exceptions import ConnectionRefusedError as Refused

from gateway.transport import standardjson
from gateway.transport.decoding import MalformedPacket, Reassembly, decode
from gateway.transport.engine import EngineServer, takes
from gateway.transport.environ import RequestEnviron
from gateway.transport.fanout import FanOut, OnDone
from gateway.transport.parcels import LOSSLESS, Flow, Lane, Parcel
from gateway.transport.rooms import Member, Rooms, member_of
from gateway.transport.session import EngineSession

OnEvent = Callable[[str, object, tuple[object, ...], int], Any]
OnWelcome = Callable[[str], None]
OnBreach = Callable[[str | None, str], None]

_CONNECT_TIMEOUT_S: Final = 45.0  # Socket.IO's own
_REJECTED: Final = {"message": "Connection rejected by server"}
_RESERVED: Final = frozenset({"connect", "disconnect"})

log = logging.getLogger("gateway.transport")


class AsyncServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio ships no types
    """A Socket.IO 5 server for aiohttp.

    Args:
        client_manager: a ``Rooms``, or a class that mixes one in.
        connect_timeout: s from the opening of a transport to the CONNECT of its client.
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
        self._on_event = on_event
        self._on_welcome = on_welcome
        self._on_breach = on_breach
        self._reassembly = Reassembly(self.eio.max_http_buffer_size)
        self.fanout = FanOut()
        self.eio.application = self
        self.environ = _Environs(self.eio)

    # Sending

    def _flow(self, event: str) -> Flow:
        return self._flows.get(event, LOSSLESS)

    def _parcels(
        self, event: str, data: Any, namespace: str, ack_id: int | None = None
    ) -> list[Parcel]:
        """Encode an event: one parcel, and one more for each binary part."""
        if isinstance(data, tuple):
            arguments = [event, *data]
        else:
            arguments = [event] if data is None else [event, data]
        return self._encode(packets.EVENT, arguments, namespace, ack_id)

    def _encode(
        self, kind: int, data: Any, namespace: str, ack_id: int | None = None
    ) -> list[Parcel]:
        text = self._encode_plain(kind, data, namespace, ack_id)
        if text is not None:
            return [Parcel(text.encode())]
        encoded = self.packet_class(kind, namespace=namespace, data=data, id=ack_id).encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        return [
            Parcel(part.encode()) if isinstance(part, str) else Parcel(bytes(part), is_binary=True)
            for part in parts
        ]

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
        rooms: str | Collection[str] | None = None,
        skip: Iterable[str | None] = (),
        on_done: OnDone | None = None,
    ) -> int:
        """Send an event, encoded once, to everybody who is in the rooms now, one copy each.

        Args:
            event: its name.
            data: the payload; a tuple is several arguments.
            namespace: where.
            rooms: a room or several; ``None`` for the whole namespace.
            skip: clients that are left out.
            on_done: called with the ns that it took to reach the last one.

        Returns:
            How many clients it is for.
        """
        sessions = self.manager.sessions(namespace, rooms, skip)
        if not sessions:
            return 0
        flow = self._flow(event)
        parcels = self._parcels(event, data, namespace)
        if flow.conflate_by and len(parcels) == 1 and isinstance(data, Mapping):
            parcels[0].conflatable(
                event, data, flow, lambda payload: self._parcels(event, payload, namespace)[0]
            )
        for parcel in parcels[:-1]:
            self.fanout.submit(flow.lane, parcel, sessions)
        self.fanout.submit(flow.lane, parcels[-1], sessions, on_done)
        return len(sessions)

    def send_to(self, member: Member, event: str, data: Any, ack_id: int | None = None) -> None:
        """Send an event to one client, behind what waits in the event's lane."""
        self._send_parcels(
            member.session,
            self._parcels(event, data, member.namespace, ack_id),
            self._flow(event).lane,
        )

    def _send_parcels(
        self, session: EngineSession, parcels: list[Parcel], lane: Lane = Lane.LOSSLESS
    ) -> None:
        if self.fanout.is_idle(lane):
            for parcel in parcels:
                session.send(parcel)
        else:
            for parcel in parcels:
                self.fanout.submit(lane, parcel, [session])

    def reply(self, sid: str, event: str, data: Any) -> bool:
        """Send an event to one client at once, ahead of what waits in the lanes.

        Returns:
            Whether the client was there.
        """
        member = self.manager.member(sid)
        if member is None:
            return False
        for parcel in self._parcels(event, data, "/"):
            member.session.send(parcel)
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
        (parcel,) = self._parcels(event, data, "/")
        if self.fanout.is_idle(lane):
            session.settle()
            session.send(parcel)
            on_sent()
            return True

        def finished(_took_ns: int) -> None:
            on_sent()

        self.fanout.submit(lane, parcel, [session], finished)
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
        for parcel in self._encode(packets.DISCONNECT, None, namespace):
            session.send(parcel)
        self._part(member, self.reason.SERVER_DISCONNECT)
        if not any(other.is_connected for other in session.members):
            self.eio.close(session, self.reason.SERVER_DISCONNECT)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Disconnect a client; where the manager is shared, in whatever process it is."""
        namespace = namespace or "/"
        if ignore_queue or await self.manager.can_disconnect(sid, namespace):
            self.kick(sid, namespace)

    def close_transport(self, sid: str, reason: str) -> None:
        """Close a client's transport without a DISCONNECT, so that a stock client returns."""
        member = self.manager.member(sid)
        if member is not None:
            self.eio.close(member.session, reason)

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        session = self.eio.sockets.get(eio_sid)
        if session is not None:
            encoded = pkt.encode()
            for part in encoded if isinstance(encoded, list) else [encoded]:
                session.send(
                    Parcel(part.encode()) if isinstance(part, str) else Parcel(part, is_binary=True)
                )

    def instrument(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: the admin interface reaches into the stock transport.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the admin interface is not available on this transport")

    # Sessions: what stands on the engine

    def opened(self, _session: EngineSession) -> None:
        """Note a new session."""
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()

    def closed(self, session: EngineSession, reason: str) -> None:
        """Take the clients of a session that has ended out of every table."""
        self._reassembly.drop(session)
        for member in session.members:
            self._part(member, reason)

    def breached(self, session: EngineSession, what: str) -> None:
        """Say goodbye to the clients of a session that is closed for a breach."""
        if self._on_breach is not None:
            member = member_of(session, "/")
            self._on_breach(None if member is None else member.sid, what)
        else:
            log.warning("protocol breach: %s", what)
        for member in session.members:
            if member.is_connected:
                for parcel in self._encode(packets.DISCONNECT, None, member.namespace):
                    session.send(parcel)

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Take one message: a packet, or a binary part of one."""
        try:
            if isinstance(data, bytes):
                complete = self._reassembly.add(session, data)
                if complete is None:
                    return
                packet, size = complete
            else:
                self._reassembly.expect_none(session)
                packet = decode(data, self.packet_class)
                size = len(data) if data.isascii() else len(data.encode())
                if packet.attachment_count:
                    self._expect_parts(session, packet, size)
                    return
            self._take(session, packet, size)
        except MalformedPacket as error:
            self.eio.breach(session, str(error))

    def _expect_parts(self, session: EngineSession, packet: Any, size: int) -> None:
        if member_of(session, packet.namespace or "/") is None:
            raise MalformedPacket("a binary event before CONNECT")
        if self._on_event is not None:
            raise MalformedPacket("binary event")
        self._reassembly.begin(session, packet, size)
        due_ns = self.eio.now_ns() + self.eio.body_timeout_ns
        session.attachments_due_ns = due_ns
        self.eio.wake_at(session, due_ns)

    def _take(self, session: EngineSession, packet: Any, size: int) -> None:
        session.attachments_due_ns = 0
        kind = packet.packet_type
        namespace = packet.namespace or "/"
        member = member_of(session, namespace)
        if kind == packets.CONNECT:
            if member is not None:
                raise MalformedPacket("a second CONNECT")
            session.in_order(lambda: self._connect(session, namespace, packet.data))
        elif member is None:
            raise MalformedPacket("a packet before CONNECT")
        elif kind in (packets.ACK, packets.BINARY_ACK):
            self._acknowledge(session, member, packet)  # its handler may be what awaits it
        elif kind == packets.DISCONNECT:
            session.in_order(lambda: self._leave(member))
        else:
            name = packet.data[0]
            if self._on_event is None and (not isinstance(name, str) or name in _RESERVED):
                raise MalformedPacket("an event with a reserved name, or none")
            session.in_order(lambda: self._handle(member, packet, size))

    # Connecting

    def _connect(self, session: EngineSession, namespace: str, auth: Any) -> Any:
        if member_of(session, namespace) is not None:
            self.eio.breach(session, "a second CONNECT")
            return None
        member = self.manager.join(session, namespace) if self._serves(namespace) else None
        if member is None:
            self._refuse(session, namespace, {"message": "Invalid namespace"})
            return None
        if self.always_connect:
            self._accept(member)
        session.cork()
        try:
            answer = self._call_connect(member, auth)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises refuses the client
            self._connected(member, error)
            return None
        if inspect.isawaitable(answer):
            return self._connect_later(member, answer)
        self._connected(member, answer)
        return None

    def _serves(self, namespace: str) -> bool:
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == "*"
            or namespace in self.namespaces
        )

    def _call_connect(self, member: Member, auth: Any) -> Any:
        arguments: tuple[Any, ...] = (member.sid, member.session.environ)
        handler, prefixed = self._get_event_handler(
            "connect", member.namespace, (*arguments, auth or None)
        )
        if handler is not None:
            # The older signature has no auth.
            return handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        handler, prefixed = self._get_namespace_handler(
            member.namespace, (*arguments, auth or None)
        )
        if handler is None:
            return None
        method = getattr(handler, "on_connect", None)
        if method is not None and not takes(method, len(prefixed)):
            prefixed = prefixed[:-1]
        return handler.trigger_event("connect", *prefixed)

    async def _connect_later(self, member: Member, answer: Awaitable[Any]) -> None:
        try:
            outcome = await answer
        except Exception as error:  # noqa: BLE001 - as above
            outcome = error
        self._connected(member, outcome)

    def _connected(self, member: Member, outcome: object) -> None:
        """Answer a CONNECT with what its handler returned or raised."""
        session = member.session
        try:
            if member not in session.members:
                return  # it left while the handler ran
            if isinstance(outcome, Exception) or outcome is False:
                reason = _refusal_of(outcome)
                self.manager.part(member)
                self._refuse(session, member.namespace, reason)
            elif not self.always_connect:
                self._accept(member)
        finally:
            session.uncork()

    def _accept(self, member: Member) -> None:
        session = member.session
        member.is_connected = True
        session.admission_due_ns = 0
        for parcel in self._encode(packets.CONNECT, {"sid": member.sid}, member.namespace):
            session.send_past(parcel)
        if self._on_welcome is not None and member.namespace == "/":
            self._on_welcome(member.sid)

    def _refuse(self, session: EngineSession, namespace: str, reason: Any) -> None:
        kind = packets.DISCONNECT if self.always_connect else packets.CONNECT_ERROR
        for parcel in self._encode(kind, reason, namespace):
            session.send_past(parcel)

    # Leaving

    def _leave(self, member: Member) -> None:
        session = member.session
        self._part(member, self.reason.CLIENT_DISCONNECT)
        if not session.members and session.is_open and self.eio.connect_timeout_ns:
            # The client may connect again; a transport without a client is not kept for ever.
            session.admission_due_ns = self.eio.now_ns() + self.eio.connect_timeout_ns
            self.eio.wake_at(session, session.admission_due_ns)

    def _part(self, member: Member, reason: str) -> None:
        """Call the disconnect handler and take the client out of its rooms."""
        was_connected = member.is_connected
        member.is_connected = False
        try:
            if was_connected:
                waiting = self._call_disconnect(member, reason)
                if waiting is not None:
                    self.eio.spawn(self._part_later(member, waiting))
                    self.manager.mute(member)
                    return
        except Exception:
            log.exception("disconnect handler failed")
        self.manager.part(member)

    async def _part_later(self, member: Member, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        finally:
            self.manager.part(member)

    def _call_disconnect(self, member: Member, reason: str) -> Any:
        arguments = (member.sid, reason)
        handler, prefixed = self._get_event_handler("disconnect", member.namespace, arguments)
        if handler is not None:
            answer = handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        else:
            handler, prefixed = self._get_namespace_handler(member.namespace, arguments)
            answer = None if handler is None else handler.trigger_event("disconnect", *prefixed)
        return answer if inspect.isawaitable(answer) else None

    # Events

    def _handle(self, member: Member, packet: Any, size: int) -> Any:
        if not member.is_connected:
            return None
        name, *arguments = packet.data
        try:
            if self._on_event is not None:
                answer = self._on_event(member.sid, name, tuple(arguments), size)
            else:
                answer = self._dispatch(member, name, arguments)
        except Exception:
            log.exception("event handler failed")
            return None
        if inspect.isawaitable(answer):
            return self._answer_later(member, packet.id, answer)
        self._answer(member, packet.id, answer)
        return None

    def _dispatch(self, member: Member, name: str, arguments: list[Any]) -> Any:
        handler, prefixed = self._get_event_handler(
            name, member.namespace, (member.sid, *arguments)
        )
        if handler is not None:
            return handler(*prefixed)
        handler, prefixed = self._get_namespace_handler(member.namespace, (member.sid, *arguments))
        return self.not_handled if handler is None else handler.trigger_event(name, *prefixed)

    async def _answer_later(self, member: Member, ack_id: int | None, waiting: Any) -> None:
        try:
            answer = await waiting
        except Exception:
            log.exception("event handler failed")
            return
        self._answer(member, ack_id, answer)

    def _answer(self, member: Member, ack_id: int | None, answer: Any) -> None:
        if ack_id is None or answer is self.not_handled or not member.is_connected:
            return
        data = [] if answer is None else list(answer) if isinstance(answer, tuple) else [answer]
        parcels = self._encode(packets.ACK, data, member.namespace, ack_id)
        if self._on_event is not None:
            for parcel in parcels:
                member.session.send(parcel)
        else:
            self._send_parcels(member.session, parcels)

    def _acknowledge(self, session: EngineSession, member: Member, packet: Any) -> None:
        callback = (member.callbacks or {}).pop(packet.id, None)
        if callback is None:
            if member.callbacks is None:
                self.eio.breach(session, "an acknowledgement that nobody asked for")
            return
        try:
            answer = callback(*packet.data)
        except Exception:
            log.exception("acknowledgement callback failed")
            return
        if inspect.isawaitable(answer):
            self.eio.spawn(_await(answer))

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer


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


async def _await(waiting: Awaitable[Any]) -> None:
    await waiting


def _refusal_of(outcome: object) -> Any:
    """Return what a refused client is told: what the handler said, never an error's text."""
    if isinstance(outcome, Refused):
        return outcome.error_args
    if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionRefusedError):
        log.error("connect handler failed", exc_info=outcome)
    return _REJECTED


def _quiet_logger(name: str) -> logging.Logger:
    """Return a logger that never says INFO: both libraries print tokens there."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger
