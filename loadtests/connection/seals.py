"""TLS over a link, through memory buffers: the reactor reads the socket, not OpenSSL.

A :class:`Seal` is a link that is its own holder: it decrypts data for the holder behind it.
OpenSSL needs tens of kilobytes for each connection.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Final

from loadtests.connection.links import Link, LinkHolder

_READ_BYTES: Final = 65_536  # more than the 16 KiB of a TLS record


class Seal(Link):
    """A link with TLS.

    Args:
        holder: receives the callbacks, with decrypted data.
        context: the trust settings.
        host: the name in the server's certificate.
        stamped: as for a link.
        receive_buffer_bytes: as for a link.
        clock: as for a link.
    """

    __slots__ = ("_behind", "_incoming", "_is_secure", "_outgoing", "_tls")

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
        super().__init__(
            self, stamped=stamped, receive_buffer_bytes=receive_buffer_bytes, clock=clock
        )
        self._behind = holder
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._is_secure = False

    def send(self, data: bytes) -> None:
        """Encrypt and send data.

        Raises:
            OSError: as ``Link.send``.
        """
        self._tls.write(data)
        self._flush()

    def hand_over(self, holder: LinkHolder) -> None:
        """Give the callbacks to another holder from now on."""
        self._behind = holder

    def on_open(self) -> None:
        """Begin the TLS handshake; part of ``links.LinkHolder``."""
        self._shake_hands()

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """Decrypt all complete records; part of ``links.LinkHolder``."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self._is_secure and not self._shake_hands():
            return
        plain, is_over = self._read_all()
        self._flush()  # TLS may answer by itself, for example to a key update
        if plain:
            self._behind.on_data(stamp_ns, plain)
        if is_over and not self.is_closed:
            self._behind.on_data(stamp_ns, b"")

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """Pass it on; part of ``links.LinkHolder``."""
        self._behind.on_kernel_stamp(stamp_ns, share_ns)

    def on_failure(self, error: Exception) -> None:
        """Pass it on; part of ``links.LinkHolder``."""
        self._behind.on_failure(error)

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()  # also sends the alert about a rejected certificate
        self._is_secure = True
        self._behind.on_open()
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
        if data and not self.is_closed:
            super().send(data)
