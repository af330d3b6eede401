"""A handshake that is watched beyond its answer, without I/O.

A client leaves when it is refused. An exchange stays and records everything that the gateway
sends to a client it has not accepted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import quote

from gateway.contract import SOCKETIO_PATH
from loadtests.connection.protocol.handshake import Handshake, Target
from loadtests.connection.protocol.packets import SocketIOPacketType, decode_packet, encode_connect
from loadtests.connection.protocol.websocket_frames import (
    CloseFrame,
    FrameReader,
    Message,
    Opcode,
    PingFrame,
    TextFrame,
    encode_frame,
)
from loadtests.errors import ClientError, ConnectionClosed, ProtocolViolation
from loadtests.oracles.auth_cases import ExpectedRefusal, Offer

# Engine.IO 4 packet types: the first character of a text message.
_OPEN: Final = "0"
_PING: Final = "2"
_PONG: Final = "3"
_MESSAGE: Final = "4"
_QUERY: Final = "?EIO=4&transport=websocket"


class Exchange:
    """One handshake: send :meth:`bytes_to_send`, pass the bytes read to :meth:`receive`.

    Args:
        target: the gateway.
        offer: the token and where to put it.
        random_bytes: source of masks and of the handshake's key.

    Attributes:
        is_let_in: whether CONNECT was answered with CONNECT.
        refusal: the content of CONNECT_ERROR.
        early_events: names of events received before being let in, in order.
        failure: the error that ended it without an answer.
        is_over: whether it has ended.
    """

    def __init__(
        self, target: Target, offer: Offer, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.is_let_in = False
        self.refusal: ExpectedRefusal | None = None
        self.early_events: list[str] = []
        self.failure: ClientError | None = None
        self.is_over = False
        token = offer.query_token
        query = _QUERY if token is None else f"{_QUERY}&token={quote(token)}"
        self._auth = offer.auth
        self._random = random_bytes
        self._handshake: Handshake | None = Handshake(
            target, SOCKETIO_PATH + query, random_bytes(16)
        )
        self._reader = FrameReader()
        self._out = [self._handshake.request()]

    @property
    def is_answered(self) -> bool:
        """Whether the gateway let it in or refused it, or it failed."""
        return self.is_let_in or self.refusal is not None or self.failure is not None

    def bytes_to_send(self) -> bytes:
        """Return the bytes to send now, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> None:
        """Take bytes from the gateway; empty at the end."""
        try:
            self._receive(data)
        except ClientError as error:
            self.fail(error)

    def fail(self, error: ClientError) -> None:
        """Take the end; it is a failure only before an answer."""
        self.is_over = True
        if not self.is_answered:
            self.failure = error

    def _receive(self, data: bytes) -> None:
        if not data:
            raise ConnectionClosed("the gateway closed the TCP connection")
        if self._handshake is not None:
            if not self._handshake.feed(data):
                return
            data, self._handshake = self._handshake.rest, None
        for message in self._reader.feed(data):
            self._take(message)
        if self._reader.failure is not None:
            raise self._reader.failure

    def _take(self, message: Message) -> None:
        if isinstance(message, PingFrame):
            self._out.append(encode_frame(Opcode.PONG, message.data, self._random(4)))
        elif isinstance(message, CloseFrame):
            raise ConnectionClosed(f"the gateway closed with {message.code}", message.code)
        elif isinstance(message, TextFrame):
            self._take_text(message.text)

    def _take_text(self, text: str) -> None:
        if text[:1] == _OPEN:
            self._send(_MESSAGE + encode_connect(self._auth))
        elif text[:1] == _PING:
            self._send(_PONG + text[1:])
        elif text[:1] == _MESSAGE:
            self._take_packet(text[1:])

    def _take_packet(self, text: str) -> None:
        packet = decode_packet(text)
        if packet.type is SocketIOPacketType.CONNECT:
            self.is_let_in = True
        elif packet.type is SocketIOPacketType.CONNECT_ERROR:
            said = cast("dict[str, Any]", packet.data)
            details = said.get("data")
            code = details.get("code") if isinstance(details, dict) else None
            self.refusal = ExpectedRefusal(said["message"], str(code or ""))
        elif packet.type is SocketIOPacketType.EVENT and not self.is_let_in:
            self.early_events.append(str(cast("list[Any]", packet.data)[0]))
        elif packet.type is not SocketIOPacketType.EVENT and not self.is_let_in:
            raise ProtocolViolation(f"a packet of type {packet.type.name} before CONNECT")

    def _send(self, text: str) -> None:
        self._out.append(encode_frame(Opcode.TEXT, text.encode(), self._random(4)))
