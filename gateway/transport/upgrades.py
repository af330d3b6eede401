"""The upgrade of an HTTP/1.1 connection to WebSocket: RFC 6455 section 4.2."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import sha1
from http import HTTPStatus
from typing import Final

from gateway.transport.answers import NO_HEADERS, BadRequest, encode_headers
from gateway.transport.requests import RequestHead

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_WEBSOCKET_VERSION: Final = "13"  # RFC 6455 4.1
_USUAL: Final = frozenset({("websocket", "Upgrade"), ("websocket", "keep-alive, Upgrade")})
_OUR_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
    }
)


def is_websocket_upgrade(head: RequestHead) -> bool:
    """Return whether the client asks for WebSocket. `check_upgrade` checks the details."""
    headers = head.headers
    wanted = headers.get("upgrade")
    if wanted is None:
        return False
    connection = headers.get("connection", "")
    return (wanted, connection) in _USUAL or (
        _has_token(wanted, "websocket") and _has_token(connection, "upgrade")
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
        raise BadRequest.malformed("an upgrade to WebSocket needs HTTP/1.1")
    headers = head.headers
    if not is_websocket_upgrade(head):
        raise BadRequest.malformed("Connection: Upgrade with Upgrade: websocket is needed")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadRequest.malformed("an upgrade to WebSocket has no body")
    if headers.get("sec-websocket-version") != _WEBSOCKET_VERSION:
        raise BadRequest(  # RFC 6455 4.4: the answer names the supported version
            HTTPStatus.UPGRADE_REQUIRED,
            "Sec-WebSocket-Version 13 is needed",
            {"Sec-WebSocket-Version": _WEBSOCKET_VERSION, "Upgrade": "websocket"},
        )
    if not _KEY.fullmatch(headers.get("sec-websocket-key", "")):  # two are joined: no match
        raise BadRequest.malformed("one Sec-WebSocket-Key is needed, the base64 of 16 bytes")


def switching_protocols(head: RequestHead, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    """Return the 101 response to a checked upgrade, without extension and subprotocol.

    Raises:
        ValueError: a header is malformed, or set by this function itself.
    """
    key = (head.header("sec-websocket-key") or "").encode("latin-1")
    # RFC 6455 4.2.2 requires SHA-1. It protects nothing here.
    digest = sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
    ) % (
        b2a_base64(digest, newline=False),
        encode_headers(headers, _OUR_HEADERS) if headers else b"",
    )


def _has_token(value: str, token: str) -> bool:
    lowered = value.lower()
    return lowered == token or token in [item.strip(" \t") for item in lowered.split(",")]
