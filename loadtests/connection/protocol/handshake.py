"""The client's side of the WebSocket opening handshake (RFC 6455 §4.1), without I/O."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from loadtests.errors import InvalidTarget, ProtocolViolation, Refused

MAX_HEAD_BYTES: Final = 16_384
"""Longest head of an answer."""
MAX_BODY_CHARACTERS: Final = 500
"""Characters kept of a refusal's body."""

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
_SCHEMES: Final = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class Target:
    """A server to connect to.

    Attributes:
        host: a name or an address; an IPv6 address without brackets.
        port: TCP port.
        secure: whether to use TLS.
    """

    host: str
    port: int
    secure: bool

    @property
    def authority(self) -> str:
        """The ``Host`` header, with the port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Return the target of a URL.

    Raises:
        InvalidTarget: unknown scheme, no host, a bad port, or more than scheme, host and port.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget(url, str(error)) from error
    secure = _SCHEMES.get(parts.scheme)
    if secure is None:
        raise InvalidTarget(url, f"its scheme must be one of {', '.join(_SCHEMES)}")
    if not parts.hostname:
        raise InvalidTarget(url, "it has no host")
    # Paths are the gateway's own. A part that only some requests would use is no target.
    if parts.path not in ("", "/") or any(mark in url for mark in "?#@"):
        raise InvalidTarget(url, "it has a user, a path, a query or a fragment")
    return Target(parts.hostname, port or (443 if secure else 80), secure)


class Handshake:
    """One upgrade: send :meth:`request`, then :meth:`feed` the answer until it returns True.

    Args:
        target: the server.
        path: including the query.
        nonce: 16 random bytes (§4.1, item 7).
        headers: additional headers, such as ``Origin``.

    Attributes:
        rest: the bytes after the answer's head, which belong to frames.

    Raises:
        ValueError: the nonce is not 16 bytes long.
    """

    def __init__(
        self, target: Target, path: str, nonce: bytes, headers: dict[str, str] | None = None
    ) -> None:
        if len(nonce) != 16:
            raise ValueError(f"a nonce has 16 bytes, this one has {len(nonce)}")
        self._target = target
        self._path = path
        self._key = base64.b64encode(nonce).decode()
        self._headers = headers or {}
        self._head = b""
        self.rest = b""

    def request(self) -> bytes:
        """Return the upgrade request, which offers no extension."""
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._target.authority}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in self._headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def feed(self, data: bytes) -> bool:
        """Take bytes of the answer; return True once the connection is a WebSocket.

        Raises:
            Refused: the status is not 101.
            ProtocolViolation: the answer is not valid (§4.1, «validate the server's response»).
        """
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD_BYTES:
                raise ProtocolViolation(f"an HTTP head of more than {MAX_HEAD_BYTES} bytes")
            return False
        self.rest = self._head[end + 4 :]
        status, headers = _parse_head(self._head[:end])
        if status != 101:
            body = self.rest.decode(errors="replace")[:MAX_BODY_CHARACTERS].strip()
            raise Refused(status, _seconds(headers.get("retry-after")), body)
        self._validate(headers)
        return True

    def _validate(self, headers: dict[str, str]) -> None:
        if headers.get("upgrade", "").lower() != "websocket":
            raise ProtocolViolation("a 101 without «Upgrade: websocket»")
        tokens = {token.strip() for token in headers.get("connection", "").lower().split(",")}
        if "upgrade" not in tokens:
            raise ProtocolViolation("a 101 without «Connection: Upgrade»")
        if headers.get("sec-websocket-accept") != accept_value(self._key):
            raise ProtocolViolation("a 101 with a wrong Sec-WebSocket-Accept")
        if "sec-websocket-extensions" in headers:
            raise ProtocolViolation("an extension that was not offered")


def accept_value(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a key (§4.2.2, item 5.4)."""
    digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise ProtocolViolation(f"not an HTTP answer: {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolViolation(f"a header without a colon: {line[:60]!r}")
        headers[name.strip().lower()] = value.strip()
    return int(status), headers


def _seconds(retry_after: str | None) -> float | None:
    """Return ``Retry-After`` in seconds; None for a date, which would need a wall clock."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return float(retry_after)
