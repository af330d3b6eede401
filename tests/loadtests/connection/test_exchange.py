from __future__ import annotations

import base64

import pytest

from loadtests.connection.protocol.exchange import Exchange
from loadtests.connection.protocol.handshake import Target, accept_value
from loadtests.connection.protocol.websocket_frames import apply_mask
from loadtests.errors import ConnectionClosed, ProtocolViolation, Refused
from loadtests.oracles.auth_cases import FAILED, Offer

TARGET = Target("127.0.0.1", 3000, secure=False)
NONCE = b"n" * 16
OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
REFUSAL = '44{"message":"Authentication failed","data":{"code":"AUTH_FAILED"}}'


def frame(text: str, first: int = 0x81) -> bytes:
    data = text.encode()
    assert len(data) < 126
    return bytes((first, len(data))) + data


def upgraded(offer: Offer, *texts: str) -> Exchange:
    exchange = Exchange(TARGET, offer, lambda count: NONCE[:count])
    key = accept_value(base64.b64encode(NONCE).decode())
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {key}\r\n\r\n"
    )
    exchange.receive(head.encode() + b"".join(map(frame, texts)))
    return exchange


def said(exchange: Exchange) -> list[str]:
    """What it sends as text messages, after the upgrade request."""
    data = exchange.bytes_to_send().partition(b"\r\n\r\n")[2]
    texts = []
    while data:
        length = data[1] & 0x7F
        texts.append(apply_mask(data[6 : 6 + length], data[2:6]).decode())
        data = data[6 + length :]
    return texts


def test_the_token_of_the_query_is_quoted() -> None:
    exchange = Exchange(TARGET, Offer(None, "a+b c"), lambda count: NONCE[:count])
    assert b"&token=a%2Bb%20c HTTP/1.1\r\n" in exchange.bytes_to_send()


@pytest.mark.parametrize(
    ("auth", "connect"), [(None, "40"), ({"token": "t"}, '40{"token":"t"}')], ids=["none", "token"]
)
def test_connect_carries_what_is_offered(auth: object, connect: str) -> None:
    assert said(upgraded(Offer(auth), OPEN)) == [connect]


def test_who_is_let_in_is_answered_and_hears_no_early_event() -> None:
    exchange = upgraded(Offer(None), OPEN, '40{"sid":"x"}', '42["connected",{}]')
    assert exchange.is_let_in
    assert exchange.is_answered
    assert exchange.early_events == []


def test_who_is_refused_stays_and_writes_down_what_comes() -> None:
    exchange = upgraded(Offer(None), OPEN, REFUSAL)
    assert exchange.refusal == FAILED
    exchange.receive(frame("2") + frame('42["heartbeat",{"seq":1}]'))
    assert exchange.early_events == ["heartbeat"]
    assert said(exchange) == ["40", "3"]
    exchange.receive(b"")
    assert exchange.is_over
    assert exchange.failure is None


def test_an_event_before_any_answer_is_early() -> None:
    exchange = upgraded(Offer(None), OPEN, '42["price:update",{}]', REFUSAL)
    assert exchange.early_events == ["price:update"]


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"", ConnectionClosed),
        (b"\x88\x02\x03\xe8", ConnectionClosed),
        (frame('430["ack"]'), ProtocolViolation),
        (b"\xff\x00", ProtocolViolation),
    ],
    ids=["end of the stream", "close frame", "an acknowledgement", "no frame"],
)
def test_an_end_without_an_answer_says_why(data: bytes, failure: type[Exception]) -> None:
    exchange = upgraded(Offer(None), OPEN)
    exchange.receive(data)
    assert isinstance(exchange.failure, failure)
    assert exchange.is_answered
    assert exchange.is_over


def test_a_refused_upgrade_is_no_answer_to_the_token() -> None:
    exchange = Exchange(TARGET, Offer(None), lambda count: NONCE[:count])
    exchange.receive(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n")
    assert isinstance(exchange.failure, Refused)
    assert exchange.failure.retry_after_s == 7


def test_bytes_may_come_in_any_cuts() -> None:
    whole = upgraded(Offer(None), OPEN)
    data = frame(REFUSAL) + frame('42["x"]')
    for place in range(len(data)):
        whole.receive(data[place : place + 1])
    assert whole.refusal == FAILED
    assert whole.early_events == ["x"]
