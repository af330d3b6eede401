"""``Door``: reads the first request head of a connection and chooses its protocol.

A WebSocket upgrade for the engine's path is adopted at once. Every other connection gets
aiohttp's protocol, which answers as if it had accepted the connection itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.transport.adoption import adopt
from gateway.transport.engine import Engine
from gateway.transport.requests import (
    BadRequest,
    is_websocket_upgrade,
    plain_response,
    read_head,
)

_MOST_HEAD_BYTES: Final = 16_384

MakeProtocol = Callable[[], asyncio.Protocol]


class Door(asyncio.Protocol):
    """The protocol of a connection until its first request head is complete.

    Args:
        engine: adopts WebSockets, and keeps the deadline of the head.
        serve: makes the protocol of every other connection: ``AppRunner.server``.
        is_bounded: whether ``bound_accepted`` bounded the listener's sockets.
    """

    __slots__ = ("_data", "_due_ns", "_engine", "_is_bounded", "_serve", "_transport", "wake_tick")

    def __init__(self, engine: Engine, serve: MakeProtocol, *, is_bounded: bool = False) -> None:
        self._engine = engine
        self._is_bounded = is_bounded
        self._serve = serve
        self._data = b""
        self._due_ns = 0
        self._transport: asyncio.Transport | None = None
        self.wake_tick = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the request head."""
        if self._engine.is_stopping:
            transport.abort()  # type: ignore[attr-defined]  # a socket's
            return
        self._transport = transport  # type: ignore[assignment]  # a socket's
        self._engine.doors.add(self)
        self._due_ns = self._engine.now_ns() + self._engine.head_timeout_ns
        self._engine.wake_at(self, self._due_ns)

    def data_received(self, data: bytes) -> None:
        """Read until the head is complete or invalid."""
        transport = self._transport
        if transport is None:
            return
        self._data += data
        try:
            found = read_head(self._data, _MOST_HEAD_BYTES)
        except BadRequest as error:
            self._leave()
            transport.write(
                plain_response(error.status, error.message.encode(), "text/plain", error.headers)
            )
            self._engine.dismiss(transport)
            return
        if found is None:
            return
        head, tail = found
        if is_websocket_upgrade(head) and f"{head.path.rstrip('/')}/" == self._engine.path:
            self._leave()
            adopt(self._engine, transport, head, tail, is_bounded=self._is_bounded)
        else:
            self._hand_on(transport)

    def _hand_on(self, transport: asyncio.Transport) -> None:
        data = self._data
        self._leave()
        protocol = self._serve()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def _leave(self) -> None:
        """Forget the connection and its bytes."""
        self._transport = None
        self._data = b""
        self._engine.doors.discard(self)
        self._engine.forget_deadline(self)

    def abort(self) -> None:
        """Close the connection without an answer."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the connection."""
        self._leave()

    def wake(self, now_ns: int) -> int:
        """Abort the connection if its head took too long.

        Returns:
            The deadline in ns if it has not passed, else 0.
        """
        if self._transport is None:
            return 0
        if now_ns < self._due_ns:
            return self._due_ns
        self._transport.abort()
        return 0
