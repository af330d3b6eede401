"""``RequestReader``: the request heads of an HTTP/1.1 connection, checked as RFC 9112 asks.

aiohttp gets only heads that passed these checks, so its own error paths, which log what the
client sent, stay unused.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from gateway.transport.answers import BadRequest
from gateway.transport.requests import RequestHead

MAX_HEAD_BYTES: Final = 32_768  # room for 16 KB of cookies
_MAX_TARGET_BYTES: Final = 8_192
_MAX_HEADERS: Final = 128
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 5.6.2
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>" + _TOKEN + rb") (?P<target>[\x21\x22\x24-\x7e]+) HTTP/(?P<version>\d\.\d)"
)
_VERSIONS: Final = frozenset({b"1.0", b"1.1"})
_METHODS: Final = frozenset(  # RFC 9110 9.3 and RFC 5789, without CONNECT
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
)
_HEADER_LINE: Final = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*")  # RFC 9112 5, RFC 9110 5.5
_HEADER_LINES: Final = re.compile(rb"(?:" + _HEADER_LINE.pattern + rb"\r\n)*\r\n")
_CONTROL_CHARACTER: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_AUTHORITY: Final = (  # RFC 3986 3.2.2, 3.2.3: a name or an address, and a port
    r"(?:[A-Za-z0-9\-._~!$&'()*+;=%]{0,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?"
)
_HOST: Final = re.compile(_AUTHORITY)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://(?=[^:/?])" + _AUTHORITY.encode() + rb"(?:[/?].*)?")
_SINGLE: Final = frozenset(  # a second line of these would be read in two ways
    {
        b"authorization",
        b"content-length",
        b"content-location",
        b"content-range",
        b"content-type",
        b"etag",
        b"max-forwards",
        b"origin",
        b"server",
        b"transfer-encoding",
        b"user-agent",
    }
)


class RequestReader:
    """The received bytes of a connection, from which request heads are taken.

    It looks at each byte once, however small the segments are in which they arrive.

    Args:
        max_bytes: bytes of a head, with its blank line and the empty lines before it.
    """

    __slots__ = ("_data", "_max_bytes", "_searched", "_skipped")

    def __init__(self, max_bytes: int = MAX_HEAD_BYTES) -> None:
        self._data = bytearray()
        self._max_bytes = max_bytes
        self._searched = 0
        self._skipped = 0

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._data += data

    def take(self) -> bytes:
        """Return and forget all bytes that no head has taken."""
        data = bytes(self._data)
        self._data.clear()
        return data

    def read(self) -> RequestHead | None:
        """Return the next request head, None while it is incomplete.

        Empty lines before the request line are skipped (RFC 9112 2.2).

        Raises:
            BadRequest: 400 for a malformed line or Host, 414 for a long target, 417 for an
                unknown expectation, 431 for a long head, 501 for an unknown method, 505 for a
                version other than 1.0 and 1.1.
        """
        data = self._data
        if data.startswith(_LINE_END):
            self._skip_empty_lines()
        most = self._max_bytes - self._skipped
        end = data.find(_HEAD_END, max(0, self._searched - len(_HEAD_END)), max(0, most))
        if end < 0:
            if _BARE_LINE_FEED.search(data, self._searched):
                raise BadRequest.malformed("a line ends without a carriage return")
            if len(data) >= most:
                raise BadRequest(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"head is over {self._max_bytes} bytes",
                )
            self._searched = len(data)
            return None
        size = end + len(_HEAD_END)
        if size == len(data):
            head = RequestHead(bytes(data))
            data.clear()
        else:
            head = RequestHead(bytes(data[:size]))
            del data[:size]
        self._searched = self._skipped = 0
        _check_request_line(head.raw)
        headers = head.headers
        _check_headers(head.raw, len(headers))
        _check_host(head, headers.get("host"))
        if (headers.get("expect") or "100-continue").lower() != "100-continue":
            raise BadRequest(HTTPStatus.EXPECTATION_FAILED, "Expect: only 100-continue is met")
        return head

    def _skip_empty_lines(self) -> None:
        lines = _EMPTY_LINES.match(self._data)
        if lines is not None:
            self._skipped += lines.end()
            del self._data[: lines.end()]
        self._searched = 0


def _check_request_line(raw: bytes) -> None:
    match = _REQUEST_LINE.fullmatch(raw, 0, raw.index(_LINE_END))
    if match is None:
        raise BadRequest.malformed("request line is malformed; METHOD target HTTP/1.1 is right")
    if match["version"] not in _VERSIONS:
        raise BadRequest(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken"
        )
    if match["method"] not in _METHODS:
        raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, "method is unknown")
    target = match["target"]
    if len(target) > _MAX_TARGET_BYTES:
        raise BadRequest(
            HTTPStatus.REQUEST_URI_TOO_LONG, f"target is over {_MAX_TARGET_BYTES} bytes"
        )
    is_target = (  # RFC 9112 3.2: a path, a whole address, or an asterisk for the server
        target.startswith(b"/")
        or _ABSOLUTE.fullmatch(target)
        or (target == b"*" and match["method"] == b"OPTIONS")
    )
    if not is_target:
        raise BadRequest.malformed("request target is malformed; a path is right")


def _check_headers(raw: bytes, names: int) -> None:
    start = raw.index(_LINE_END) + len(_LINE_END)
    if not _HEADER_LINES.fullmatch(raw, start):
        for number, line in enumerate(_header_lines(raw), start=1):
            if not _HEADER_LINE.fullmatch(line):
                raise BadRequest.malformed(f"header line {number} {_describe_header(line)}")
    count = raw.count(_LINE_END) - 2  # without the request line and the empty one
    if count > _MAX_HEADERS:
        raise BadRequest(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {_MAX_HEADERS} headers"
        )
    if count > names:
        _check_repeated(raw)


def _check_repeated(raw: bytes) -> None:
    names = [line.partition(b":")[0].lower() for line in _header_lines(raw)]
    for name in _SINGLE.intersection(names):
        if names.count(name) > 1:
            raise BadRequest.malformed(f"one {name.decode()} is right, not {names.count(name)}")


def _header_lines(raw: bytes) -> list[bytes]:
    return raw[: -len(_HEAD_END)].split(_LINE_END)[1:]


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


def _check_host(head: RequestHead, host: str | None) -> None:
    if host is not None and _HOST.fullmatch(host):  # two are joined: no match
        return
    hosts = head.header_values("host")
    if len(hosts) > 1 or (not hosts and head.version >= (1, 1)):  # RFC 9112 3.2
        raise BadRequest.malformed(f"one Host is needed, not {len(hosts)}")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise BadRequest.malformed("Host is malformed; a name and a port are right")
