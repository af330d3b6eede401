"""An attempt: one handshake over a link, watched until the caller closes it."""

from __future__ import annotations

import ssl
from typing import Final

import gevent
from gevent.event import Event as Signal

from loadtests.connection.dialing import dial
from loadtests.connection.links import Link
from loadtests.connection.protocol.exchange import Exchange
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ConnectionClosed, TimedOut, unreachable
from loadtests.oracles.auth_cases import Offer

ANSWER_S: Final = 5.0
"""From the first SYN to the gateway's answer."""


class Attempt:
    """Offers a token to a gateway and listens; the caller must close it.

    Args:
        url: of the gateway.
        offer: the token and where to put it.
        source_address: the local address; None lets the kernel choose.
        tls: the trust settings for https and wss.

    Attributes:
        exchange: everything that the gateway sent.
    """

    def __init__(
        self,
        url: str,
        offer: Offer,
        *,
        source_address: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._target = parse_target(url)
        self._source = source_address
        self._tls = tls
        self._link: Link | None = None
        self._changed = Signal()
        self.exchange = Exchange(self._target, offer)

    def make(self) -> None:
        """Connect and wait until the gateway has answered.

        Raises:
            ClientError: no answer, or one that does not concern the token.
        """
        with gevent.Timeout(ANSWER_S, TimedOut("an answer to CONNECT", ANSWER_S)):
            try:
                self._link = dial(self._target, self, source_address=self._source, tls=self._tls)
            except OSError as error:
                raise unreachable(self._url, error) from error
            while not self.exchange.is_answered:
                self._changed.wait()
                self._changed.clear()
        if self.exchange.failure is not None:
            raise self.exchange.failure

    def listen(self, span_s: float) -> None:
        """Listen for ``span_s`` more, or until the gateway closes."""
        with gevent.Timeout(max(0.0, span_s), False):
            while not self.exchange.is_over:
                self._changed.wait()
                self._changed.clear()

    def close(self) -> None:
        """Close the socket; idempotent."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def on_open(self) -> None:
        """Send the upgrade request; part of ``links.LinkHolder``."""
        self._write()

    def on_data(self, stamp_ns: int, data: bytes) -> None:  # noqa: ARG002 - the holder's shape
        """Take the bytes of a read; part of ``links.LinkHolder``."""
        self.exchange.receive(data)
        self._write()
        if not data:
            self.close()
        self._changed.set()

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """Ignore kernel stamps; part of ``links.LinkHolder``."""

    def on_failure(self, error: Exception) -> None:
        """Take the end of the link; part of ``links.LinkHolder``."""
        words = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        self.exchange.fail(ConnectionClosed(words))
        self.close()
        self._changed.set()

    def _write(self) -> None:
        data = self.exchange.bytes_to_send()
        if data and self._link is not None:
            self._link.send(data)
