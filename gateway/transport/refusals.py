"""Why a request does not become, or is not part of, a session, and what it is answered.

The bodies are those of Socket.IO's own server: ``{code, message}``.

::

    Exception
    └── RequestRejected    an HTTP answer in place of a session
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from gateway.transport.environ import RequestEnviron

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_PROTOCOL: Final = "4"


@dataclass(frozen=True, slots=True)
class HandshakeRefusal:
    """What an ``admit`` hook answers in place of a session.

    Attributes:
        status: HTTP status.
        message: why.
        retry_after_s: when to come back, s.
    """

    status: int
    message: str
    retry_after_s: float


class RequestRejected(Exception):  # noqa: N818 - the name says what happened
    """An HTTP answer in place of a session.

    Attributes:
        status: HTTP status.
        body: JSON.
        headers: beside the usual ones.
        ends_connection: the rest of the request is not read.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        ends_connection: bool = False,
    ) -> None:
        super().__init__(message)
        self.ends_connection = ends_connection
        self.status = status
        self.body = json.dumps({"code": code, "message": message}).encode()
        self.headers = headers

    @classmethod
    def refused(cls, refusal: HandshakeRefusal) -> RequestRejected:
        """Return what an application's refusal is answered."""
        after = {"Retry-After": str(math.ceil(refusal.retry_after_s))}
        return cls(refusal.status, 4, refusal.message, after)

    @classmethod
    def unknown_session(cls) -> RequestRejected:
        """Return the answer to a session id that is nobody's."""
        return cls(400, 1, "Session ID unknown")

    @classmethod
    def bad_request(cls, message: str = "Bad request") -> RequestRejected:
        """Return the answer to a request that its session does not expect."""
        return cls(400, 3, message)


class HandshakeRules(Protocol):
    """What a server allows: transports, and the origins of browsers."""

    transports: list[str]

    def allows_origin(self, origin: str, environ: RequestEnviron) -> bool:
        """Return whether a browser's page of this origin may connect."""
        ...


def refuse_handshake(rules: HandshakeRules, environ: RequestEnviron, transport: str) -> None:
    """Check origin, transport and protocol version of a request.

    Args:
        rules: what the server allows.
        environ: the request.
        transport: ``polling`` or ``websocket``: what the request is for.

    Raises:
        RequestRejected: with the answer to send.
    """
    head = environ.head
    origin = head.header("origin")
    if origin is not None and not rules.allows_origin(origin, environ):
        raise RequestRejected(400, 4, "Origin not allowed")
    if head.parameter("transport") != transport or transport not in rules.transports:
        raise RequestRejected(400, 0, "Transport unknown")
    if head.parameter("j") is not None:
        raise RequestRejected(400, 3, "JSONP is not served; use CORS")
    if head.parameter("sid") is None and head.parameter("EIO") != _PROTOCOL:
        raise RequestRejected(400, 5, "Unsupported protocol version; this server speaks EIO=4")
