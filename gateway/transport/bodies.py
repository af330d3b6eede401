"""Where the body of an HTTP/1.1 request ends: RFC 9112 sections 6 and 7.

A server that disagrees with a proxy about it serves requests that nobody sent, so every
doubtful length is refused.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from gateway.transport.answers import BadRequest
from gateway.transport.requests import RequestHead

_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 5.6.2
_CHUNK: Final = re.compile(
    rb"(?P<size>[0-9A-Fa-f]{1,8})(?:;" + _TOKEN + rb"(?:=" + _TOKEN + rb")?)*\r\n"
)
_MOST_LINE_BYTES: Final = 256
_FREE_CHUNKS: Final = 1_000  # of any size; more must hold so many bytes on average:
_LEAST_CHUNK_BYTES: Final = 64


class SizedBody:
    """A body with a ``Content-Length``.

    Args:
        size_bytes: its length.
    """

    __slots__ = ("_left_bytes",)

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether all its bytes were taken."""
        return not self._left_bytes

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body."""
        taken = min(self._left_bytes, len(data))
        self._left_bytes -= taken
        return taken


class ChunkedBody:
    """A body in chunks, without trailers.

    Attributes:
        is_complete: whether its last chunk was taken.
    """

    __slots__ = ("_chunks", "_is_data", "_is_last", "_left_bytes", "_line", "_total", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self._chunks = 0
        self._is_data = False  # a chunk's data, or the line end behind them
        self._is_last = False
        self._left_bytes = 0
        self._line = b""
        self._total = 0

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body.

        Raises:
            BadRequest: a chunk is malformed, or the chunks are too many and too small.
        """
        at = 0
        while at < len(data) and not self.is_complete:
            if self._left_bytes:
                taken = min(self._left_bytes, len(data) - at)
                self._left_bytes -= taken
                at += taken
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if len(self._line) > _MOST_LINE_BYTES:
                raise BadRequest.malformed("a chunk's size line is too long")
            if self._line.endswith(b"\n"):
                self._read_line(self._line)
                self._line = b""
        return at

    def _read_line(self, line: bytes) -> None:
        if self._is_data:
            if line != b"\r\n":
                raise BadRequest.malformed("a chunk does not end with an empty line")
            self._is_data = False
            self.is_complete = self._is_last
            return
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadRequest.malformed("a chunk's size line is malformed")
        self._left_bytes = int(match["size"], 16)
        self._is_last = not self._left_bytes
        self._is_data = True
        self._chunks += 1
        self._total += self._left_bytes
        if self._chunks > _FREE_CHUNKS and self._total < _LEAST_CHUNK_BYTES * self._chunks:
            raise BadRequest.malformed(
                f"chunks hold fewer than {_LEAST_CHUNK_BYTES} bytes on average"
            )


def body_of(head: RequestHead) -> SizedBody | ChunkedBody | None:
    """Return the body that follows a head, None for none.

    Raises:
        BadRequest: 400 for a doubtful length, 501 for a transfer coding other than chunked.
    """
    length, coding = head.header("content-length"), head.header("transfer-encoding")
    if coding is not None:
        if length is not None or head.version < (1, 1):  # RFC 9112 6.1
            raise BadRequest.malformed(
                "Transfer-Encoding needs HTTP/1.1, and no Content-Length beside it"
            )
        if coding.lower() != "chunked":
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, "Transfer-Encoding: only chunked is taken")
        return ChunkedBody()
    if length is None:
        return None
    if not _LENGTH.fullmatch(length):
        raise BadRequest.malformed("Content-Length is malformed; digits are right")
    return SizedBody(int(length)) if int(length) else None
