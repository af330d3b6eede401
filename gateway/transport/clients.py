"""``Clients``: handles the packets of Socket.IO clients, from CONNECT to the last event.

Packets of a client are handled in the order of their arrival. Only acknowledgements overtake
a handler that is awaiting, because it may be awaiting them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.transport import decoding
from gateway.transport.counts import EndReason
from gateway.transport.decoding import MalformedPacket, Reassembly, decode
from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession, Participant
from gateway.transport.parcels import Parcel
from gateway.transport.participants import Participants, participant_of

OnEvent = Callable[[str, object, tuple[object, ...], int], Any]
OnWelcome = Callable[[str], None]
OnBreach = Callable[[str | None, str], None]

NOT_HANDLED: Final = object()
"""The answer of ``dispatch`` to an event without a handler, which is not acknowledged."""
_RESERVED: Final = frozenset({"connect", "disconnect"})

log = logging.getLogger("gateway.transport")


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks of a gateway, as ``AsyncServer`` describes them; ``None`` for none."""

    on_event: OnEvent | None
    on_welcome: OnWelcome | None
    on_breach: OnBreach | None


class ApplicationHandlers(Protocol):
    """An application's handlers."""

    @property
    def always_connect(self) -> bool:
        """Whether CONNECT is answered before its handler is called."""

    def prepare(self) -> None:
        """Prepare for clients. Called for every new session."""

    def serves(self, namespace: str) -> bool:
        """Return whether clients may connect to a namespace."""

    def connect(self, participant: Participant, auth: Any) -> Any:
        """Call the connect handler and return its answer, or an awaitable of it."""

    def disconnect(self, participant: Participant, reason: str) -> Any:
        """Call the disconnect handler and return its awaitable, ``None`` if it has ended."""

    def dispatch(self, participant: Participant, name: str, arguments: list[Any]) -> Any:
        """Call an event's handler and return its answer, an awaitable of it, or ``NOT_HANDLED``.

        Args:
            participant: the client.
            name: the event's name.
            arguments: the event's arguments.
        """

    def refusal(self, outcome: object) -> Any:
        """Return the CONNECT_ERROR payload for a connect handler's answer or exception."""


class Outgoing(Protocol):
    """What ``Clients`` needs from its server."""

    packet_class: type[Any]

    def encode(self, kind: int, data: Any, namespace: str, ack_id: int | None = ...) -> Parcel:
        """Return the parcel of a packet; see ``SocketServer``."""

    def send_parcel(self, session: EngineSession, parcel: Parcel) -> None:
        """Send a parcel to one session; see ``SocketServer``."""


class Clients:
    """Socket.IO as the application of an engine.

    Args:
        engine: the sessions.
        participants: the clients and their rooms.
        handlers: the application's handlers.
        hooks: callbacks of a gateway.
        outgoing: encodes and sends packets.
    """

    def __init__(
        self,
        engine: Engine,
        participants: Participants,
        handlers: ApplicationHandlers,
        hooks: Hooks,
        outgoing: Outgoing,
    ) -> None:
        self._engine = engine
        self._participants = participants
        self._handlers = handlers
        self._outgoing = outgoing
        self._on_event = hooks.on_event
        self._on_welcome = hooks.on_welcome
        self._on_breach = hooks.on_breach
        self._reassembly = Reassembly(engine.max_message_bytes)

    def opened(self, _session: EngineSession) -> None:
        """Note a new session."""
        self._handlers.prepare()

    def closed(self, session: EngineSession, reason: str) -> None:
        """Remove the clients of an ended session from every table."""
        self._reassembly.drop(session)
        for participant in session.participants:
            if not participant.is_leaving:
                self._spawn(self.part(participant, reason))

    def breached(self, session: EngineSession, what: str) -> None:
        """Send DISCONNECT to the clients of a session that is closed for a breach."""
        if self._on_breach is not None:
            participant = participant_of(session, "/")
            self._on_breach(None if participant is None else participant.sid, what)
        else:
            log.warning("protocol breach: %s", what)
        for participant in session.participants:
            if participant.is_connected:
                session.send(
                    self._outgoing.encode(decoding.DISCONNECT, None, participant.namespace)
                )

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Handle one message: a packet, or a binary part of one."""
        try:
            if isinstance(data, bytes):
                complete = self._reassembly.add(session, data)
                if complete is None:
                    return
                packet, size = complete
            else:
                self._reassembly.expect_none(session)
                packet = decode(data, self._outgoing.packet_class)
                size = len(data) if data.isascii() else len(data.encode())
                if packet.attachment_count:
                    self._expect_parts(session, packet, size)
                    return
            self._take(session, packet, size)
        except MalformedPacket as error:
            self._engine.breach(session, str(error))

    def _expect_parts(self, session: EngineSession, packet: Any, size: int) -> None:
        if participant_of(session, packet.namespace or "/") is None:
            raise MalformedPacket("a binary event before CONNECT")
        if self._on_event is not None:
            raise MalformedPacket("binary event")
        self._reassembly.begin(session, packet, size)
        due_ns = self._engine.now_ns() + self._engine.body_timeout_ns
        session.attachments_due_ns = due_ns
        self._engine.wake_at(session, due_ns)

    def _take(self, session: EngineSession, packet: Any, size: int) -> None:
        session.attachments_due_ns = 0
        kind = packet.packet_type
        namespace = packet.namespace or "/"
        if kind == decoding.CONNECT:
            session.in_order(lambda: self._connect(session, namespace, packet.data))
        elif kind in (decoding.ACK, decoding.BINARY_ACK):
            self._acknowledge(session, namespace, packet)  # a handler may be awaiting it
        else:
            if kind in (decoding.EVENT, decoding.BINARY_EVENT) and self._on_event is None:
                name = packet.data[0]
                if not isinstance(name, str) or name in _RESERVED:
                    raise MalformedPacket("an event with a reserved name, or none")
            session.in_order(lambda: self._perform(session, namespace, packet, size))

    def _perform(self, session: EngineSession, namespace: str, packet: Any, size: int) -> Any:
        participant = participant_of(session, namespace)
        if participant is None:
            if session.is_open:
                self._engine.breach(session, "a packet before CONNECT")
            return None
        if packet.packet_type == decoding.DISCONNECT:
            return self._leave(participant)
        return self._handle(participant, packet, size)

    # Connecting

    def _connect(self, session: EngineSession, namespace: str, auth: Any) -> Any:
        if participant_of(session, namespace) is not None:
            self._engine.breach(session, "a second CONNECT")
            return None
        if self._handlers.serves(namespace):
            sid = self._engine.generate_id()
            participant = self._participants.join(session, namespace, sid)
        else:
            participant = None
        if participant is None:
            self._refuse(session, namespace, {"message": "Invalid namespace"})
            return None
        if self._handlers.always_connect:
            self._accept(participant)
        try:
            answer = self._handlers.connect(participant, auth)
        except Exception as error:  # noqa: BLE001 - any exception of a handler refuses the client
            self._connected(participant, error)
            return None
        if answer is not None and inspect.isawaitable(answer):
            return self._connect_later(participant, answer)
        self._connected(participant, answer)
        return None

    async def _connect_later(self, participant: Participant, answer: Awaitable[Any]) -> None:
        try:
            outcome = await answer
        except asyncio.CancelledError as error:
            self._connected(participant, error)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            outcome = error
        self._connected(participant, outcome)

    def _connected(self, participant: Participant, outcome: object) -> None:
        """Answer a CONNECT by its handler's answer or exception."""
        session = participant.session
        if participant not in session.participants or participant.is_leaving:
            return  # it left while the handler was running
        if isinstance(outcome, BaseException) or outcome is False:
            reason = self._handlers.refusal(outcome)
            self._participants.part(participant)
            self._refuse(session, participant.namespace, reason)
        elif not self._handlers.always_connect:
            self._accept(participant)

    def _accept(self, participant: Participant) -> None:
        session = participant.session
        session.admission_due_ns = 0
        session.send(
            self._outgoing.encode(decoding.CONNECT, {"sid": participant.sid}, participant.namespace)
        )
        early = self._participants.admit(participant)
        if self._on_welcome is not None and participant.namespace == "/":
            self._on_welcome(participant.sid)
        for parcel in early:
            session.send(parcel)

    def _refuse(self, session: EngineSession, namespace: str, reason: Any) -> None:
        kind = decoding.DISCONNECT if self._handlers.always_connect else decoding.CONNECT_ERROR
        session.send(self._outgoing.encode(kind, reason, namespace))

    # Leaving

    def _leave(self, participant: Participant) -> Any:
        session = participant.session
        waiting = self.part(participant, EndReason.CLIENT_DISCONNECT)
        engine = self._engine
        if session.is_open and engine.connect_timeout_ns and not _connected_members(session):
            # The client may connect again, but a transport without a client has a deadline.
            session.admission_due_ns = engine.now_ns() + engine.connect_timeout_ns
            engine.wake_at(session, session.admission_due_ns)
        return waiting

    def part(self, participant: Participant, reason: str) -> Any:
        """Remove a client from its rooms, and call its disconnect handler.

        Returns:
            An awaitable that ends with the handler, ``None`` if it has already ended.
        """
        was_connected = participant.is_connected
        if not was_connected:
            self._participants.part(participant)
            return None
        self._participants.mute(participant)
        try:
            waiting = self._handlers.disconnect(participant, reason)
        except Exception:
            log.exception("disconnect handler failed")
            waiting = None
        if waiting is not None:
            return self._part_later(participant, waiting)
        self._participants.part(participant)
        return None

    async def _part_later(self, participant: Participant, waiting: Awaitable[Any]) -> None:
        try:
            await waiting
        except Exception:
            log.exception("disconnect handler failed")
        finally:
            self._participants.part(participant)

    def _spawn(self, waiting: Any) -> None:
        if waiting is not None:
            self._engine.spawn(waiting)

    # Events

    def _handle(self, participant: Participant, packet: Any, size: int) -> Any:
        if not participant.is_connected:
            return None
        name, *arguments = packet.data
        try:
            if self._on_event is not None:
                answer = self._on_event(participant.sid, name, tuple(arguments), size)
            else:
                answer = self._handlers.dispatch(participant, name, arguments)
            if answer is not None and inspect.isawaitable(answer):
                return self._answer_later(participant, packet.id, answer)
            self._answer(participant, packet.id, answer)
        except Exception:
            log.exception("event handler failed")
        return None

    async def _answer_later(
        self, participant: Participant, ack_id: int | None, waiting: Any
    ) -> None:
        try:
            self._answer(participant, ack_id, await waiting)
        except Exception:
            log.exception("event handler failed")

    def _answer(self, participant: Participant, ack_id: int | None, answer: Any) -> None:
        if ack_id is None or answer is NOT_HANDLED or not participant.is_connected:
            return
        data = [] if answer is None else list(answer) if isinstance(answer, tuple) else [answer]
        parcel = self._outgoing.encode(decoding.ACK, data, participant.namespace, ack_id)
        if self._on_event is not None:
            participant.session.send(parcel)
        else:
            self._outgoing.send_parcel(participant.session, parcel)

    def _acknowledge(self, session: EngineSession, namespace: str, packet: Any) -> None:
        participant = participant_of(session, namespace)
        if participant is None:
            raise MalformedPacket("a packet before CONNECT")
        callback = (participant.callbacks or {}).pop(packet.id, None)
        if callback is None:
            if participant.callbacks is None:
                self._engine.breach(session, "an acknowledgement that was not requested")
            return
        try:
            answer = callback(*packet.data)
        except Exception:
            log.exception("acknowledgement callback failed")
            return
        if inspect.isawaitable(answer):
            self._spawn(_await(answer))


def _connected_members(session: EngineSession) -> list[Participant]:
    return [participant for participant in session.participants if participant.is_connected]


async def _await(waiting: Awaitable[Any]) -> None:
    await waiting
