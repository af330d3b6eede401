"""Why a request does not become, or is not part of, a session, and what it is answered.

The bodies are those of Socket.IO's own server: ``{code, message}``.

::

    Exception
    └── Reject    an HTTP answer in place of a session
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.transport.engine import EngineServer
    from gateway.transport.environ import RequestEnviron

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_PROTOCOL: Final = "4"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an ``admit`` hook answers in place of a session.

    Attributes:
        status: HTTP status.
        message: why.
        retry_after_s: when to come back, s.
    """

    status: int
    message: str
    retry_after_s: float


class Reject(Exception):  # noqa: N818 - a verb: what the answer does
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
    def refused(cls, refusal: Refusal) -> Reject:
        """Return what an application's refusal is answered."""
        after = {"Retry-After": str(math.ceil(refusal.retry_after_s))}
        return cls(refusal.status, 4, refusal.message, after)

    @classmethod
    def unknown_session(cls) -> Reject:
        """Return the answer to a session id that is nobody's."""
        return cls(400, 1, "Session ID unknown")

    @classmethod
    def bad_request(cls, message: str = "Bad request") -> Reject:
        """Return the answer to a request that its session does not expect."""
        return cls(400, 3, message)


def refuse_handshake(engine: EngineServer, environ: RequestEnviron, transport: str) -> None:
    """Check origin, transport and protocol version of a request.

    Raises:
        Reject: what it is answered.
    """
    head = environ.head
    origin = head.header("origin")
    if origin is not None and engine.cors_allowed_origins != []:
        allowed = engine._cors_allowed_origins(environ)  # noqa: SLF001 - python-engineio's own rule
        if allowed is not None and origin not in allowed:
            raise Reject(400, 4, "Origin not allowed")
    if head.parameter("transport") != transport or transport not in engine.transports:
        raise Reject(400, 0, "Transport unknown")
    if head.parameter("j") is not None:
        raise Reject(400, 3, "JSONP is not served; use CORS")
    if head.parameter("sid") is None and head.parameter("EIO") != _PROTOCOL:
        raise Reject(400, 5, "Unsupported protocol version; this server speaks EIO=4")
