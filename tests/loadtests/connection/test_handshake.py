from __future__ import annotations

import pytest

from loadtests.connection.protocol.handshake import Handshake, Target, accept_value, parse_target
from loadtests.errors import InvalidTarget, ProtocolViolation, Refused

NONCE = b"the sample nonce"
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
    f"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
).encode()


def handshake() -> Handshake:
    return Handshake(Target("127.0.0.1", 3000, secure=False), "/x?EIO=4", NONCE)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://127.0.0.1:3000", Target("127.0.0.1", 3000, secure=False), "127.0.0.1:3000"),
        ("ws://gateway", Target("gateway", 80, secure=False), "gateway"),
        ("https://gateway/", Target("gateway", 443, secure=True), "gateway"),
        ("wss://gateway:80", Target("gateway", 80, secure=True), "gateway:80"),
        ("http://[::1]:3000", Target("::1", 3000, secure=False), "[::1]:3000"),
    ],
    ids=["http", "ws", "https", "wss", "ipv6"],
)
def test_a_url_says_where_to_connect(url: str, target: Target, authority: str) -> None:
    assert parse_target(url) == target
    assert parse_target(url).authority == authority


@pytest.mark.parametrize(
    "url",
    ["gateway:3000", "ftp://gateway", "http://", "http://gateway:99999", ""],
    ids=["no scheme", "another scheme", "no host", "no such port", "nothing"],
)
def test_a_url_that_is_no_target_says_what_would_be(url: str) -> None:
    with pytest.raises(InvalidTarget, match=r"http://127\.0\.0\.1:3000"):
        parse_target(url)


def test_the_accept_value_is_the_one_printed_in_the_rfc() -> None:
    # RFC 6455 §1.3
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == ACCEPT


def test_the_request_asks_for_a_websocket() -> None:
    lines = handshake().request().decode().split("\r\n")
    assert lines[0] == "GET /x?EIO=4 HTTP/1.1"
    assert "Host: 127.0.0.1:3000" in lines
    assert "Upgrade: websocket" in lines
    assert "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in lines
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize("step", [1, 7, 1_000], ids=str)
def test_a_right_answer_in_any_pieces_is_taken_and_the_rest_kept(step: int) -> None:
    asked = handshake()
    pieces = [ANSWER[at : at + step] for at in range(0, len(ANSWER), step)]
    done = [asked.feed(piece) for piece in pieces[:-1]]
    assert not any(done)
    assert asked.feed(pieces[-1] + b"\x81\x00")
    assert asked.rest == b"\x81\x00"


@pytest.mark.parametrize(
    ("answer", "status", "retry_after_s"),
    [
        pytest.param(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\nno", 429, 7.0, id="429"),
        pytest.param(b"HTTP/1.1 503 Draining\r\nretry-after: soon\r\n\r\n", 503, None, id="503"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", 200, None, id="200"),
    ],
)
def test_another_status_is_a_refusal(answer: bytes, status: int, retry_after_s: float) -> None:
    with pytest.raises(Refused) as caught:
        handshake().feed(answer)
    assert caught.value.status == status
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"WebSocket\r\n", b"h2c\r\n"),
        (b"keep-alive, Upgrade", b"keep-alive"),
        (ACCEPT.encode(), b"x" + ACCEPT[1:].encode()),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        (b"HTTP/1.1 101", b"SIP/2.0 101"),
        (b"HTTP/1.1 101", b"HTTP/1.1 xyz"),
        (b"Upgrade: WebSocket", b"Upgrade WebSocket"),
    ],
    ids=["upgrade", "connection", "accept", "extension", "protocol", "status", "colon"],
)
def test_an_answer_that_is_not_quite_right_is_a_violation(old: bytes, new: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        handshake().feed(ANSWER.replace(old, new))


def test_a_head_without_end_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="16384"):
        handshake().feed(b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 4_000)
