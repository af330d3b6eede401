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
from typing import Final

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


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
