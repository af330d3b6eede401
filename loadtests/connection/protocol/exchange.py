"""A handshake that is watched beyond its answer, without I/O.

A client leaves when it is refused. An exchange stays and records everything that the gateway
sends to a client it has not accepted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

from loadtests.connection.protocol.handshake import Target
from loadtests.connection.protocol.packets import (
    EngineIOPacketType,
    SocketIOPacketType,
    decode_packet,
    encode_connect,
    refusal_of,
)
from loadtests.connection.protocol.websocket_client import WebSocketClient
from loadtests.connection.protocol.websocket_frames import (
    CloseFrame,
    Message,
    Opcode,
    PingFrame,
    TextFrame,
)
from loadtests.errors import ClientError, ConnectionClosed, ProtocolViolation
from loadtests.oracles.auth_cases import ExpectedRefusal, Offer


class Exchange(WebSocketClient):
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
        token = offer.query_token
        query = "" if token is None else f"&token={quote(token)}"
        super().__init__(target, query=query, random_bytes=random_bytes)
        self.is_let_in = False
        self.refusal: ExpectedRefusal | None = None
        self.early_events: list[str] = []
        self.failure: ClientError | None = None
        self.is_over = False
        self._auth = offer.auth

    @property
    def is_answered(self) -> bool:
        """Whether the gateway let it in or refused it, or it failed."""
        return self.is_let_in or self.refusal is not None or self.failure is not None

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
        for message in self._feed(data):
            self._take(message)
        if self._reader.failure is not None:
            raise self._reader.failure

    def _take(self, message: Message) -> None:
        if isinstance(message, PingFrame):
            self._send_frame(Opcode.PONG, message.data)
        elif isinstance(message, CloseFrame):
            raise ConnectionClosed(f"the gateway closed with {message.code}", message.code)
        elif isinstance(message, TextFrame):
            self._take_text(message.text)

    def _take_text(self, text: str) -> None:
        if text[:1] == EngineIOPacketType.OPEN:
            self._send_packet(encode_connect(self._auth))
        elif text[:1] == EngineIOPacketType.PING:
            self._send_text(EngineIOPacketType.PONG + text[1:])
        elif text[:1] == EngineIOPacketType.MESSAGE:
            self._take_packet(text[1:])

    def _take_packet(self, text: str) -> None:
        packet = decode_packet(text)
        if packet.type is SocketIOPacketType.CONNECT:
            self.is_let_in = True
        elif packet.type is SocketIOPacketType.CONNECT_ERROR:
            self.refusal = ExpectedRefusal(*refusal_of(packet))
        elif packet.type is SocketIOPacketType.EVENT and not self.is_let_in:
            self.early_events.append(str(cast("list[Any]", packet.data)[0]))
        elif packet.type is not SocketIOPacketType.EVENT and not self.is_let_in:
            raise ProtocolViolation(f"a packet of type {packet.type.name} before CONNECT")
