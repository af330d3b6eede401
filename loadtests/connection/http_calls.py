"""HTTP requests of one user over one kept connection, each with its three times."""

from __future__ import annotations

import json
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NamedTuple

from loadtests.connection.calls import CALL_TIMEOUT_S, Reply
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ConnectionClosed, TimedOut, unreachable

_MOST_BYTES: Final = 16 * 1_048_576


class HttpReply(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: of the answer.
        reply: its JSON body, None without one, and its times.
    """

    status: int
    reply: Reply


class HttpCalls:
    """One user's HTTP connection, which opens when it is needed.

    Args:
        url: of the gateway, without a path.
        tls: what to trust with https; None trusts the machine's authorities.
        timeout_s: for the connection and for each read.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        target = parse_target(url)
        self._url = url
        self._timeout_s = timeout_s
        self._connection = (
            HTTPSConnection(target.host, target.port, timeout=timeout_s, context=tls)
            if target.secure
            else HTTPConnection(target.host, target.port, timeout=timeout_s)
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: object = None,
        intended_ns: int | None = None,
    ) -> HttpReply:
        """Send a request and wait for its answer. One that met a closed connection is repeated.

        Args:
            method: GET, POST or DELETE.
            path: of the route.
            token: the bearer token.
            body: sent as JSON; None sends none.
            intended_ns: when it was due, monotonic; None means now.

        Raises:
            ClientError: no connection, or no whole answer in time.
        """
        headers = {"Authorization": f"Bearer {token}"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            if self._connection.sock is not None:
                return self._send(method, path, content, headers, intended_ns)
        except ConnectionClosed:
            pass  # the gateway has closed the kept connection; every request may be repeated
        self._open()
        return self._send(method, path, content, headers, intended_ns)

    def close(self) -> None:
        """Close the connection. The next request opens another."""
        self._connection.close()

    def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: dict[str, str],
        intended_ns: int | None,
    ) -> HttpReply:
        sent_ns = time.monotonic_ns()
        try:
            self._connection.request(method, path, content, headers)
            answer = self._connection.getresponse()
            text = answer.read(_MOST_BYTES)
            done_ns = time.monotonic_ns()
            is_json = answer.headers.get_content_type() == "application/json"
            payload: Any = json.loads(text) if is_json else None
        except TimeoutError:
            self.close()
            raise TimedOut(f"the answer to {method} {path}", self._timeout_s) from None
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise ConnectionClosed(f"{method} {path}: {error!r}") from error
        due_ns = sent_ns if intended_ns is None else intended_ns
        return HttpReply(answer.status, Reply(payload, due_ns, sent_ns, done_ns))

    def _open(self) -> None:
        try:
            self._connection.connect()
        except OSError as error:
            raise unreachable(self._url, error) from error
