"""A Socket.IO 5 client over Engine.IO 4 over one WebSocket, without I/O, clock or loop.

The caller sends the bytes of :meth:`Connection.bytes_to_send`, passes the bytes it reads to
:meth:`Connection.receive`, and acts on the events that this returns. After :class:`Ended` it
sends the remaining bytes and closes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import orjson

from loadtests.connection.protocol.handshake import parse_target
from loadtests.connection.protocol.packets import (
    EngineIOPacketType,
    SocketIOPacket,
    SocketIOPacketType,
    decode_packet,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_event,
    refusal_of,
)
from loadtests.connection.protocol.websocket_client import WebSocketClient
from loadtests.connection.protocol.websocket_frames import (
    BinaryFrame,
    CloseFrame,
    Message,
    Opcode,
    PingFrame,
    StatusCode,
    TextFrame,
)
from loadtests.errors import (
    ClientError,
    ConnectionClosed,
    ConnectRefused,
    Disconnected,
    NotConnected,
    ProtocolViolation,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """Engine.IO is open; it is dead after ``ping_interval_ms + ping_timeout_ms`` without a ping."""

    sid: str
    ping_interval_ms: int
    ping_timeout_ms: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The server accepted the client, with this ``socket.id``."""

    sid: str


@dataclass(frozen=True, slots=True)
class Received:
    """An event; ``ack_id`` is set when the server asks for an acknowledgement."""

    name: str
    arguments: tuple[Any, ...]
    ack_id: int | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The acknowledgement of the :meth:`Connection.call` that returned this id."""

    ack_id: int
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Parted:
    """The server disconnected the client from the namespace; it must close the transport next."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection ended, with the reason; always the last event."""

    error: ClientError


Event = Opened | Connected | Received | Acknowledged | Parted | Ended


class _State(Enum):
    UPGRADING = auto()
    OPENING = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    PARTED = auto()
    ENDED = auto()


class Connection(WebSocketClient):
    """One connection's protocol state, from the upgrade request to the end.

    Args:
        url: of the server; ``http`` and ``ws`` mean the same.
        auth: the CONNECT payload, such as ``{"token": …}``; None sends none.
        headers: of the upgrade request, such as ``Origin``.
        random_bytes: source of masks and the handshake's key.

    Attributes:
        answers_pings: whether it answers Engine.IO pings.
        pings: number of pings received.

    Raises:
        InvalidTarget: the URL is not valid.
    """

    __slots__ = ("_ack_id", "_auth", "_state", "answers_pings", "pings")

    def __init__(
        self,
        url: str,
        *,
        auth: object = None,
        headers: dict[str, str] | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(parse_target(url), headers=headers, random_bytes=random_bytes)
        self._auth = auth
        self._state = _State.UPGRADING
        self._ack_id = 0
        self.answers_pings = True
        self.pings = 0

    @property
    def is_connected(self) -> bool:
        """Whether events can be emitted."""
        return self._state is _State.CONNECTED

    @property
    def is_parted(self) -> bool:
        """Whether the server sent DISCONNECT and has not closed the transport yet."""
        return self._state is _State.PARTED

    @property
    def has_ended(self) -> bool:
        """Whether the connection has ended."""
        return self._state is _State.ENDED

    @property
    def is_mid_frame(self) -> bool:
        """Whether the next byte belongs to a frame that has begun."""
        return self._reader.is_mid_frame

    @property
    def is_between_messages(self) -> bool:
        """Whether it is connected and the next byte begins a message."""
        reader = self._reader
        return self.is_connected and not (reader.is_mid_frame or reader.is_mid_message)

    def release(self) -> bytes:
        """Return and forget the bytes of an incomplete frame; see ``FrameReader.release``."""
        return self._reader.release()

    def emit(self, name: str, *arguments: object) -> None:
        """Send an event.

        Raises:
            NotConnected: before :class:`Connected` or after the end.
        """
        self._require_connected()
        self._send_packet(encode_event(name, arguments))

    def call(self, name: str, *arguments: object) -> int:
        """Send an event with an acknowledgement and return its id.

        Raises:
            NotConnected: before :class:`Connected` or after the end.
        """
        self._require_connected()
        self._ack_id += 1
        self._send_packet(encode_event(name, arguments, self._ack_id))
        return self._ack_id

    def acknowledge(self, ack_id: int, *arguments: object) -> None:
        """Send the acknowledgement of an event.

        Raises:
            NotConnected: before :class:`Connected` or after the end.
        """
        self._require_connected()
        self._send_packet(encode_ack(ack_id, arguments))

    def pong(self) -> None:
        """Send a pong, even without a ping."""
        self._send_text(EngineIOPacketType.PONG)

    def close(self) -> None:
        """Disconnect from the namespace and close; idempotent."""
        if self._state is _State.CONNECTED:
            self._send_packet(encode_disconnect())
        if self._state not in (_State.UPGRADING, _State.ENDED):
            self._send_close(StatusCode.NORMAL, "")
        self._state = _State.ENDED

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the server and return their events, in order."""
        if self._state is _State.ENDED:
            return []
        try:
            messages = self._feed(data)
        except ClientError as error:
            return [self._end(error)]
        if self._state is _State.UPGRADING and self.is_upgraded:
            self._state = _State.OPENING
        events: list[Event] = []
        for message in messages:
            try:
                event = self._on_message(message)
            except ProtocolViolation as violation:
                event = self._fail(violation)
            if event is not None:
                events.append(event)
            if self.has_ended:
                return events
        if self._reader.failure is not None:
            events.append(self._fail(self._reader.failure))
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the TCP connection from the server's side."""
        if self._state is _State.ENDED:
            return []
        return [self._end(ConnectionClosed("the server closed the TCP connection"))]

    def _on_message(self, message: Message) -> Event | None:
        if isinstance(message, TextFrame):
            return self._on_text(message.text)
        if isinstance(message, PingFrame):
            self._send_frame(Opcode.PONG, message.data)
            return None
        if isinstance(message, CloseFrame):
            if message.code == StatusCode.NO_STATUS:
                self._send_frame(Opcode.CLOSE, b"")
            else:
                self._send_close(message.code, "")
            words = f"the server closed with {message.code} {message.reason}".rstrip()
            return self._end(ConnectionClosed(words, message.code))
        if isinstance(message, BinaryFrame):
            raise ProtocolViolation("a binary message, which the contract does not have", 1003)
        return None  # an unsolicited pong is allowed (RFC 6455 §5.5.3)

    def _on_text(self, text: str) -> Event | None:
        kind = text[:1]
        if self._state is _State.OPENING:
            return self._on_open(text)
        if kind == EngineIOPacketType.MESSAGE and self.is_parted:
            return None  # nothing concerns the client any more
        if kind == EngineIOPacketType.MESSAGE:
            return self._on_packet(decode_packet(text[1:]))
        if kind == EngineIOPacketType.PING:
            self.pings += 1
            if self.answers_pings:
                self._send_text(EngineIOPacketType.PONG + text[1:])
            return None
        if kind == EngineIOPacketType.NOOP:
            return None
        if kind == EngineIOPacketType.CLOSE:
            return self._end(ConnectionClosed("the server closed the Engine.IO session"))
        raise ProtocolViolation(f"an unexpected Engine.IO packet: {text[:40]!r}")

    def _on_open(self, text: str) -> Opened:
        if text[:1] != EngineIOPacketType.OPEN:
            raise ProtocolViolation(f"the first Engine.IO packet is not an open: {text[:40]!r}")
        try:
            fields = orjson.loads(text[1:])
            opened = Opened(
                sid=str(fields["sid"]),
                ping_interval_ms=int(fields["pingInterval"]),
                ping_timeout_ms=int(fields["pingTimeout"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolViolation(
                f"an Engine.IO open without a required field: {text[:80]!r}"
            ) from error
        self._state = _State.CONNECTING
        self._send_packet(encode_connect(self._auth))
        self._auth = None
        return opened

    def _on_packet(self, packet: SocketIOPacket) -> Event:
        if packet.type is SocketIOPacketType.CONNECT:
            return self._on_connect(packet)
        if packet.type is SocketIOPacketType.CONNECT_ERROR:
            return self._on_connect_error(packet)
        if self._state is not _State.CONNECTED:
            raise ProtocolViolation(f"a packet of type {packet.type.name} before CONNECT")
        if packet.type is SocketIOPacketType.DISCONNECT:
            self._state = _State.PARTED
            return Parted()
        arguments = cast("list[Any]", packet.data)
        if packet.type is SocketIOPacketType.ACK:
            return Acknowledged(cast("int", packet.ack_id), tuple(arguments))
        return Received(arguments[0], tuple(arguments[1:]), packet.ack_id)

    def _on_connect(self, packet: SocketIOPacket) -> Connected:
        if self._state is not _State.CONNECTING:
            raise ProtocolViolation("a second CONNECT")
        self._state = _State.CONNECTED
        return Connected(cast("dict[str, str]", packet.data)["sid"])

    def _on_connect_error(self, packet: SocketIOPacket) -> Ended:
        if self._state is not _State.CONNECTING:
            raise ProtocolViolation("a CONNECT_ERROR after CONNECT")
        event = self._end(ConnectRefused(*refusal_of(packet)))
        self._send_close(StatusCode.NORMAL, "")
        return event

    def _require_connected(self) -> None:
        if self._state is not _State.CONNECTED:
            raise NotConnected(f"cannot send: the connection is {self._state.name.lower()}")

    def _fail(self, violation: ProtocolViolation) -> Ended:
        """Fail the connection (RFC 6455 §7.1.7): send the reason in a close frame, stop reading."""
        self._send_close(violation.close_code, violation.reason)
        return self._end(violation)

    def _end(self, error: ClientError) -> Ended:
        if self.is_parted:
            error = Disconnected()
        self._state = _State.ENDED
        return Ended(error)
