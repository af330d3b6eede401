"""``Clients``: the Socket.IO clients on Engine.IO sessions, from CONNECT to the last event.

Packets of a client are handled in the order in which they came; only acknowledgements
overtake a handler that awaits, for it may be what awaits them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from socketio import packet as packets
from socketio.exceptions import ConnectionRefusedError as Refused

from gateway.transport.application import takes
from gateway.transport.decoding import MalformedPacket, Reassembly, decode
from gateway.transport.rooms import Member, member_of
from gateway.transport.session import EngineSession

if TYPE_CHECKING:
    from gateway.transport.server import AsyncServer

OnEvent = Callable[[str, object, tuple[object, ...], int], Any]
OnWelcome = Callable[[str], None]
OnBreach = Callable[[str | None, str], None]

_REJECTED: Final = {"message": "Connection rejected by server"}
_RESERVED: Final = frozenset({"connect", "disconnect"})

log = logging.getLogger("gateway.transport")


class Clients:
    """The application that a Socket.IO server is, to its Engine.IO server.

    Args:
        server: whose handlers are called.
        on_event: as ``AsyncServer`` says.
        on_welcome: the same.
        on_breach: the same.
    """

    def __init__(
        self,
        server: AsyncServer,
        on_event: OnEvent | None,
        on_welcome: OnWelcome | None,
        on_breach: OnBreach | None,
    ) -> None:
        self._server = server
        self._on_event = on_event
        self._on_welcome = on_welcome
        self._on_breach = on_breach
        self._reassembly = Reassembly(server.eio.max_http_buffer_size)

    def opened(self, _session: EngineSession) -> None:
        """Note a new session."""
        if not self._server.manager_initialized:
            self._server.manager_initialized = True
            self._server.manager.initialize()

    def closed(self, session: EngineSession, reason: str) -> None:
        """Take the clients of a session that has ended out of every table."""
        self._reassembly.drop(session)
        for member in session.members:
            if not member.is_leaving:
                self._spawn(self.part(member, reason))

    def breached(self, session: EngineSession, what: str) -> None:
        """Say goodbye to the clients of a session that is closed for a breach."""
        if self._on_breach is not None:
            member = member_of(session, "/")
            self._on_breach(None if member is None else member.sid, what)
        else:
            log.warning("protocol breach: %s", what)
        for member in session.members:
            if member.is_connected:
                session.send(self._server.encode(packets.DISCONNECT, None, member.namespace))

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
                packet = decode(data, self._server.packet_class)
                size = len(data) if data.isascii() else len(data.encode())
                if packet.attachment_count:
                    self._expect_parts(session, packet, size)
                    return
            self._take(session, packet, size)
        except MalformedPacket as error:
            self._server.eio.breach(session, str(error))

    def _expect_parts(self, session: EngineSession, packet: Any, size: int) -> None:
        if member_of(session, packet.namespace or "/") is None:
            raise MalformedPacket("a binary event before CONNECT")
        if self._on_event is not None:
            raise MalformedPacket("binary event")
        self._reassembly.begin(session, packet, size)
        due_ns = self._server.eio.now_ns() + self._server.eio.body_timeout_ns
        session.attachments_due_ns = due_ns
        self._server.eio.wake_at(session, due_ns)

    def _take(self, session: EngineSession, packet: Any, size: int) -> None:
        session.attachments_due_ns = 0
        kind = packet.packet_type
        namespace = packet.namespace or "/"
        if kind == packets.CONNECT:
            session.in_order(lambda: self._connect(session, namespace, packet.data))
        elif kind in (packets.ACK, packets.BINARY_ACK):
            self._acknowledge(session, namespace, packet)  # a handler may await it
        else:
            if kind in (packets.EVENT, packets.BINARY_EVENT) and self._on_event is None:
                name = packet.data[0]
                if not isinstance(name, str) or name in _RESERVED:
                    raise MalformedPacket("an event with a reserved name, or none")
            session.in_order(lambda: self._perform(session, namespace, packet, size))

    def _perform(self, session: EngineSession, namespace: str, packet: Any, size: int) -> Any:
        member = member_of(session, namespace)
        if member is None:
            if session.is_open:
                self._server.eio.breach(session, "a packet before CONNECT")
            return None
        if packet.packet_type == packets.DISCONNECT:
            return self._leave(member)
        return self._handle(member, packet, size)

    # Connecting

    def _connect(self, session: EngineSession, namespace: str, auth: Any) -> Any:
        if member_of(session, namespace) is not None:
            self._server.eio.breach(session, "a second CONNECT")
            return None
        member = self._server.manager.join(session, namespace) if self._serves(namespace) else None
        if member is None:
            self._refuse(session, namespace, {"message": "Invalid namespace"})
            return None
        if self._server.always_connect:
            self._accept(member)
        try:
            answer = self._call_connect(member, auth)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises refuses the client
            self._connected(member, error)
            return None
        if answer is not None and inspect.isawaitable(answer):
            return self._connect_later(member, answer)
        self._connected(member, answer)
        return None

    def _serves(self, namespace: str) -> bool:
        return (
            namespace in self._server.handlers
            or namespace in self._server.namespace_handlers
            or self._server.namespaces == "*"
            or namespace in self._server.namespaces
        )

    def _call_connect(self, member: Member, auth: Any) -> Any:
        arguments: tuple[Any, ...] = (member.sid, member.session.environ)
        handler, prefixed = self._server.event_handler(
            "connect", member.namespace, (*arguments, auth or None)
        )
        if handler is not None:
            # The older signature has no auth.
            return handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        handler, prefixed = self._server.namespace_handler(
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
        except asyncio.CancelledError as error:
            self._connected(member, error)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            outcome = error
        self._connected(member, outcome)

    def _connected(self, member: Member, outcome: object) -> None:
        """Answer a CONNECT with what its handler returned or raised."""
        session = member.session
        if member not in session.members or member.is_leaving:
            return  # it left while the handler ran
        if isinstance(outcome, BaseException) or outcome is False:
            reason = _refusal_of(outcome)
            self._server.manager.part(member)
            self._refuse(session, member.namespace, reason)
        elif not self._server.always_connect:
            self._accept(member)

    def _accept(self, member: Member) -> None:
        session = member.session
        session.admission_due_ns = 0
        session.send(self._server.encode(packets.CONNECT, {"sid": member.sid}, member.namespace))
        early = self._server.manager.admit(member)
        if self._on_welcome is not None and member.namespace == "/":
            self._on_welcome(member.sid)
        for parcel in early:
            session.send(parcel)

    def _refuse(self, session: EngineSession, namespace: str, reason: Any) -> None:
        kind = packets.DISCONNECT if self._server.always_connect else packets.CONNECT_ERROR
        session.send(self._server.encode(kind, reason, namespace))

    # Leaving

    def _leave(self, member: Member) -> Any:
        session = member.session
        waiting = self.part(member, self._server.reason.CLIENT_DISCONNECT)
        engine = self._server.eio
        if session.is_open and engine.connect_timeout_ns and not _connected_members(session):
            # The client may connect again; a transport without a client is not kept for ever.
            session.admission_due_ns = engine.now_ns() + engine.connect_timeout_ns
            engine.wake_at(session, session.admission_due_ns)
        return waiting

    def part(self, member: Member, reason: str) -> Any:
        """Take a client out of its rooms, and call its disconnect handler.

        Returns:
            An awaitable that ends with the handler, ``None`` where it has ended already.
        """
        was_connected = member.is_connected
        if not was_connected:
            self._server.manager.part(member)
            return None
        self._server.manager.mute(member)
        try:
            waiting = self._call_disconnect(member, reason)
        except Exception:
            log.exception("disconnect handler failed")
            waiting = None
        if waiting is not None:
            return self._part_later(member, waiting)
        self._server.manager.part(member)
        return None

    async def _part_later(self, member: Member, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        except Exception:
            log.exception("disconnect handler failed")
        finally:
            self._server.manager.part(member)

    def _spawn(self, waiting: Any) -> None:
        if waiting is not None:
            self._server.eio.spawn(waiting)

    def _call_disconnect(self, member: Member, reason: str) -> Any:
        arguments = (member.sid, reason)
        handler, prefixed = self._server.event_handler("disconnect", member.namespace, arguments)
        if handler is not None:
            answer = handler(*(prefixed if takes(handler, len(prefixed)) else prefixed[:-1]))
        else:
            handler, prefixed = self._server.namespace_handler(member.namespace, arguments)
            answer = None if handler is None else handler.trigger_event("disconnect", *prefixed)
        return answer if answer is not None and inspect.isawaitable(answer) else None

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
            if answer is not None and inspect.isawaitable(answer):
                return self._answer_later(member, packet.id, answer)
            self._answer(member, packet.id, answer)
        except Exception:
            log.exception("event handler failed")
        return None

    def _dispatch(self, member: Member, name: str, arguments: list[Any]) -> Any:
        handler, prefixed = self._server.event_handler(
            name, member.namespace, (member.sid, *arguments)
        )
        if handler is not None:
            return handler(*prefixed)
        handler, prefixed = self._server.namespace_handler(
            member.namespace, (member.sid, *arguments)
        )
        return (
            self._server.not_handled if handler is None else handler.trigger_event(name, *prefixed)
        )

    async def _answer_later(self, member: Member, ack_id: int | None, waiting: Any) -> None:
        try:
            self._answer(member, ack_id, await waiting)
        except Exception:
            log.exception("event handler failed")

    def _answer(self, member: Member, ack_id: int | None, answer: Any) -> None:
        if ack_id is None or answer is self._server.not_handled or not member.is_connected:
            return
        data = [] if answer is None else list(answer) if isinstance(answer, tuple) else [answer]
        parcel = self._server.encode(packets.ACK, data, member.namespace, ack_id)
        if self._on_event is not None:
            member.session.send(parcel)
        else:
            self._server.send_parcel(member.session, parcel)

    def _acknowledge(self, session: EngineSession, namespace: str, packet: Any) -> None:
        member = member_of(session, namespace)
        if member is None:
            raise MalformedPacket("a packet before CONNECT")
        callback = (member.callbacks or {}).pop(packet.id, None)
        if callback is None:
            if member.callbacks is None:
                self._server.eio.breach(session, "an acknowledgement that nobody asked for")
            return
        try:
            answer = callback(*packet.data)
        except Exception:
            log.exception("acknowledgement callback failed")
            return
        if inspect.isawaitable(answer):
            self._spawn(_await(answer))


def _connected_members(session: EngineSession) -> list[Member]:
    return [member for member in session.members if member.is_connected]


async def _await(waiting: Awaitable[Any]) -> None:
    await waiting


def _refusal_of(outcome: object) -> Any:
    """Return what a refused client is told: what the handler said, never an error's text."""
    if isinstance(outcome, Refused):
        return outcome.error_args
    if isinstance(outcome, BaseException) and not isinstance(outcome, ConnectionRefusedError):
        log.error("connect handler failed", exc_info=outcome)
    return _REJECTED
