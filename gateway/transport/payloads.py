"""Engine.IO v4 packets as text, and the HTTP polling bodies that join them.

Source: https://github.com/socketio/engine.io-protocol ("Packet encoding", "HTTP
long-polling", "WebSocket"). A binary WebSocket frame is a message as it stands. Polling uses
base64, and so does a client that sends text alone.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

_SEPARATOR: Final = "\x1e"
_SEPARATOR_BYTES: Final = b"\x1e"
_BINARY_PREFIX: Final = "b"


class PayloadError(ValueError):
    """The client sent no valid packet, or no valid polling body."""


class PacketType(StrEnum):
    """The first character of a text packet."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


_TYPES: Final[dict[str, PacketType]] = {member.value: member for member in PacketType}


class Packet(NamedTuple):
    """One packet. `data` is `bytes` in a binary message, else `str`."""

    type: PacketType
    data: str | bytes


def decode_packet(text: str) -> Packet:
    """Return the packet of a text WebSocket frame.

    Raises:
        PayloadError: the frame is empty, or the type does not exist.
    """
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise PayloadError(_describe_type(text))
    return Packet(kind, text[1:])


def decode_payload(body: bytes) -> Iterator[Packet]:
    r"""Yield the packets of a polling request's body, in order.

    The body is UTF-8. ``\x1e`` separates the packets, and ``b`` starts a binary message in
    base64. Packets before an invalid one are valid, as on a WebSocket.

    Args:
        body: the request's body, with its size already checked.

    Raises:
        PayloadError: names the first invalid packet by its number, from 1.
    """
    if not body:
        raise PayloadError("payload is empty: it needs at least one packet")
    try:
        texts = body.decode().split(_SEPARATOR)
    except UnicodeDecodeError:
        raise PayloadError("payload is not UTF-8") from None
    for number, text in enumerate(texts, start=1):
        try:
            if text.startswith(_BINARY_PREFIX):
                yield Packet(PacketType.MESSAGE, decode_base64(text))
            else:
                yield decode_packet(text)
        except PayloadError as error:
            raise PayloadError(f"packet {number} of {len(texts)}: {error}") from None


def encode_binary_packet(data: bytes) -> bytes:
    """Return a binary message for polling: ``b`` and base64."""
    return b"b" + b2a_base64(data, newline=False)


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """Return the polling body of encoded packets (UTF-8)."""
    return _SEPARATOR_BYTES.join(packets)


def decode_base64(text: str) -> bytes:
    """Return the binary message of a text packet: ``b`` and base64.

    Raises:
        PayloadError: the text is not base64 with padding.
    """
    try:
        return a2b_base64(text[1:], strict_mode=True)
    except (Base64Error, ValueError):  # ValueError: characters beyond ASCII
        raise PayloadError("binary message is not base64 with padding") from None


def _describe_type(text: str) -> str:
    if not text:
        return "packet is empty: it needs a type from 0 to 6"
    return f"no such packet type: {text[0]!r}; use 0 to 6"
