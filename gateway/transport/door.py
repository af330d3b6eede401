"""``Door``: reads the first head of a connection and decides who has it from there.

A WebSocket for our path is adopted at once; everything else gets aiohttp's own protocol,
which answers as if it had accepted the connection itself.
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
    """The protocol of a connection that has not said yet what it wants.

    Args:
        engine: adopts WebSockets, and wakes connections that stay silent.
        serve: makes the protocol for everything else; ``AppRunner.server``.
        is_bounded: the listener went through ``bound_accepted``, so its sockets need not.
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
        """Give the connection its time to speak."""
        if self._engine.is_stopping:
            transport.abort()  # type: ignore[attr-defined]  # a socket's
            return
        self._transport = transport  # type: ignore[assignment]  # a socket's
        self._engine.doors.add(self)
        self._due_ns = self._engine.now_ns() + self._engine.head_timeout_ns
        self._engine.wake_at(self, self._due_ns)

    def data_received(self, data: bytes) -> None:
        """Read on, until the head is whole or hopeless."""
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
        """Let go of the connection and of what it said."""
        self._transport = None
        self._data = b""
        self._engine.doors.discard(self)
        self._engine.forget_deadline(self)

    def abort(self) -> None:
        """Close the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget it."""
        self._leave()

    def wake(self, now_ns: int) -> int:
        """Abort a connection whose head took too long."""
        if self._transport is None:
            return 0
        if now_ns < self._due_ns:
            return self._due_ns
        self._transport.abort()
        return 0
