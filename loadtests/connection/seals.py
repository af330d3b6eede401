"""TLS over a link, through memory: the reactor reads the socket, OpenSSL never does.

A :class:`Seal` stands between a link and its holder: to the link it is the holder, to
the holder it is the link. Its memory, tens of kilobytes a connection, is OpenSSL's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any, Final

from loadtests.connection.links import Link, LinkHolder

_READ_BYTES: Final = 65_536  # more than the 16 KiB of a TLS record


class Seal:
    """A TLS client on a :class:`Link`, with the link's own verbs.

    Args:
        holder: who hears of what comes, in plain.
        context: whom to trust.
        host: the name that the server's certificate must carry.
        stamped: as for a link.
        receive_buffer_bytes: as for a link.
        clock: as for a link.
    """

    __slots__ = ("_holder", "_incoming", "_is_open", "_link", "_outgoing", "_tls")

    def __init__(
        self,
        holder: LinkHolder,
        context: ssl.SSLContext,
        host: str,
        *,
        stamped: bool = False,
        receive_buffer_bytes: int | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._holder = holder
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._is_open = False
        self._link = Link(
            self, stamped=stamped, receive_buffer_bytes=receive_buffer_bytes, clock=clock
        )

    @property
    def is_closed(self) -> bool:
        """Whether no socket is held."""
        return self._link.is_closed

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read unasked."""
        return self._link.is_paused

    def open(self, family: int, address: Any, source: str | None = None) -> None:
        """Begin to connect; the holder hears when TLS stands. Raises as ``Link.open``."""
        self._link.open(family, address, source)

    def send(self, data: bytes) -> None:
        """Encrypt and send. Raises as ``Link.send``."""
        self._tls.write(data)
        self._flush()

    def expect_within(self, silence_ns: int) -> None:
        """Fail when nothing comes for so long."""
        self._link.expect_within(silence_ns)

    def pause(self) -> None:
        """Read nothing any more, as ``Link.pause``."""
        self._link.pause()

    def resume(self) -> None:
        """Read again."""
        self._link.resume()

    def take(self, most_bytes: int) -> int:
        """Read at most so much of what is sealed, as ``Link.take``."""
        return self._link.take(most_bytes)

    def abort(self) -> None:
        """Close the socket with a reset."""
        self._link.abort()

    def close(self) -> None:
        """Close the socket; idempotent. TLS is told no farewell: WebSocket has its own."""
        self._link.close()

    def on_open(self) -> None:
        """Begin the TLS handshake; part of ``links.LinkHolder``."""
        self._shake_hands()

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """Decrypt everything that is whole; part of ``links.LinkHolder``."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self._is_open and not self._shake_hands():
            return
        plain, is_over = self._read_all()
        self._flush()  # an answer of TLS itself, such as to a key update
        if plain:
            self._holder.on_data(stamp_ns, plain)
        if is_over and not self.is_closed:
            self._holder.on_data(stamp_ns, b"")

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """Pass it on; part of ``links.LinkHolder``."""
        self._holder.on_kernel_stamp(stamp_ns, share_ns)

    def on_failure(self, error: Exception) -> None:
        """Pass it on; part of ``links.LinkHolder``."""
        self._holder.on_failure(error)

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()  # also the alert that says why a certificate was not good enough
        self._is_open = True
        self._holder.on_open()
        return True

    def _read_all(self) -> tuple[bytes, bool]:
        """Return what is whole, and whether the server has ended TLS or the connection."""
        parts = []
        try:
            while part := self._tls.read(_READ_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts), False
        except ssl.SSLEOFError:
            return b"".join(parts), True  # the TCP connection ended without a farewell of TLS
        return b"".join(parts), True

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._link.is_closed:
            self._link.send(data)
