"""``Door``: reads the requests of a connection, and hands each to the protocol that answers it.

A WebSocket upgrade for the engine's path is adopted at once. aiohttp gets every other request,
one at a time, after its head passed our checks. It answers as if it had accepted the
connection itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.transport import handover
from gateway.transport.adoption import adopt
from gateway.transport.answers import BadRequest, plain_response
from gateway.transport.bodies import ChunkedBody, SizedBody, body_of
from gateway.transport.descriptors import DescriptorReserve
from gateway.transport.engine import Engine
from gateway.transport.heads import RequestReader
from gateway.transport.relay import Relay
from gateway.transport.requests import RequestHead
from gateway.transport.siblings import Siblings
from gateway.transport.upgrades import is_websocket_upgrade

_MOST_AHEAD_BYTES: Final = 65_536  # of requests that follow before an answer
_LEAST_TAKEN_BYTES: Final = 65_536  # that a client takes of an answer in ``body_timeout``
_LINGER_NS: Final = 2_000_000_000  # for a client to read the answer that ends its connection
_GRACE_NS: Final = 1_000_000_000  # for a handler that answers at the deadline of the body
_FLUSH_S: Final = 0.005  # between two looks at the bytes of an answer that are not yet sent
_NO_DESCRIPTOR: Final = BadRequest(503, "No connection is free", {"Retry-After": "5"})

MakeProtocol = Callable[[], asyncio.Protocol]


class Door(Relay):
    """The protocol of a connection, until a WebSocket takes it over.

    Args:
        engine: adopts WebSockets, and keeps the deadlines.
        serve: makes the protocol that answers: the ``server`` of ``runner_behind_door``.
        is_bounded: whether ``bound_accepted`` bounded the listener's sockets.
        reserve: the descriptors that only some requests may use, ``None`` for no such rule.
        was_given: whether another process gave the connection to this one.
    """

    __slots__ = (
        "_body",
        "_due_ns",
        "_engine",
        "_is_answering",
        "_is_bounded",
        "_is_finished",
        "_is_half_closed",
        "_is_poll",
        "_is_unchecked",
        "_reader",
        "_reserve",
        "_serve",
        "_transport",
        "_unread_bytes",
        "_unread_due_ns",
        "_was_given",
        "wake_tick",
    )

    def __init__(
        self,
        engine: Engine,
        serve: MakeProtocol,
        *,
        is_bounded: bool = False,
        reserve: DescriptorReserve | None = None,
        was_given: bool = False,
    ) -> None:
        super().__init__(None)
        self._body: SizedBody | ChunkedBody | None = None
        self._due_ns = 0  # of the head or body that is being received
        self._engine = engine
        self._is_answering = False
        self._is_bounded = is_bounded
        self._is_finished = False
        self._is_half_closed = False
        self._is_poll = False  # the request is for the engine
        self._is_unchecked = False  # an application's own WebSocket
        self._reader = RequestReader()
        self._reserve = reserve
        self._serve = serve
        self._transport: asyncio.Transport | None = None
        self._unread_bytes = 0
        self._unread_due_ns = 0
        self._was_given = was_given
        self.wake_tick = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request head (asyncio protocol)."""
        if self._engine.is_stopping:
            transport.abort()  # type: ignore[attr-defined]  # a socket's
            return
        self._transport = transport  # type: ignore[assignment]  # a socket's
        if self._reserve is not None and not self._reserve.holds(self, transport):
            self._reserve = None  # from here on: the reserve that this connection is in
        # Any unread byte starts its deadline. A TLS transport would treat 0 as always full.
        transport.set_write_buffer_limits(high=1, low=0)  # type: ignore[attr-defined]  # a socket's
        self._engine.doors.add(self)
        self._expect_by(self._engine.head_timeout_ns)

    def data_received(self, data: bytes) -> None:
        """Read as far as possible (asyncio protocol)."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_finished:
            return
        if self._is_unchecked:
            super().data_received(data)
            return
        try:
            if self._body is not None:
                data = self._pass_body(self._body, data)
            if data:
                self._reader.feed(data)
                self._read(transport)
        except BadRequest as error:
            self._refuse(transport, error)

    def _pass_body(self, body: SizedBody | ChunkedBody, data: bytes) -> bytes:
        """Pass the bytes of the body on, and return the bytes behind it."""
        taken = body.take(data)
        super().data_received(data[:taken])
        if body.is_complete:
            self._body = None
            self._due_ns = 0
        return data[taken:]

    def _read(self, transport: asyncio.Transport) -> None:
        """Read the next request, if the one before it has been answered."""
        if self._is_answering or self._body is not None:
            if len(self._reader) > _MOST_AHEAD_BYTES:
                transport.pause_reading()
            return
        head = self._reader.read()
        if head is None:
            if self._is_half_closed:
                transport.close()
            elif not self._due_ns and len(self._reader):
                self._expect_by(self._engine.head_timeout_ns)
            return
        self._due_ns = 0
        self._engine.doors.discard(self)
        if self._reserve is not None:
            self._reserve.forget(self)
            if not self._reserve.serves(head.path):
                self._reserve.refused()
                self._refuse(transport, _NO_DESCRIPTOR)
                return
        self._route(transport, head)

    def _route(self, transport: asyncio.Transport, head: RequestHead) -> None:
        """Hand a request to the protocol, or to the process, that answers it."""
        siblings = self._engine.siblings
        if siblings is not None and self._pass_on(siblings, transport, head):
            return
        if is_websocket_upgrade(head) and self._is_ours(head):
            self._give_away(transport, head)
        else:
            self._pass_request(transport, head)

    def _is_ours(self, head: RequestHead) -> bool:
        """Return whether a request is for the engine's path, with or without its last slash."""
        return head.path in (self._engine.path, self._engine.path[:-1])

    def _pass_on(self, siblings: Siblings, transport: asyncio.Transport, head: RequestHead) -> bool:
        """Pass the connection to the process that should answer, and return whether it went."""
        sid = head.parameter("sid") if self._is_ours(head) else None
        if not siblings.should_answer(sid, was_given=self._was_given):
            return False
        if transport.get_write_buffer_size():  # of the answer before, which this process owes
            self._is_answering = True
            asyncio.get_running_loop().call_later(_FLUSH_S, self._route_later, head)
            return True
        transport.pause_reading()
        tail = self._reader.take()
        descriptor = transport.get_extra_info("socket").fileno()
        if not siblings.pass_on(sid, head.raw + tail, descriptor):
            self._reader.feed(tail)
            transport.resume_reading()
            return False
        if self.server is not None:
            handover.detach(self.server)
            self.server = None
        transport.abort()  # closes this process's descriptor: the other has its own
        self._leave()
        return True

    def _route_later(self, head: RequestHead) -> None:
        self._is_answering = False
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_finished:
            return
        try:
            self._route(transport, head)
        except BadRequest as error:
            self._refuse(transport, error)

    def _give_away(self, transport: asyncio.Transport, head: RequestHead) -> None:
        tail = self._reader.take()
        if self.server is not None:
            handover.detach(self.server)
        self.server = None
        self._due_ns = 0
        adopt(self._engine, transport, head, tail, is_bounded=self._is_bounded)
        if transport.get_protocol() is not self:
            self._leave()

    def _pass_request(self, transport: asyncio.Transport, head: RequestHead) -> None:
        self._body = body_of(head)
        if self._body is not None:
            self._expect_by(self._engine.body_timeout_ns + _GRACE_NS)
        self._is_answering = True
        self._is_poll = self._is_ours(head)
        self._is_unchecked = is_websocket_upgrade(head)
        if self.server is None:
            self.server = self._serve()
            self.server.connection_made(transport)
        data = self._reader.take()
        self.server.data_received(head.raw)
        if data:
            self.data_received(data)

    def answered(self) -> None:
        """Read the next request, or close if the body was not needed for the answer."""
        self._is_answering = False
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_finished:
            return
        if self.server is not None and (self._is_unchecked or self._reserve is not None):
            # A refused upgrade, or the end of a WebSocket; or the next needs the descriptor.
            handover.close(self.server)
        elif self._body is not None:
            self.finish(transport)
        elif len(self._reader) or self._is_half_closed:
            asyncio.get_running_loop().call_soon(self._read_on)

    def eof_received(self) -> bool | None:
        """Answer a client that has sent all before the connection ends (asyncio protocol).

        The end of a poll's client ends its session, so that connection ends at once.
        """
        transport = self._transport
        if (
            transport is None
            or not (self._is_answering and self._body is None)
            or self._is_poll
            or self._is_unchecked
            or not transport.can_write_eof()  # TLS
        ):
            return super().eof_received()
        self._is_half_closed = True
        return True

    def _read_on(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_finished:
            return
        transport.resume_reading()
        try:
            self._read(transport)
        except BadRequest as error:
            self._refuse(transport, error)

    def _refuse(self, transport: asyncio.Transport, error: BadRequest) -> None:
        """Answer a bad head or body, and close."""
        message = error.message.encode()
        self.finish(transport, plain_response(error.status, message, "text/plain", error.headers))

    def finish(self, transport: asyncio.Transport, answer: bytes = b"") -> None:
        """Write the last answer, unless it is written, and close after time to read it.

        Closing at once would reset the connection of a client that is still sending, and its
        kernel would drop the answer (RFC 9112 9.6).

        Args:
            transport: the connection's transport.
            answer: the answer as bytes.
        """
        if self.server is not None:
            handover.detach(self.server)
            self.server = None
        if answer:
            transport.write(answer)
        if self._reserve is not None or not transport.can_write_eof():  # TLS has no half-close
            self._engine.dismiss(transport)
            self.connection_lost(None)
            return
        self._is_finished = True
        self._reader.take()
        self._engine.doors.add(self)  # a shutdown aborts them
        self._expect_by(_LINGER_NS)
        transport.write_eof()
        transport.resume_reading()

    def pause_writing(self) -> None:
        """Start the deadline of an answer that the client does not read (asyncio protocol)."""
        if self._transport is not None:
            self._unread_bytes = self._transport.get_write_buffer_size()
            self._unread_due_ns = self._engine.now_ns() + self._engine.body_timeout_ns
            self._engine.wake_at(self, self._unread_due_ns)
        super().pause_writing()

    def resume_writing(self) -> None:
        """End that deadline (asyncio protocol)."""
        self._unread_due_ns = 0
        super().resume_writing()

    def abort(self) -> None:
        """Close the connection without an answer."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection (asyncio protocol)."""
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        """Forget the connection and its bytes."""
        self._transport = None
        self._reader.take()
        self._engine.doors.discard(self)
        self._engine.forget_deadline(self)
        if self._reserve is not None:
            self._reserve.forget(self)

    def _expect_by(self, timeout_ns: int) -> None:
        self._due_ns = self._engine.now_ns() + timeout_ns
        self._engine.wake_at(self, self._due_ns)

    def wake(self, now_ns: int) -> int:
        """Abort the connection if a head, a body or the reading of an answer took too long.

        Returns:
            The next deadline in ns, 0 for none.
        """
        transport = self._transport
        if transport is None:
            return 0
        if self._unread_due_ns and now_ns >= self._unread_due_ns:
            left = transport.get_write_buffer_size()
            if left > self._unread_bytes - _LEAST_TAKEN_BYTES:
                transport.abort()
                return 0
            self._unread_bytes = left
            self._unread_due_ns = now_ns + self._engine.body_timeout_ns
        if self._due_ns and now_ns >= self._due_ns:
            transport.abort()
            return 0
        return min((due for due in (self._due_ns, self._unread_due_ns) if due), default=0)
