"""The load client: the protocol core in a plain gevent shell, one socket and one reader each.

Each read is stamped once, right after ``recv`` and before anything is decoded:
the decoding of one user's bytes never counts as another's latency by the same
user's stamp. Stamps are nanoseconds of CLOCK_MONOTONIC.

Nothing fails in silence: a verb raises, and a connection that ends by itself is
reported to :meth:`Listener.on_end`, once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import gevent
import gevent.socket
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from loadtests.calls import CALL_TIMEOUT_S, Call, Reply
from loadtests.errors import ClientError, ConnectionClosed, NotConnected, TimedOut, Unreachable
from loadtests.handshake import Target, parse_target
from loadtests.protocol import Acknowledged, Connected, Connection, Ended, Event, Opened, Received

CONNECT_TIMEOUT_S: Final = 10.0
"""From the first SYN to the answer to CONNECT. Default of :class:`Client`."""
READ_BYTES: Final = 8_192


class Listener(Protocol):
    """Who hears of what a client reads. Called in the reader's greenlet: it must not block."""

    def on_bytes(self, stamp_ns: int, count: int) -> None:
        """So many bytes were read."""
        ...

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """An event came."""
        ...

    def on_end(self, stamp_ns: int, error: Exception) -> None:
        """The connection ended, and not by :meth:`Client.close`. Called once."""
        ...


class Client:
    """One connection to a Socket.IO server, for one virtual user.

    Args:
        url: of the server.
        listener: who hears of what comes in.
        source_address: to connect from; None lets the kernel choose.
        connect_timeout_s: from the first SYN to the answer to CONNECT.
        headers: of the upgrade request.
        clock: nanoseconds, monotonic; a test winds its own.

    Raises:
        InvalidTarget: the URL is none to connect to.
    """

    def __init__(
        self,
        url: str,
        listener: Listener,
        *,
        source_address: str | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        headers: dict[str, str] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.url = url
        self.sid = ""
        self.started_ns = 0
        self._target = parse_target(url)
        self._listener = listener
        self._source = source_address
        self._timeout_s = connect_timeout_s
        self._headers = headers
        self._clock = clock
        self._connection: Connection | None = None
        self._socket: Any = None
        self._reader: Any = None
        self._write_lock = BoundedSemaphore(1)
        self._calls: dict[int, Call] = {}
        self._entered: AsyncResult = AsyncResult()
        self._is_closing = False

    @property
    def is_connected(self) -> bool:
        """Whether events may be emitted."""
        return self._connection is not None and self._connection.is_connected

    @property
    def is_closed(self) -> bool:
        """Whether neither a socket nor a reader is held."""
        return self._socket is None and (self._reader is None or self._reader.dead)

    @property
    def is_waiting(self) -> bool:
        """Whether a request is under way."""
        return bool(self._calls)

    def connect(self, auth: object = None) -> str:
        """Connect and return the ``socket.id``; :attr:`started_ns` is the moment of the SYN.

        A client that was connected before may connect again once its connection is over.

        Raises:
            Unreachable: no TCP connection.
            Refused: the upgrade was refused.
            ConnectRefused: CONNECT was refused.
            TimedOut: not all of it within the connect timeout.
            ClientError: the connection ended meanwhile, or broke the protocol.
        """
        self.close()
        self._is_closing = False
        self._entered = AsyncResult()
        connection = self._connection = Connection(self.url, auth=auth, headers=self._headers)
        self.started_ns = self._clock()
        try:
            with gevent.Timeout(self._timeout_s, TimedOut("the connection", self._timeout_s)):
                self._socket = self._open_socket(self._target)
                self._reader = gevent.spawn(self._read, self._socket, connection)
                self._flush()
                self.sid = self._entered.get()
        except OSError as error:
            self.close()
            raise Unreachable(self.url, error.strerror or str(error)) from error
        except BaseException:
            self.close()
            raise
        return self.sid

    def emit(self, event: str, *arguments: object) -> int:
        """Send an event without asking for an answer, and return when it was sent.

        Raises:
            ClientError: there is no connection.
        """
        self._require().emit(event, *arguments)
        return self._flush()

    def begin_call(self, event: str, *arguments: object, intended_ns: int | None = None) -> Call:
        """Send an event that asks for an acknowledgement; do not wait for it.

        Args:
            event: its name.
            arguments: its payload.
            intended_ns: when it should have been sent; None means now.

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
        """Send an event and wait for its acknowledgement.

        Raises:
            TimedOut: it did not come.
            ClientError: there is no connection, or it ended first.
        """
        arguments = () if payload is None else (payload,)
        return self.begin_call(event, *arguments, intended_ns=intended_ns).wait(timeout_s)

    def close(self) -> None:
        """Leave, close the socket and end the reader; idempotent, never raises for the network."""
        self._is_closing = True
        connection, sock, reader = self._connection, self._socket, self._reader
        if sock is not None and connection is not None:
            connection.close()
            data = connection.bytes_to_send()
            if data:
                try:
                    sock.settimeout(1.0)
                    sock.sendall(data)
                except OSError as error:
                    # The farewell is a courtesy: whoever is gone needs none.
                    self._fail_calls(ConnectionClosed(str(error)))
        self._drop_socket()
        if reader is not None and reader is not gevent.getcurrent():
            reader.kill()
        self._reader = None
        self._fail_calls(ConnectionClosed("closed by the client"))

    def _require(self) -> Connection:
        if self._connection is None:
            raise NotConnected("nothing can be sent before connect()")
        return self._connection

    def _open_socket(self, target: Target) -> Any:
        family = gevent.socket.AF_INET if self._source and ":" not in self._source else 0
        found = gevent.socket.getaddrinfo(
            target.host, target.port, family, gevent.socket.SOCK_STREAM
        )
        family, kind, number, _, address = found[0]
        sock = gevent.socket.socket(family, kind, number)
        try:
            sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if self._source is not None:
                sock.bind((self._source, 0))
            sock.connect(address)
            return _wrap_tls(sock, target.host) if target.secure else sock
        except BaseException:
            sock.close()
            raise

    def _flush(self) -> int:
        """Write what the core has to say in one write, whole; return when it was begun."""
        connection, sock = self._connection, self._socket
        with self._write_lock:
            sent_ns = self._clock()
            data = connection.bytes_to_send() if connection is not None else b""
            if data and sock is not None:
                try:
                    sock.sendall(data)
                except OSError as error:
                    raise ConnectionClosed(error.strerror or str(error)) from error
        return sent_ns

    def _read(self, sock: Any, connection: Connection) -> None:
        """Read until the end; whatever ends it is told once."""
        try:
            error = self._read_until_end(sock, connection)
        except OSError as failure:
            words = "nothing came within the ping timeout"
            error = ConnectionClosed(failure.strerror or words)
        except ClientError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a listener's mistake: told below, not lost
            self._finish(failure)
            return
        self._finish(error)

    def _read_until_end(self, sock: Any, connection: Connection) -> ClientError:
        receive, clock, listener = sock.recv, self._clock, self._listener
        while True:
            data = receive(READ_BYTES)
            stamp_ns = clock()
            listener.on_bytes(stamp_ns, len(data))
            events = connection.receive(data) if data else connection.receive_eof()
            for event in events:
                if isinstance(event, Ended):
                    with contextlib.suppress(ConnectionClosed):  # a farewell to nobody
                        self._flush()
                    return event.error
                self._dispatch(stamp_ns, event, sock)
            if connection.has_output:
                self._flush()
            if not data:
                return ConnectionClosed("the server closed the TCP connection")

    def _dispatch(self, stamp_ns: int, event: Event, sock: Any) -> None:
        if isinstance(event, Received):
            self._listener.on_event(stamp_ns, event.name, event.arguments)
            if event.ack_id is not None:
                self._require().acknowledge(event.ack_id)
        elif isinstance(event, Acknowledged):
            call = self._calls.pop(event.ack_id, None)
            if call is None:
                raise ConnectionClosed(f"an answer to a call never made: {event.ack_id}")
            call.resolve(event.arguments[0] if event.arguments else None, stamp_ns)
        elif isinstance(event, Opened):
            # Engine.IO 4: without a ping in this time the server is taken for dead.
            sock.settimeout((event.ping_interval_ms + event.ping_timeout_ms) / 1_000)
        elif isinstance(event, Connected):
            self._entered.set(event.sid)

    def _finish(self, error: Exception) -> None:
        stamp_ns = self._clock()
        if self._is_closing:
            return
        self._is_closing = True
        self._drop_socket()
        self._fail_calls(error)
        if not self._entered.ready():
            self._entered.set_exception(error)  # connect() raises it
        else:
            self._listener.on_end(stamp_ns, error)

    def _drop_socket(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _fail_calls(self, error: Exception) -> None:
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            call.fail(error)


def _wrap_tls(sock: Any, host: str) -> Any:
    import gevent.ssl

    return gevent.ssl.create_default_context().wrap_socket(sock, server_hostname=host)
