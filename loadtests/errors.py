# ruff: noqa: N818 - the names are the states a caller meets, as in gateway.errors; the tree says they are errors
"""What can go wrong with a client connection, as one tree.

::

    ClientError
    ├── InvalidTarget        the URL is none that a client can connect to: the caller's mistake
    ├── NotConnected         a verb was used while there is no connection: the caller's mistake
    ├── Unreachable          no TCP connection, or none in time
    ├── Refused              the HTTP answer was not 101: status, Retry-After, the body's start
    ├── ConnectRefused       Socket.IO CONNECT_ERROR: message, code
    ├── ProtocolViolation    the server broke RFC 6455, Engine.IO or Socket.IO: close code, reason
    ├── ConnectionClosed     the connection ended: close code, reason
    └── TimedOut             what did not come within its time
"""

from __future__ import annotations


class ClientError(Exception):
    """The root of everything in this module."""


class InvalidTarget(ClientError):
    """A URL that is none of ``http``, ``https``, ``ws``, ``wss`` with a host."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url!r} is no target: {why}; it looks like http://127.0.0.1:3000")
        self.url = url


class NotConnected(ClientError):
    """A verb needs a connection and there is none."""


class Unreachable(ClientError):
    """The server could not be reached."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url} is unreachable: {why}")
        self.url = url


class Refused(ClientError):
    """The server answered the upgrade with something other than 101.

    Attributes:
        status: the HTTP status.
        retry_after_s: the ``Retry-After`` header in seconds, None when absent or a date.
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
        message: the server's words.
        code: ``data.code`` where the server gave one, such as ``AUTH_FAILED``; empty otherwise.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(f"connect refused: {message}{f' ({code})' if code else ''}")
        self.message = message
        self.code = code


class ProtocolViolation(ClientError):
    """The server sent what its protocol forbids.

    Attributes:
        close_code: the RFC 6455 §7.4.1 status that answers it.
        reason: what was wrong.
    """

    def __init__(self, reason: str, close_code: int = 1002) -> None:
        super().__init__(f"protocol violation: {reason}")
        self.close_code = close_code
        self.reason = reason


class ConnectionClosed(ClientError):
    """The connection ended.

    Attributes:
        close_code: the WebSocket status; 1005 when a close frame had none, 1006 without a frame.
        reason: whose end and why, in words.
    """

    def __init__(self, reason: str, close_code: int = 1006) -> None:
        super().__init__(f"connection closed: {reason}")
        self.close_code = close_code
        self.reason = reason


class TimedOut(ClientError):
    """Something did not come within its time."""

    def __init__(self, what: str, timeout_s: float) -> None:
        super().__init__(f"{what} did not come within {timeout_s:g} s")
        self.timeout_s = timeout_s
