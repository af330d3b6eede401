"""What the measuring client says and reads: bytes made before the clock starts."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.contract import PUBLISH_PATH
from loadtests.connection.protocol.websocket_frames import Opcode, encode_frame

NONCE: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
"""The example of RFC 6455 §1.3: one nonce for all, so that the answer is known beforehand."""
ACCEPT: Final = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
EVENT: Final = "ticker:update"
TICK: Final = f'42["{EVENT}"'.encode()
SOURCE_TIME: Final = b'"srcTs":'
SYMBOL: Final = "BTC/USDT"
ROOM: Final = f"market-data:{SYMBOL}"

# RFC 6455 §5.3 wants a mask that nobody foretells, against proxies; there is none here, and a
# peer's work is the same for any.
_MASK: Final = b"\x12\x34\x56\x78"
_SHORT: Final = 126
_DIGITS: Final = 16
_PRICES: Final = {
    "symbol": SYMBOL,
    "price": 64231.25,
    "bid": 64230.5,
    "ask": 64232.0,
    "volume24h": 18234.125,
    "change24h": -1.25,
    "high24h": 65102.5,
    "low24h": 63310.75,
}


def masked(packet: str) -> bytes:
    """Return a packet as the text frame that a client sends."""
    return encode_frame(Opcode.TEXT, packet.encode(), _MASK)


def event(name: str, *payload: object) -> bytes:
    """Return an event as the text frame that a client sends."""
    return masked("42" + json.dumps([name, *payload], separators=(",", ":")))


ENGINE_PONG: Final = masked("3")
SUBSCRIBE: Final = (
    event("subscribe", {"channel": "market-data", "symbols": [SYMBOL]}),
    event("subscribe", {"channel": "trading"}),
)
PING: Final = event("ping")


def upgrade_request(port: int) -> bytes:
    """Return the opening handshake of a client that comes straight by WebSocket."""
    return (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (port, NONCE)
    )


def connect_frame(token: str) -> bytes:
    """Return CONNECT with a client's token."""
    return masked("40" + json.dumps({"token": token}, separators=(",", ":")))


def walk(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a server's bytes into whole frames.

    Returns:
        The payloads of the whole text frames, and the bytes of the one that is partial.

    Raises:
        ValueError: a close frame, or anything but whole text frames: no peer of this
            benchmark sends that unless something went wrong.
    """
    payloads: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= 2:
        if data[at] != 0x81:
            raise ValueError(f"a frame that starts with {data[at]:#04x}: {data[at : at + 60]!r}")
        length, head = data[at + 1], 2
        if length >= _SHORT:
            head = 4 if length == _SHORT else 10
            if end - at < head:
                break
            length = int.from_bytes(data[at + 2 : at + head], "big")
        if end - at < head + length:
            break
        at += head
        payloads.append(data[at : at + length])
        at += length
    return payloads, data[at:]


def source_time_us(packet: bytes) -> int:
    """Return when a tick was due, µs of CLOCK_MONOTONIC.

    Raises:
        ValueError: it carries no ``srcTs``.
    """
    at = packet.index(SOURCE_TIME) + len(SOURCE_TIME)
    digits = packet[at : at + _DIGITS]
    return int(digits[: len(digits) - len(digits.lstrip(b"0123456789"))])


def publish_request(port: int, token: str, body: bytes) -> bytes:
    """Return one request for the publish route."""
    return (
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (PUBLISH_PATH.encode(), port, token.encode(), len(body), body)
    )


def publication(due_us: int) -> bytes:
    """Return what is published: the peer adds ``seq``, ``prevSeq``, ``ts`` and ``timestamp``."""
    return _compact(
        {
            "room": ROOM,
            "event": EVENT,
            "data": {"symbol": SYMBOL, "ticker": _ticker()},
            "srcTs": due_us,
        }
    )


def ready_packet(due_us: int) -> bytes:
    """Return the packet that a peer makes of a publication, for one that only relays."""
    payload = {
        "symbol": SYMBOL,
        "ticker": _ticker(),
        "seq": 100,
        "prevSeq": 99,
        "ts": due_us,
        "timestamp": "2026-11-01T00:00:00.000Z",
        "srcTs": due_us,
    }
    return b"42" + _compact([EVENT, payload])


def _ticker() -> dict[str, Any]:
    return {**_PRICES, "timestamp": "2026-11-01T00:00:00.000Z"}


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
