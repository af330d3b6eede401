"""HTTP answers to requests that get no session, or do not fit their session.

The bodies are those of Socket.IO's own server: ``{code, message}``.

::

    Exception
    └── RequestRejected    a request gets an error answer
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.transport.answers import NO_HEADERS


@dataclass(frozen=True, slots=True)
class HandshakeRefusal:
    """The answer of an ``admit`` hook that refuses a session.

    Attributes:
        status: the HTTP status.
        message: the reason.
        retry_after_s: seconds until the client should try again.
    """

    status: int
    message: str
    retry_after_s: float


class RequestRejected(Exception):  # noqa: N818 - the name says what happened
    """A request gets an error answer.

    Args:
        status: the HTTP status.
        code: the error code of Engine.IO.
        message: the text for the client.
        headers: additional headers.
        ends_connection: close the connection without reading the rest of the request.

    Attributes:
        body: the JSON body.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        headers: Mapping[str, str] = NO_HEADERS,
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
        """Return the answer to a request that an ``admit`` hook refused."""
        after = {"Retry-After": str(math.ceil(refusal.retry_after_s))}
        return cls(refusal.status, 4, refusal.message, after)

    @classmethod
    def unknown_session(cls) -> RequestRejected:
        """Return the answer to an unknown session id."""
        return cls(400, 1, "Session ID unknown")

    @classmethod
    def bad_request(cls, message: str = "Bad request") -> RequestRejected:
        """Return the answer to a request that does not fit its session."""
        return cls(400, 3, message)
