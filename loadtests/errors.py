# ruff: noqa: N818 - names of states, as in gateway.errors; the tree shows that they are errors
"""The errors of a client connection, as one tree.

::

    ClientError
    ├── InvalidTarget        the caller's mistake: no client can connect to this URL
    ├── NotConnected         the caller's mistake: there is no connection
    ├── Unreachable          no TCP connection, or not in time
    │   └── Exhausted        this machine has no descriptor, port or memory left for one
    ├── Refused              the server answered the upgrade with another status than 101
    ├── ConnectRefused       the server answered CONNECT with CONNECT_ERROR
    ├── ProtocolViolation    the server broke RFC 6455, Engine.IO or Socket.IO
    ├── ConnectionClosed     the connection ended
    │   └── Disconnected     by Socket.IO's DISCONNECT, after which a stock client stays away
    └── TimedOut             an answer did not come in time
"""

from __future__ import annotations

import errno
from typing import Final

_OWN_LIMITS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
)


class ClientError(Exception):
    """The root of every error in this module."""


class InvalidTarget(ClientError):
    """The URL is more than scheme, host and port, or less, or its scheme is unknown."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url!r} is not a valid target: {why}; write it like http://127.0.0.1:3000"
        )
        self.url = url


class NotConnected(ClientError):
    """The call needs a connection and there is none."""


class Unreachable(ClientError):
    """The server could not be reached."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url} is unreachable: {why}")
        self.url = url


class Exhausted(Unreachable):
    """This machine cannot open another connection: the server is not to blame."""


def unreachable(url: str, error: OSError) -> Unreachable:
    """Return the error of a connection that could not be opened, by its cause."""
    kind = Exhausted if error.errno in _OWN_LIMITS else Unreachable
    return kind(url, error.strerror or str(error))


class Refused(ClientError):
    """The server answered the upgrade with another status than 101.

    Attributes:
        status: the HTTP status.
        retry_after_s: the ``Retry-After`` header in seconds; None when it is absent or a date.
        body: the start of the answer's body, as text.
    """

    def __init__(self, status: int, retry_after_s: float | None = None, body: str = "") -> None:
        wait = "" if retry_after_s is None else f", retry after {retry_after_s:g} s"
        super().__init__(f"upgrade refused with HTTP {status}{wait}{': ' if body else ''}{body}")
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body


class ConnectRefused(ClientError):
    """The server answered CONNECT with CONNECT_ERROR.

    Attributes:
        message: the server's message.
        code: ``data.code`` such as ``AUTH_FAILED``; empty when the server sent none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(f"connect refused: {message}{f' ({code})' if code else ''}")
        self.message = message
        self.code = code


class ProtocolViolation(ClientError):
    """The server broke its protocol.

    Attributes:
        close_code: the status of the client's close frame (RFC 6455 §7.4.1).
        reason: which rule the server broke.
    """

    def __init__(self, reason: str, close_code: int = 1002) -> None:
        super().__init__(f"protocol violation: {reason}")
        self.close_code = close_code
        self.reason = reason


class ConnectionClosed(ClientError):
    """The connection ended.

    Attributes:
        close_code: the WebSocket status; 1005 when a close frame had none, 1006 without a frame.
        reason: which side closed, and why.
    """

    def __init__(self, reason: str, close_code: int = 1006) -> None:
        super().__init__(f"connection closed: {reason}")
        self.close_code = close_code
        self.reason = reason


class Disconnected(ConnectionClosed):
    """The server sent Socket.IO's DISCONNECT; a stock client does not return by itself."""

    def __init__(self) -> None:
        super().__init__("the server disconnected the namespace")


class TimedOut(ClientError):
    """An answer did not come in time."""

    def __init__(self, what: str, timeout_s: float) -> None:
        super().__init__(f"{what} did not come within {timeout_s:g} s")
        self.timeout_s = timeout_s
