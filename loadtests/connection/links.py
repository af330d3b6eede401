"""A link: one non-blocking socket under the reactor, plain or TLS.

A read is stamped once, right after ``recv`` and before decoding. Some links ask for the kernel's
receive stamp too: the difference is the generator's own share of a latency. The kernel stamps
with the wall clock, which :class:`WallClock` converts to the monotonic one. Its stamp is that of
the newest byte of a read.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from gevent import monkey

from loadtests.connection.reactor import BROKEN, ENDING, READABLE, WRITABLE, Reactor

READ_BYTES: Final = 2_048
"""Size of one read. Each read allocates as much; 8,192 would cost 2.5 µs more."""
MOST_READ_BYTES: Final = 32_768
"""A link whose read came back full reads four times more, up to this."""

_IP_BIND_ADDRESS_NO_PORT: Final = 24  # ip(7): the port is chosen by connect, not by bind
_SO_TIMESTAMPNS: Final = 35  # socket(7); also the type of the control message that carries it
_TIMESPEC: Final = struct.Struct("@qq")
_CONTROL_BYTES: Final = 64
_NS_PER_S: Final = 1_000_000_000
SILENCE: Final = "nothing came within the ping timeout"
_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


class LinkHolder(Protocol):
    """Receives a link's callbacks, in the hub: it must not block; an error ends the link."""

    def on_open(self) -> None:
        """The connection is established."""
        ...

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """A read returned data; empty at the end of the connection."""
        ...

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """A read was stamped ``share_ns`` after the kernel had stamped its newest byte."""
        ...

    def on_failure(self, error: Exception) -> None:
        """The link failed; the holder must close it."""
        ...


class WallClock:
    """Converts wall-clock times to monotonic ones; measures the offset once a second."""

    def __init__(self) -> None:
        self._offset_ns = 0
        self._paired_ns = -_NS_PER_S

    def monotonic_ns(self, wall_ns: int, now_ns: int) -> int:
        """Return a recent time of CLOCK_REALTIME in CLOCK_MONOTONIC, ns."""
        if now_ns - self._paired_ns >= _NS_PER_S:
            self._pair()
        return wall_ns - self._offset_ns

    def _pair(self) -> None:
        """Keep the narrowest of three readings; its error is below half its width."""
        brackets = []
        for _ in range(3):
            before_ns = time.monotonic_ns()
            wall_ns = time.time_ns()
            after_ns = time.monotonic_ns()
            brackets.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2, after_ns))
        _, self._offset_ns, self._paired_ns = min(brackets)


_wall_clock: Final = WallClock()


class Link:
    """One TCP connection to a server; it is not reused.

    Args:
        holder: receives the callbacks.
        stamped: whether to ask for the kernel's receive stamps.
        receive_buffer_bytes: ``SO_RCVBUF``, which the kernel doubles; None leaves the default.
        clock: the monotonic clock, ns.
    """

    __slots__ = (
        "_buffer_bytes",
        "_clock",
        "_holder",
        "_is_open",
        "_is_paused",
        "_outbox",
        "_reactor",
        "_receive",
        "_size",
        "_socket",
        "_stamped",
        "descriptor",
        "heard_ns",
        "silence_ns",
    )

    def __init__(
        self,
        holder: LinkHolder,
        *,
        stamped: bool = False,
        receive_buffer_bytes: int | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.descriptor = -1
        self.heard_ns = clock()
        self.silence_ns = 0
        self._clock = clock
        self._holder = holder
        self._is_open = False
        self._is_paused = False
        self._buffer_bytes = receive_buffer_bytes
        self._outbox: bytearray | None = None
        self._reactor = Reactor.of_hub()
        self._receive: Any = None
        self._size = READ_BYTES
        self._socket: Any = None
        self._stamped = stamped

    @property
    def is_closed(self) -> bool:
        """Whether it holds no socket."""
        return self._socket is None

    def open(self, family: int, address: Any, source: str | None = None) -> None:
        """Begin to connect; the holder is told of the connection or of its failure.

        Args:
            family: the address family.
            address: the server's address, as for ``socket.connect``.
            source: the local address; None lets the kernel choose.

        Raises:
            OSError: the connection cannot begin, for example without a free port.
        """
        # Not gevent's socket, which has watchers of its own.
        sock = monkey.get_original("socket", "socket")(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._stamped:
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if self._buffer_bytes is not None:
                # Before connecting, so that the window has that size (tcp(7)).
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
            if source is not None:
                if family == socket.AF_INET:
                    # A port is then taken for this target only, not for the whole address.
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            error = sock.connect_ex(address)
            if error not in _UNDER_WAY:
                raise OSError(error, os.strerror(error))
            self._reactor.add(sock.fileno(), self, WRITABLE)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self.descriptor = sock.fileno()
        self._receive = self._receive_stamped if self._stamped else sock.recv

    def send(self, data: bytes) -> None:
        """Send data: now as much as the kernel takes, the rest when it takes more.

        Raises:
            BrokenPipeError: the socket is closed.
            OSError: the connection has ended.
        """
        if self._socket is None:
            raise BrokenPipeError(errno.EPIPE, "the socket is closed")
        if self._outbox is not None:
            self._outbox += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._outbox = bytearray(data[sent:])
            self._watch()

    def hand_over(self, holder: LinkHolder) -> None:
        """Give the callbacks to another holder from now on."""
        self._holder = holder

    def expect_within(self, silence_ns: int) -> None:
        """Fail the link after ``silence_ns`` without a read."""
        self.silence_ns = silence_ns
        self._reactor.judge_silence(silence_ns)

    def pause(self) -> None:
        """Stop reading; the server's close is still noticed, as a failure."""
        if self._socket is not None and not self._is_paused:
            self._is_paused = True
            self._watch()

    def resume(self) -> None:
        """Read again."""
        if self._socket is not None and self._is_paused:
            self._is_paused = False
            self.heard_ns = self._clock()
            self._watch()

    def take(self, most_bytes: int) -> int:
        """Read once, up to ``most_bytes``, even while paused; return how many bytes came."""
        if self._socket is None:
            return 0
        try:
            data = self._receive(most_bytes)
            self.heard_ns = stamp_ns = self._clock()
            self._holder.on_data(stamp_ns, data)
        except BlockingIOError:
            return 0
        except Exception as error:  # noqa: BLE001 - as in on_ready: the holder's errors too
            self._holder.on_failure(error)
            return 0
        return len(data)

    def abort(self) -> None:
        """Close the socket with a reset (socket(7): SO_LINGER of 0 s)."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the socket; idempotent. Data that the kernel has not taken is discarded."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._receive = None
            self._reactor.remove(self.descriptor)
            sock.close()

    def on_ready(self, mask: int) -> int:
        """Read once and send waiting data; part of ``reactor.Readable``."""
        stamp_ns = 0
        try:
            if mask != READABLE and not self._on_writable(mask):
                return 0
            if self._is_paused:
                self._notice_end(mask)
                return 0
            wanted = self._size
            data = self._receive(wanted)
            self.heard_ns = stamp_ns = self._clock()
            self._holder.on_data(stamp_ns, data)
            size = len(data)
            if size == wanted:
                self._size = min(MOST_READ_BYTES, 4 * wanted)
            elif size < READ_BYTES:
                self._size = READ_BYTES
        except BlockingIOError:
            pass  # no longer ready
        except Exception as error:  # noqa: BLE001 - the holder's error would stop the hub's watcher
            self._holder.on_failure(error)
        return stamp_ns

    def on_silence(self) -> None:
        """Fail, unless reading is paused; part of ``reactor.Readable``."""
        if self._is_paused:
            return
        self.silence_ns = 0
        self._holder.on_failure(TimeoutError(errno.ETIMEDOUT, SILENCE))

    def _on_writable(self, mask: int) -> bool:
        """Finish connecting or send waiting data; return whether to read."""
        if not self._is_open:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            self._is_open = True
            self._reactor.watch(self.descriptor, READABLE)
            self._holder.on_open()
            return False
        if mask & WRITABLE and self._outbox is not None:
            sent = self._socket.send(self._outbox)
            del self._outbox[:sent]
            if not self._outbox:
                self._outbox = None
                self._watch()
        return bool(mask & ~WRITABLE)

    def _watch(self) -> None:
        reading = ENDING if self._is_paused else READABLE
        self._reactor.watch(self.descriptor, reading | (WRITABLE if self._outbox else 0))

    def _notice_end(self, mask: int) -> None:
        """Raise the error of a paused socket that has ended."""
        if not mask & (ENDING | BROKEN):
            return
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        raise OSError(error or errno.ESHUTDOWN, os.strerror(error or errno.ESHUTDOWN))

    def _receive_stamped(self, size: int) -> bytes:
        data: bytes
        data, messages, _, _ = self._socket.recvmsg(size, _CONTROL_BYTES)
        stamp_ns = self._clock()
        for level, kind, value in messages:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, rest_ns = _TIMESPEC.unpack_from(value)
                kernel_ns = _wall_clock.monotonic_ns(seconds * _NS_PER_S + rest_ns, stamp_ns)
                self._holder.on_kernel_stamp(stamp_ns, stamp_ns - kernel_ns)
        return data
