"""``Clients``: handles the packets of Socket.IO clients, from CONNECT to the last event.

Packets of a client are handled in the order of their arrival. Only acknowledgements overtake
a handler that is awaiting, because it may be awaiting them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from typing import Any, Final

from gateway.transport import decoding
from gateway.transport.application import NOT_HANDLED, ApplicationHandlers, Hooks, Outgoing
from gateway.transport.counts import EndReason
from gateway.transport.decoding import MalformedPacket, Reassembly, decode
from gateway.transport.engine import Engine
from gateway.transport.engine_session import EngineSession, Participant
from gateway.transport.participants import Participants, participant_of

_RESERVED: Final = frozenset({"connect", "disconnect"})
_MOST_LEFT: Final = 8  # left namespaces that a session remembers

log = logging.getLogger("gateway.transport")


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
        self._max_connects = hooks.max_connects
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
        """Note a breach. No DISCONNECT is sent, after which a stock client would stay away."""
        if self._on_breach is not None:
            participant = participant_of(session, "/")
            self._on_breach(session.environ, None if participant is None else participant.sid, what)
        else:
            self._engine.log_breach(what)

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
        if not _has_joined(session, packet.namespace or "/"):
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
            session.connects += 1
            if self._max_connects is not None and session.connects > self._max_connects:
                raise MalformedPacket("too many CONNECTs")
            session.note_control()
            session.in_order(lambda: self._connect(session, namespace, packet.data))
        elif kind in (decoding.ACK, decoding.BINARY_ACK):
            self._acknowledge(session, namespace, packet)  # a handler may be awaiting it
        else:
            if (
                kind in (decoding.EVENT, decoding.BINARY_EVENT)
                and self._on_event is None
                and packet.data[0] in _RESERVED
            ):
                raise MalformedPacket("an event with a reserved name")
            session.in_order(lambda: self._perform(session, namespace, packet, size))

    def _perform(self, session: EngineSession, namespace: str, packet: Any, size: int) -> Any:
        participant = participant_of(session, namespace)
        if participant is None:
            self._ignore(session, namespace)
            return None
        if packet.packet_type == decoding.DISCONNECT:
            return self._leave(participant)
        return self._handle(participant, packet, size)

    def _ignore(self, session: EngineSession, namespace: str) -> None:
        """Ignore a packet for a namespace that was just left; close if it was never joined."""
        if _has_joined(session, namespace):
            session.note_control()
        elif session.is_open:
            self._engine.breach(session, "a packet before CONNECT")

    # Connecting

    def _connect(self, session: EngineSession, namespace: str, auth: Any) -> Any:
        if not session.is_open or participant_of(session, namespace) is not None:
            return None  # closed meanwhile, or sent again before the first answer arrived
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
        session = participant.session
        session.left = (*session.left[1 - _MOST_LEFT :], participant.namespace)
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
            self._ignore(session, namespace)
            return
        callback = (participant.callbacks or {}).pop(packet.id, None)
        if callback is None:
            session.note_control()  # late: the call has timed out, or was before a reconnection
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


def _has_joined(session: EngineSession, namespace: str) -> bool:
    """Return whether a client of the session is in a namespace, or has just left it."""
    return participant_of(session, namespace) is not None or namespace in session.left


async def _await(waiting: Awaitable[Any]) -> None:
    await waiting
