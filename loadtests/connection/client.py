"""The load client: the protocol core over a link of the reactor.

A client holds one socket and no greenlet. The hub handles all reads: it stamps each read once,
before decoding. Pushes take the user's fast path; everything else is decoded and passed to the
listener. The user's own greenlet calls the other methods and sleeps while it waits. Stamps are
nanoseconds of CLOCK_MONOTONIC.

Every failure is reported. A method raises; an end that the client did not ask for goes to
:meth:`Listener.on_end`, once. Every method and callback changes the same state of a connection,
so they are in one module.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol

import gevent
from gevent.event import AsyncResult

from loadtests.connection.calls import CALL_TIMEOUT_S, Call, Reply
from loadtests.connection.dialing import dial
from loadtests.connection.links import Link
from loadtests.connection.partings import Parting
from loadtests.connection.protocol.handshake import parse_target
from loadtests.connection.protocol.session import (
    Acknowledged,
    Connected,
    Connection,
    Ended,
    Event,
    Opened,
    Parted,
    Received,
)
from loadtests.connection.protocol.websocket_frames import frame_end
from loadtests.errors import ConnectionClosed, Disconnected, NotConnected, TimedOut, unreachable
from loadtests.reading.fast_path import FastPath

CONNECT_TIMEOUT_S: Final = 10.0
"""From the first SYN to the answer to CONNECT. Default of :class:`Client`."""
_NS_PER_MS: Final = 1_000_000


class Listener(Protocol):
    """Receives a client's events. Called in the hub, so it must not block."""

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """Take an event that the fast path did not.

        Args:
            stamp_ns: of its read.
            name: of the event.
            arguments: its payload.
        """
        ...

    def on_end(self, stamp_ns: int, error: Exception) -> None:
        """Take the end of the connection, unless :meth:`Client.close` caused it. Called once."""
        ...

    def on_left_open(self, stamp_ns: int) -> None:
        """Take that the server disconnected the client and did not close the transport."""
        ...


class Client:
    """One connection to a Socket.IO server, for one virtual user.

    Args:
        url: of the server.
        listener: receives the events.
        fast_path: takes the pushes that continue their streams; None makes all of them events.
        is_stamped: whether the intake also gets the kernel's receive stamps.
        source_address: the local address; None lets the kernel choose.
        connect_timeout_s: from the first SYN to the answer to CONNECT.
        receive_buffer_bytes: of the socket; None leaves it to the kernel.
        headers: of the upgrade request.
        tls: the trust settings for https and wss; None uses the machine's authorities.
        clock: the monotonic clock, ns.

    Attributes:
        sid: the ``socket.id``.
        started_ns: when the SYN was sent.
        opened: the server's Engine.IO handshake; None before it.
        pinged_ns: when the last ping was read, or the handshake before the first.

    Raises:
        InvalidTarget: the URL is not valid.
    """

    __slots__ = (
        "_calls",
        "_clock",
        "_connection",
        "_entered",
        "_fast_path",
        "_headers",
        "_is_closing",
        "_is_stamped",
        "_link",
        "_listener",
        "_open_fast_path",
        "_receive_buffer_bytes",
        "_source",
        "_timeout_s",
        "_tls",
        "opened",
        "pinged_ns",
        "sid",
        "started_ns",
        "url",
    )

    def __init__(
        self,
        url: str,
        listener: Listener,
        *,
        fast_path: FastPath | None = None,
        is_stamped: bool = False,
        source_address: str | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        receive_buffer_bytes: int | None = None,
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        parse_target(url)
        self.url = url
        self.sid = ""
        self.started_ns = 0
        self.pinged_ns = 0
        self.opened: Opened | None = None
        self._receive_buffer_bytes = receive_buffer_bytes
        self._listener = listener
        self._fast_path = fast_path
        self._is_stamped = is_stamped and fast_path is not None
        self._source = source_address
        self._timeout_s = connect_timeout_s
        self._headers = headers
        self._tls = tls
        self._clock = clock
        self._connection: Connection | None = None
        self._link: Link | None = None
        self._calls: dict[int, Call] = {}
        self._entered: AsyncResult | None = None
        self._is_closing = False
        self._open_fast_path: FastPath | None = None

    @property
    def is_connected(self) -> bool:
        """Whether events can be emitted."""
        return self._connection is not None and self._connection.is_connected

    @property
    def is_closed(self) -> bool:
        """Whether it holds no socket."""
        return self._link is None

    @property
    def is_waiting(self) -> bool:
        """Whether a request waits for its acknowledgement."""
        return bool(self._calls)

    def connect(self, auth: object = None) -> str:
        """Connect and return the ``socket.id``.

        A client can connect again after its connection has ended.

        Raises:
            Unreachable: no TCP or TLS connection.
            Refused: the server refused the upgrade.
            ConnectRefused: the server refused CONNECT.
            TimedOut: the connect timeout passed.
            ClientError: the connection ended, or the server broke the protocol.
        """
        self.close()
        self._is_closing = False
        self._connection = Connection(self.url, auth=auth, headers=self._headers)
        self._open_fast_path = None
        entered = self._entered = AsyncResult()
        self.started_ns = self._clock()
        try:
            with gevent.Timeout(self._timeout_s, TimedOut("the connection", self._timeout_s)):
                self._link = dial(
                    parse_target(self.url),
                    self,
                    source_address=self._source,
                    is_stamped=self._is_stamped,
                    receive_buffer_bytes=self._receive_buffer_bytes,
                    tls=self._tls,
                    clock=self._clock,
                )
                entered.get()
        except OSError as error:
            self.close()
            raise unreachable(self.url, error) from error
        except BaseException:
            self.close()
            raise
        finally:
            self._entered = None
        return self.sid

    def emit(self, event: str, *arguments: object) -> int:
        """Send an event without an acknowledgement; return when its write began, ns.

        Raises:
            ClientError: there is no connection.
        """
        self._require().emit(event, *arguments)
        return self._flush()

    def begin_call(self, event: str, *arguments: object, intended_ns: int | None = None) -> Call:
        """Send an event with an acknowledgement, without waiting for it.

        Args:
            event: its name.
            arguments: its payload.
            intended_ns: its intended time; None means now.

        Raises:
            ClientError: there is no connection.
        """
        connection = self._require()
        ack_id = connection.call(event, *arguments)
        now_ns = self._clock()
        call = Call(event, now_ns if intended_ns is None else intended_ns, now_ns)
        self._calls[ack_id] = call
        call.sent_ns = self._flush()
        return call

    def call(
        self,
        event: str,
        payload: object = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        intended_ns: int | None = None,
    ) -> Reply:
        """Send an event and return its acknowledgement.

        Args:
            event: its name.
            payload: its only argument; None sends none.
            timeout_s: how long to wait.
            intended_ns: its intended time; None means now.

        Raises:
            TimedOut: no answer within ``timeout_s``.
            ClientError: there is no connection, or it ended first.
        """
        arguments = () if payload is None else (payload,)
        return self.begin_call(event, *arguments, intended_ns=intended_ns).wait(timeout_s)

    def close(self) -> None:
        """Disconnect and close the socket; idempotent, raises no network error.

        Closing frames that the kernel does not take at once are not sent.
        """
        self._is_closing = True
        if self._link is not None and self._connection is not None:
            self._connection.close()
            self._send_close_frames()
        self._drop_link()
        self._fail_calls(ConnectionClosed("closed by the client"))

    def drop(self) -> None:
        """Reset the connection without a close frame, as a network failure would; idempotent."""
        self._is_closing = True
        link, self._link = self._link, None
        if link is not None:
            link.abort()
        self._fail_waiting(ConnectionClosed("dropped by the client"))

    def pause(self) -> None:
        """Stop reading; the end of the connection is still noticed.

        Kernel stamps stop too: from now on the delay is the user's own.
        """
        self._is_stamped = False
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        """Read again."""
        if self._link is not None:
            self._link.resume()

    def read(self, most_bytes: int) -> int:
        """Read up to ``most_bytes`` now, even while paused; return how many bytes came."""
        return 0 if self._link is None else self._link.take(most_bytes)

    def ignore_pings(self) -> None:
        """Stop answering the server's pings."""
        if self._connection is not None:
            self._connection.answers_pings = False

    def pong(self) -> None:
        """Send an unsolicited pong.

        Raises:
            ClientError: there is no connection.
        """
        self._require().pong()
        self._flush()

    def on_open(self) -> None:
        """Send the upgrade request; part of ``links.LinkHolder``."""
        self._flush()

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """Take one read: the fast path first, then events; part of ``links.LinkHolder``."""
        size, offset = len(data), 0
        if self._fast_path is not None:
            self._fast_path.intake.bytes_read += size
        if self._open_fast_path is not None:
            said = self._open_fast_path.intake.broadcasts.young.get(data)
            if said is not None:
                self._listener.on_event(stamp_ns, said[0], (said[1],))
                return
            offset = self._open_fast_path.take(data, 0, stamp_ns)
        if offset < size or not size:
            self._handle_other_frames(stamp_ns, data, offset)

    def _handle_other_frames(self, stamp_ns: int, data: bytes, offset: int) -> None:
        """Handle the frames that the fast path does not take; it continues after each of them."""
        connection, fast_path = self._connection, self._fast_path
        if connection is None:
            return
        if fast_path is None or not data or not connection.is_connected:
            self._handle(stamp_ns, connection, data)
        else:
            data = connection.release() + data
            while offset < len(data) and not self._is_closing:
                if connection.is_between_messages:
                    offset = fast_path.take(data, offset, stamp_ns)
                end = None if connection.is_mid_frame else frame_end(data, offset)
                said = None
                if end is not None and connection.is_between_messages:
                    said = fast_path.intake.broadcast(data[offset:end])
                if said is not None:
                    self._listener.on_event(stamp_ns, said[0], (said[1],))
                elif offset < len(data):
                    self._handle(stamp_ns, connection, data[offset:end])
                offset = end or len(data)
        self._open_fast_path = fast_path if connection.is_between_messages else None
        if connection.is_parted and self._link is not None:
            link, self._link = self._link, None
            Parting(link, connection, stamp_ns, self._listener.on_left_open)
            self._finish(Disconnected())

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """Record the generator's own share of a latency; part of ``links.LinkHolder``."""
        if self._fast_path is not None and self._is_stamped:
            self._fast_path.intake.take_share(stamp_ns, share_ns, self._fast_path.owner)

    def on_failure(self, error: Exception) -> None:
        """End the connection; part of ``links.LinkHolder``."""
        if not isinstance(error, OSError):
            self._finish(error)  # an error in a listener
        elif self._connection is not None and self._connection.has_output:
            self._finish(unreachable(self.url, error))  # the upgrade request never left
        else:
            self._finish(ConnectionClosed(error.strerror or str(error)))

    def _require(self) -> Connection:
        if self._connection is None:
            raise NotConnected("nothing can be sent before connect()")
        return self._connection

    def _flush(self) -> int:
        """Send the protocol core's output in one write; return when it began."""
        connection, link = self._connection, self._link
        sent_ns = self._clock()
        data = connection.bytes_to_send() if connection is not None else b""
        if data and link is not None:
            try:
                link.send(data)
            except OSError as error:
                raise ConnectionClosed(error.strerror or str(error)) from error
        return sent_ns

    def _handle(self, stamp_ns: int, connection: Connection, data: bytes) -> None:
        pings = connection.pings
        events = connection.receive(data) if data else connection.receive_eof()
        if connection.pings != pings:
            self.pinged_ns = stamp_ns
        for event in events:
            if isinstance(event, Ended):
                self._send_close_frames()
                self._finish(event.error)
                return
            if not isinstance(event, Parted):
                self._dispatch(stamp_ns, event)
            if self._connection is not connection or self._is_closing:
                return  # a listener closed the connection
        if connection.has_output:
            self._flush()

    def _dispatch(self, stamp_ns: int, event: Event) -> None:
        if isinstance(event, Received):
            self._listener.on_event(stamp_ns, event.name, event.arguments)
            if event.ack_id is not None and not self._is_closing:
                self._require().acknowledge(event.ack_id)
        elif isinstance(event, Acknowledged):
            call = self._calls.pop(event.ack_id, None)
            if call is None:
                raise ConnectionClosed(f"an acknowledgement of an unknown request: {event.ack_id}")
            call.resolve(event.arguments[0] if event.arguments else None, stamp_ns)
        elif isinstance(event, Opened) and self._link is not None:
            # Engine.IO 4: a server that sends no ping in this time is considered dead.
            self.opened, self.pinged_ns = event, stamp_ns
            silence_ms = event.ping_interval_ms + event.ping_timeout_ms
            self._link.expect_within(silence_ms * _NS_PER_MS)
        elif isinstance(event, Connected) and self._entered is not None:
            self.sid = event.sid  # the welcome, which names it, may be in the same read
            self._entered.set(event.sid)

    def _finish(self, error: Exception) -> None:
        """Report the end of the connection once, to ``connect()`` or to the listener."""
        if self._is_closing:
            return
        stamp_ns = self._clock()
        self._is_closing = True
        self._drop_link()
        if self._fail_waiting(error):
            return
        try:
            self._listener.on_end(stamp_ns, error)
        except Exception as mistake:  # noqa: BLE001 - raised again where it cannot stop the watcher
            gevent.spawn(_raise, mistake)

    def _send_close_frames(self) -> None:
        try:
            self._flush()
        except ConnectionClosed as error:
            self._fail_calls(error)

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _fail_waiting(self, error: Exception) -> bool:
        """Fail all calls, and connect() where it waits; return whether it does."""
        self._fail_calls(error)
        if self._entered is None or self._entered.ready():
            return False
        self._entered.set_exception(error)
        return True

    def _fail_calls(self, error: Exception) -> None:
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            call.fail(error)


def _raise(error: Exception) -> NoReturn:
    raise error
