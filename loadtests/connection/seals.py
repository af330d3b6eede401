"""TLS over a link, through memory buffers: the reactor reads the socket, not OpenSSL.

A :class:`Seal` is the holder of a link, and a link to its own holder. OpenSSL needs tens of
kilobytes for each connection.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any, Final

from loadtests.connection.links import Link, LinkHolder

_READ_BYTES: Final = 65_536  # more than the 16 KiB of a TLS record


class Seal:
    """A TLS client on a :class:`Link`, with the link's methods.

    Args:
        holder: receives the callbacks, with decrypted data.
        context: the trust settings.
        host: the name in the server's certificate.
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
        """Whether it holds no socket."""
        return self._link.is_closed

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused."""
        return self._link.is_paused

    def open(self, family: int, address: Any, source: str | None = None) -> None:
        """Begin to connect; the holder is told when TLS is established.

        Args:
            family: as for ``Link.open``.
            address: as for ``Link.open``.
            source: as for ``Link.open``.

        Raises:
            OSError: as ``Link.open``.
        """
        self._link.open(family, address, source)

    def send(self, data: bytes) -> None:
        """Encrypt and send data.

        Raises:
            OSError: as ``Link.send``.
        """
        self._tls.write(data)
        self._flush()

    def hand_over(self, holder: LinkHolder) -> None:
        """Give the callbacks to another holder from now on."""
        self._holder = holder

    def expect_within(self, silence_ns: int) -> None:
        """Fail the link after ``silence_ns`` without a read."""
        self._link.expect_within(silence_ns)

    def pause(self) -> None:
        """Stop reading, as ``Link.pause``."""
        self._link.pause()

    def resume(self) -> None:
        """Read again."""
        self._link.resume()

    def take(self, most_bytes: int) -> int:
        """Read up to ``most_bytes`` of encrypted data, as ``Link.take``."""
        return self._link.take(most_bytes)

    def abort(self) -> None:
        """Close the socket with a reset."""
        self._link.abort()

    def close(self) -> None:
        """Close the socket without TLS's close_notify, as WebSocket has its own; idempotent."""
        self._link.close()

    def on_open(self) -> None:
        """Begin the TLS handshake; part of ``links.LinkHolder``."""
        self._shake_hands()

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """Decrypt all complete records; part of ``links.LinkHolder``."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self._is_open and not self._shake_hands():
            return
        plain, is_over = self._read_all()
        self._flush()  # TLS may answer by itself, for example to a key update
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
            self._flush()  # also sends the alert about a rejected certificate
        self._is_open = True
        self._holder.on_open()
        return True

    def _read_all(self) -> tuple[bytes, bool]:
        """Return the decrypted data, and whether the server has ended TLS or the connection."""
        parts = []
        try:
            while part := self._tls.read(_READ_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts), False
        except ssl.SSLEOFError:
            return b"".join(parts), True  # TCP ended without close_notify
        return b"".join(parts), True

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._link.is_closed:
            self._link.send(data)
