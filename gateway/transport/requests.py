"""The first request head of an HTTP/1.1 connection, and answers without an HTTP server.

Sources: RFC 9112 for the head, RFC 6455 section 4.2 for the upgrade to WebSocket. A head is
checked once and kept as bytes. Its fields are parsed on each access, with a small cache,
because the accesses of one connection come together.

::

    Exception
    └── BadRequest    the head is invalid; carries the status to answer with
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha1
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, unquote_plus

_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 5.6.2
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>" + _TOKEN + rb") (?P<target>[\x21\x22\x24-\x7e]+) HTTP/(?P<major>\d)\.\d"
)
_HEADER_LINE: Final = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*")  # RFC 9112 5, RFC 9110 5.5
_HEADER_LINES: Final = re.compile(rb"(?:" + _HEADER_LINE.pattern + rb"\r\n)*\r\n")
_CONTROL_CHARACTER: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+;=%:\[\]]*")  # RFC 3986 3.2.2, 3.2.3
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_NAME: Final = re.compile(_TOKEN.decode())
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_WEBSOCKET_VERSION: Final = "13"  # RFC 6455 4.1
_HEADS_READ: Final = 128  # cached heads: those of connections that are opening a session
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_OUR_HEADERS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
_OUR_UPGRADE_HEADERS: Final = _OUR_HEADERS | {
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
}


class BadRequest(Exception):  # noqa: N818 - the name says what happened, as the status does
    """The request head is invalid.

    Args:
        status: the HTTP status to answer with.
        message: what is wrong and what would be right, without any value of the client.
        headers: headers that the answer needs.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class RequestHead:
    """The request line and headers, as bytes with views of their fields.

    It keeps only the bytes, so that thousands of connections can keep their heads. Only
    `read_head` and aiohttp's checked fields may make one.

    Attributes:
        raw: the bytes, with the blank line.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @property
    def method(self) -> str:
        """The method as sent. Case matters."""
        return self.raw[: self.raw.index(b" ")].decode()

    @property
    def target(self) -> str:
        """The target as sent. Its query may hold a secret."""
        start = self.raw.index(b" ") + 1
        return self.raw[start : self.raw.index(b" ", start)].decode()

    @property
    def version(self) -> tuple[int, int]:
        """The HTTP version, major and minor."""
        end = self.raw.index(_LINE_END)
        return self.raw[end - 3] - 0x30, self.raw[end - 1] - 0x30

    @property
    def path(self) -> str:
        """The path without the query, percent-decoded."""
        return _read_target(self.raw)[0]

    @property
    def query(self) -> str:
        """The query as sent, without its question mark; empty if there is none."""
        return self.target.partition("?")[2]

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name, repeated ones joined with ``", "``."""
        return _read_headers(self.raw)

    def header(self, name: str) -> str | None:
        """Return a header by name, in any case, repeated ones joined with ``", "``."""
        return _read_headers(self.raw).get(name.lower())

    def header_values(self, name: str) -> list[str]:
        """Return the value of each line of a header, in their order."""
        lowered = self.raw.lower()
        prefix = b"\r\n%s:" % name.lower().encode("latin-1")
        values: list[str] = []
        at = lowered.find(prefix)
        while at >= 0:
            at += len(prefix)
            end = lowered.index(_LINE_END, at)
            values.append(self.raw[at:end].decode("latin-1").strip(" \t"))
            at = lowered.find(prefix, end)
        return values

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, decoded; ``None`` if it is absent."""
        return _read_target(self.raw)[1].get(name)

    @property
    def conflicts(self) -> frozenset[str]:
        """The query parameters that are given twice with different values."""
        return _read_target(self.raw)[2]


@lru_cache(maxsize=_HEADS_READ)
def _read_headers(raw: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in raw[:-4].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return MappingProxyType(found)


@lru_cache(maxsize=_HEADS_READ)
def _read_target(raw: bytes) -> tuple[str, Mapping[str, str], frozenset[str]]:
    """Return the path, the first value of each query parameter, and those with two values."""
    target, _, query = RequestHead(raw).target.partition("?")
    path = _strip_authority(target)
    found: dict[str, str] = {}
    conflicts: set[str] = set()
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            key, value = unquote_plus(key), unquote_plus(value)
        if found.setdefault(key, value) != value:
            conflicts.add(key)
    path = unquote(path) if "%" in path else path
    return path, MappingProxyType(found), frozenset(conflicts)


def read_head(data: bytes | bytearray, max_bytes: int) -> tuple[RequestHead, bytes] | None:
    """Return the request head of `data` and the bytes after it, None while it is incomplete.

    Empty lines before the request line are skipped (RFC 9112 2.2).

    Args:
        data: all bytes of the connection so far.
        max_bytes: bytes of the head, with its blank line and the empty lines before it.

    Raises:
        BadRequest: 431 for a head over `max_bytes`, 400 for a malformed line or Host, 505
            for a version other than HTTP/1.x.
    """
    start = 0
    while start < max_bytes and data.startswith(_LINE_END, start):
        start += len(_LINE_END)
    end = data.find(_HEAD_END, start, max_bytes)
    if end < 0:
        if len(data) < max_bytes:
            return None
        raise BadRequest(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"head is over {max_bytes} bytes"
        )
    size = end + len(_HEAD_END)
    head = RequestHead(bytes(data[start:size]))
    _check_request_line(head.raw)
    _check_headers(head.raw)
    _check_host(head)
    return head, bytes(data[size:])


def is_websocket_upgrade(head: RequestHead) -> bool:
    """Return whether the client asks for WebSocket. `check_upgrade` checks the details."""
    wanted = head.header("upgrade")
    return (
        wanted is not None
        and _has_token(wanted, "websocket")
        and _has_token(head.header("connection") or "", "upgrade")
    )


def check_upgrade(head: RequestHead) -> None:
    """Check an upgrade by RFC 6455 4.2.1, except its Origin.

    Raises:
        BadRequest: 405 for a method other than GET, 426 for a version other than 13, 400 for
            HTTP/1.0, a body, a missing or wrong key, or no upgrade.
    """
    if head.method != "GET":
        raise BadRequest(
            HTTPStatus.METHOD_NOT_ALLOWED, "an upgrade to WebSocket is a GET", {"Allow": "GET"}
        )
    if head.version < (1, 1):
        raise _malformed("an upgrade to WebSocket needs HTTP/1.1")
    headers = head.headers
    if not (
        _has_token(headers.get("upgrade", ""), "websocket")
        and _has_token(headers.get("connection", ""), "upgrade")
    ):
        raise _malformed("Connection: Upgrade with Upgrade: websocket is needed")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise _malformed("an upgrade to WebSocket has no body")
    if headers.get("sec-websocket-version") != _WEBSOCKET_VERSION:
        raise BadRequest(  # RFC 6455 4.4: the answer names the supported version
            HTTPStatus.UPGRADE_REQUIRED,
            "Sec-WebSocket-Version 13 is needed",
            {"Sec-WebSocket-Version": _WEBSOCKET_VERSION, "Upgrade": "websocket"},
        )
    if not _KEY.fullmatch(headers.get("sec-websocket-key", "")):  # two are joined: no match
        raise _malformed("one Sec-WebSocket-Key is needed, the base64 of 16 bytes")


def switching_protocols(head: RequestHead, headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
    """Return the 101 response to a checked upgrade, without extension and subprotocol.

    Raises:
        ValueError: a header is malformed, or set by this function itself.
    """
    key = (head.header("sec-websocket-key") or "").encode("latin-1")
    # RFC 6455 4.2.2 requires SHA-1. It protects nothing here.
    accept = b64encode(sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
    ) % (accept, _encode_headers(headers, _OUR_UPGRADE_HEADERS))


def plain_response(
    status: int, body: bytes, content_type: str, headers: Mapping[str, str] = _NO_HEADERS
) -> bytes:
    """Return a complete response that closes the connection.

    ``Connection`` also names an ``Upgrade`` among the headers (RFC 9110 7.8).

    Args:
        status: the HTTP status.
        body: the body.
        content_type: its type.
        headers: additional headers.

    Raises:
        ValueError: the status does not exist, or a header is malformed or set by this function
            itself.
    """
    phrase = HTTPStatus(status).phrase
    is_offer = any(name.lower() == "upgrade" for name in headers)
    own = {"Content-Type": content_type}
    return b"HTTP/1.1 %d %b\r\nConnection: close%b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        status,
        phrase.encode(),
        b", Upgrade" if is_offer else b"",
        len(body),
        _encode_headers(own, _OUR_HEADERS),
        _encode_headers(headers, _OUR_HEADERS | {"content-type"}),
        body,
    )


def _malformed(message: str) -> BadRequest:
    return BadRequest(HTTPStatus.BAD_REQUEST, message)


def _check_request_line(raw: bytes) -> None:
    match = _REQUEST_LINE.fullmatch(raw, 0, raw.index(_LINE_END))
    if match is None:
        raise _malformed("request line is malformed; METHOD target HTTP/1.1 is right")
    if match["major"] != b"1":
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.x is spoken")
    target = match["target"]
    is_target = (  # RFC 9112 3.2: a path, a whole address, an asterisk, an authority for CONNECT
        target.startswith(b"/")
        or target[:8].lower().startswith((b"http://", b"https://"))
        or target == b"*"
        or match["method"] == b"CONNECT"
    )
    if not is_target:
        raise _malformed("request target is malformed; a path is right")


def _check_headers(raw: bytes) -> None:
    start = raw.index(_LINE_END) + len(_LINE_END)
    if _HEADER_LINES.fullmatch(raw, start):
        return
    for number, line in enumerate(raw[start:-4].split(_LINE_END), start=1):
        if not _HEADER_LINE.fullmatch(line):
            raise _malformed(f"header line {number} {_describe_header(line)}")


def _describe_header(line: bytes) -> str:
    name, colon, _ = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        return "continues the line before it, which RFC 9112 5.2 forbids"
    if _CONTROL_CHARACTER.search(line):
        return "has a control character"
    if not colon:
        return "has no colon"
    if name.endswith((b" ", b"\t")):
        return "has a space before its colon"
    return "has a malformed name"


def _check_host(head: RequestHead) -> None:
    host = head.header("host")
    if host is not None and _HOST.fullmatch(host):  # two are joined: no match
        return
    hosts = head.header_values("host")
    if len(hosts) > 1 or (not hosts and head.version >= (1, 1)):  # RFC 9112 3.2
        raise _malformed(f"one Host is needed, not {len(hosts)}")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise _malformed("Host is malformed; a name and a port are right")


def _strip_authority(target: str) -> str:
    if target.startswith("/"):
        return target
    _, scheme_end, rest = target.partition("://")
    if not scheme_end:
        return target
    slash = rest.partition("?")[0].find("/")
    return rest[slash:] if slash >= 0 else "/"


def _has_token(value: str, token: str) -> bool:
    lowered = value.lower()
    return lowered == token or token in [item.strip(" \t") for item in lowered.split(",")]


def _encode_headers(headers: Mapping[str, str], forbidden: frozenset[str]) -> bytes:
    lines: list[str] = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in forbidden:
            raise ValueError(f"header {name!r} is malformed, or set by the server itself")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"header {name} has a control or non-latin-1 character in its value")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")
