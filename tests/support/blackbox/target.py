"""A running gateway, and the HTTP requests that a feed or a browser may send to it."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
from deadlines import DEADLINE_S

from gateway.contract import PUBLISH_PATH

_user_numbers = itertools.count(1)


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.text = body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Target:
    """A running gateway and its secret."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        self.secret = secret
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80

    def token(
        self,
        sub: str | None = "",
        *,
        lifetime_s: float | None = 3_600,
        key: Any = None,
        algorithm: str = "HS256",
        **claims: object,
    ) -> str:
        """Return a signed token, by default for a new user; ``None`` leaves a claim out."""
        if sub == "":
            sub = f"user-{next(_user_numbers)}-{secrets.token_hex(3)}"
        if sub is not None:
            claims["sub"] = sub
        if lifetime_s is not None:
            claims["exp"] = int(time.time() + lifetime_s)
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.secret, algorithm=algorithm)

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send an HTTP request; a body that is neither bytes nor None is sent as JSON."""
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        sent |= headers or {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=2 * DEADLINE_S)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def publish(self, *items: Mapping[str, object]) -> Any:
        """Publish like a feed, and return the list of ``published``."""
        body: object = items[0] if len(items) == 1 else list(items)
        token = self.token("feed", scope="publish")
        answer = self.request("POST", PUBLISH_PATH, token=token, body=body)
        assert answer.status == 202, answer.text
        assert answer.json["accepted"] == len(items)
        return answer.json["published"]


def wait_for(happened: Callable[[], object], timeout_s: float = DEADLINE_S) -> None:
    """Poll until a condition holds; fail after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"{happened} did not happen within {timeout_s} s"
        time.sleep(0.01)
