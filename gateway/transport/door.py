"""``Door``: reads the first request head of a connection and chooses its protocol.

A WebSocket upgrade for the engine's path is adopted at once. Every other connection gets
aiohttp's protocol, which answers as if it had accepted the connection itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.transport.adoption import adopt
from gateway.transport.descriptors import DescriptorReserve
from gateway.transport.engine import Engine
from gateway.transport.requests import (
    BadRequest,
    is_websocket_upgrade,
    plain_response,
    read_head,
)

_MOST_HEAD_BYTES: Final = 16_384
_NO_DESCRIPTOR: Final = BadRequest(503, "No connection is free", {"Retry-After": "5"})


class HttpProtocol(Protocol):
    """aiohttp's protocol of a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""

    def data_received(self, data: bytes) -> None:
        """Read bytes of requests."""

    def close(self) -> None:
        """Close the connection once the requests that were read are answered."""


MakeProtocol = Callable[[], HttpProtocol]


class Door(asyncio.Protocol):
    """The protocol of a connection until its first request head is complete.

    Args:
        engine: adopts WebSockets, and keeps the deadline of the head.
        serve: makes the protocol of every other connection: ``AppRunner.server``.
        is_bounded: whether ``bound_accepted`` bounded the listener's sockets.
        reserve: the descriptors that only some requests may use, ``None`` for no such rule.
    """

    __slots__ = (
        "_data",
        "_due_ns",
        "_engine",
        "_is_bounded",
        "_reserve",
        "_serve",
        "_transport",
        "wake_tick",
    )

    def __init__(
        self,
        engine: Engine,
        serve: MakeProtocol,
        *,
        is_bounded: bool = False,
        reserve: DescriptorReserve | None = None,
    ) -> None:
        self._engine = engine
        self._reserve = reserve
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
        if self._reserve is not None and not self._reserve.holds(self, transport):
            self._reserve = None  # from here on: the reserve that this connection is in
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
            self._refuse(transport, error)
            return
        if found is None:
            return
        head, tail = found
        if self._reserve is not None and not self._reserve.serves(head.path):
            self._reserve.refused()
            self._refuse(transport, _NO_DESCRIPTOR)
        elif is_websocket_upgrade(head) and f"{head.path.rstrip('/')}/" == self._engine.path:
            self._leave()
            adopt(self._engine, transport, head, tail, is_bounded=self._is_bounded)
        else:
            self._hand_on(transport)

    def _refuse(self, transport: asyncio.Transport, error: BadRequest) -> None:
        self._leave()
        transport.write(
            plain_response(error.status, error.message.encode(), "text/plain", error.headers)
        )
        self._engine.dismiss(transport)

    def _hand_on(self, transport: asyncio.Transport) -> None:
        data = self._data
        is_in_reserve = self._reserve is not None
        self._leave()
        protocol = self._serve()
        transport.set_protocol(protocol)  # type: ignore[arg-type]  # aiohttp's is a BaseProtocol
        protocol.connection_made(transport)
        protocol.data_received(data)
        if is_in_reserve:
            protocol.close()  # after the answer: the descriptor is for the next such request

    def _leave(self) -> None:
        """Forget the connection and its bytes."""
        self._transport = None
        self._data = b""
        self._engine.doors.discard(self)
        self._engine.forget_deadline(self)
        if self._reserve is not None:
            self._reserve.forget(self)

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
