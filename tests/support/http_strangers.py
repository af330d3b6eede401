"""Connections of strangers: right requests, bent at random by a seed, and cut into segments."""

from __future__ import annotations

import gzip
import random
import re
from itertools import pairwise
from typing import Final

from raw_frames import raw_frame

SECRETS: Final = {
    "cookie": "c00kie-s3cret",
    "query": "qu3ry-s3cret",
    "token": "b3arer-s3cret",
    "body": "b0dy-s3cret",
}
"""What strangers send, and no log may show."""
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
_PATHS: Final = (
    "/health/live",
    "/health/ready",
    "/health/websocket",
    "/health/websocket/stats",
    "/api/v1/health/websocket/stats",
    "/metrics",
    "/api/v1/publish",
    "/api/v1/streams",
    "/socket.io/",
    "/socket.io",
    "/",
    "/%2e%2e/%ff%00",
    "//a//b",
    "http://127.0.0.1/health/live",
    "*",
)
_METHODS: Final = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "TRACE", "PATCH", "PURGE")
_BITS: Final = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"=",
    b"%",
    b"?",
    b"#",
    b"&",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\r\n\r\n",
    b"\r\n ",
    b"[",
    b"]",
    b'"',
    b"+",
    b"-",
    b"0",
    b"HTTP/1.1",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
)
_PACKETS: Final = (
    "40",
    "2",
    "3",
    "41",
    "42[]",
    '42["ping"]',
    '420["subscribe",{"channel":"trading"}]',
    "1",
    "6",
    "5",
    "4",
    "bAAA=",
    "b%%",
    "45-/x,",
    '451-["a",{"_placeholder":true,"num":0}]',
    "40/none,",
    "4" + "[" * 200,
    '42["a",1e999]',
    '42["\\ud800"]',
    "2probe",
)
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Stranger:
    """One connection: what it sends, by a seed.

    Args:
        seed: the seed.
        tokens: bearer tokens, of which some are valid.
        sids: sessions that are open, to which it may add those that it is told.
    """

    def __init__(self, seed: int, tokens: list[str], sids: list[str]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it shall repeat itself
        self._tokens = tokens
        self._sids = sids

    def segments(self) -> list[bytes]:
        """Return its bytes, as they are sent one after the other."""
        draw = self._random
        data = b"".join(self._bend(self._request()) for _ in range(draw.choice((1, 1, 1, 2, 3))))
        if draw.random() < 0.05:
            data = draw.randbytes(draw.randint(1, 300))
        cuts = sorted(draw.randint(0, len(data)) for _ in range(draw.choice((0, 0, 0, 1, 5))))
        edges = [0, *cuts, len(data)]
        return [data[a:b] for a, b in pairwise(edges) if a < b]

    def _request(self) -> bytes:
        draw = self._random
        path = draw.choice(_PATHS)
        if draw.random() < 0.15:
            return self._publication()
        is_engine = "socket.io" in path
        body = self._body(is_engine)
        method = draw.choice(_METHODS) if draw.random() < 0.2 else "POST" if body else "GET"
        headers = self._headers()
        if is_engine and draw.random() < 0.4:
            return self._websocket(path, headers)
        headers += self._framing(body)
        draw.shuffle(headers)
        version = draw.choice(("1.1", "1.1", "1.1", "1.1", "1.0", "0.9", "1.9", "2.0"))
        line = f"{method} {path}{self._query(is_engine)} HTTP/{version}".encode()
        return b"\r\n".join([line, *headers, b"", b""]) + body

    def _publication(self) -> bytes:
        """Return a publication that is right but for its framing."""
        body = b'{"room":"trading","event":"a","data":{"x":"%b"}}' % SECRETS["body"].encode()
        lines = [
            b"POST /api/v1/publish HTTP/1.1",
            b"Host: a",
            f"Authorization: Bearer {self._random.choice(self._tokens)}".encode(),
            *self._framing(body),
        ]
        return b"\r\n".join([*lines, b"", b""]) + body

    def _query(self, is_engine: bool) -> str:
        draw = self._random
        pairs = [
            f"token={SECRETS['query']}",
            "limit=1",
            "limit=%D9%A3",
            "cursor=%ff",
            "a",
            "=",
            "j=0",
        ]
        chosen = draw.sample(pairs, draw.randint(0, 3))
        if is_engine:
            chosen += [
                "EIO=4",
                "transport=" + draw.choice(("polling", "polling", "websocket", "x")),
            ]
            if self._sids and draw.random() < 0.5:
                chosen.append("sid=" + draw.choice(self._sids[-30:]))
            draw.shuffle(chosen)
        return "?" + "&".join(chosen) if chosen else ""

    def _headers(self) -> list[bytes]:
        draw = self._random
        token = draw.choice([*self._tokens, SECRETS["token"], "é" + SECRETS["token"], "a b"])
        lines = [
            f"Authorization: Bearer {token}",
            f"Cookie: id={SECRETS['cookie']}",
            "Accept-Encoding: gzip;q=0.5, deflate;q=x, *",
            "Origin: http://localhost:5173",
            "Origin: null",
            "X-Forwarded-For: 203.0.113.9, x, [::1",
            "Access-Control-Request-Headers: é",
            "Expect: 100-continue",
            "Expect: the-unexpected",
            "Connection: close",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "Range: bytes=9-0",
            "If-None-Match: *",
            "Content-Type: application/json; charset=utf-7",
            "Content-Type: multipart/form-data; boundary=\x01",
        ]
        return [b"Host: a", *(one.encode() for one in draw.sample(lines, draw.randint(0, 5)))]

    def _body(self, is_engine: bool) -> bytes:
        draw = self._random
        if draw.random() < 0.4:
            return b""
        if is_engine:
            count = draw.randint(1, 4)
            return "\x1e".join(draw.choice(_PACKETS) for _ in range(count)).encode()
        return draw.choice(
            (
                b'{"room":"trading","event":"a","data":{"x":"%b"}}' % SECRETS["body"].encode(),
                b'[{"room":"trading","event":"a","data":"\\ud800"}]',
                b'{"userId":"\xff"}',
                b"[" * 3_000,
                b"{}",
                b'{"room":1e999}',
                b"x" * 3_000,
            )
        )

    def _framing(self, body: bytes) -> list[bytes]:
        draw = self._random
        if not body:
            return []
        chance = draw.random()
        if chance < 0.1:
            return [b"Transfer-Encoding: chunked"]
        if chance < 0.2:
            return [b"Content-Encoding: gzip", b"Content-Length: %d" % len(gzip.compress(body))]
        if chance < 0.3:
            length = draw.choice((b"+5", b"-1", b"5, 5", b"99999999999999999999", b"", b"1e3"))
            return [b"Content-Length: " + length]
        if chance < 0.4:
            return [b"Content-Length: %d" % (len(body) + draw.randint(-5, 5))]
        return [b"Content-Length: %d" % len(body)]

    def _websocket(self, path: str, headers: list[bytes]) -> bytes:
        draw = self._random
        query = self._query(is_engine=True).replace("polling", "websocket")
        if draw.random() < 0.5:
            query, headers = "?EIO=4&transport=websocket", [b"Host: a"]
        lines = [
            f"GET {path}{query} HTTP/1.1".encode(),
            *headers,
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY}".encode(),
        ]
        frames = [
            raw_frame(
                draw.choice((1, 1, 1, 1, 2, 8, 9, 10, 0, 3)),
                draw.choice(_PACKETS).encode(errors="surrogatepass"),
                fin=draw.random() < 0.9,
                rsv=draw.choice((0, 0, 0, 0, 4)),
            )
            for _ in range(draw.randint(0, 4))
        ]
        return b"\r\n".join([*lines, b"", b""]) + b"".join(frames)

    def _bend(self, data: bytes) -> bytes:
        draw = self._random
        for _ in range(draw.choice((0, 0, 1, 1, 2, 4))):
            at = draw.randint(0, len(data))
            what = draw.random()
            if what < 0.4:
                data = data[:at] + draw.choice(_BITS) + data[at:]
            elif what < 0.6:
                data = data[:at] + data[at + draw.randint(1, 8) :]
            elif what < 0.8:
                data = data[:at] + draw.randbytes(1) + data[at + 1 :]
            elif what < 0.9:
                data = data[:at] + data[at : at + 40] + data[at:]
            else:
                data = data[:at] + draw.choice(_BITS) * draw.choice((100, 1_000)) + data[at:]
        return data


def statuses_of(answers: bytes) -> list[int]:
    """Return the statuses of the answers in what a server sent."""
    return [int(status) for status in _STATUS.findall(answers)]
