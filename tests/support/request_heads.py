"""Request heads for tests: an upgrade to WebSocket, and what to change in it."""

from __future__ import annotations

from gateway.transport.heads import RequestReader
from gateway.transport.requests import RequestHead

MAX_BYTES = 2_048
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Host": "gateway.example:3000",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def head_bytes(
    line: str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
    headers: dict[str, str] | None = None,
    *extra: str,
) -> bytes:
    named = UPGRADE if headers is None else headers
    lines = [line, *(f"{name}: {value}" for name, value in named.items()), *extra]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def head_of(data: bytes) -> RequestHead:
    read = read_head(data)
    assert read is not None
    assert read[1] == b""
    return read[0]


def upgrade(line: str = "GET / HTTP/1.1", /, **changes: str | None) -> RequestHead:
    """Return an upgrade's head with headers changed; None leaves one out."""
    renamed = {name.replace("_", "-"): value for name, value in changes.items()}
    merged = {name: renamed.pop(name, value) for name, value in UPGRADE.items()} | renamed
    return head_of(head_bytes(line, {n: v for n, v in merged.items() if v is not None}))


def read_head(data: bytes, max_bytes: int = MAX_BYTES) -> tuple[RequestHead, bytes] | None:
    """Return a head and the bytes behind it, None while it is incomplete."""
    reader = RequestReader(max_bytes)
    reader.feed(data)
    head = reader.read()
    return None if head is None else (head, reader.take())
