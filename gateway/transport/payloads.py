"""Engine.IO v4 packets as text, and the payloads of HTTP polling that join them.

https://github.com/socketio/engine.io-protocol is the source ("Packet encoding", "HTTP
long-polling", "WebSocket"). A binary WebSocket frame is a message whose data are its bytes
and needs no function; base64 exists on polling alone.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

_SEPARATOR: Final = "\x1e"
_SEPARATOR_BYTES: Final = b"\x1e"
_BINARY_PREFIX: Final = "b"


class PayloadError(ValueError):
    """What a client sent is no packet, or no payload of packets."""


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
    """One packet; `data` are `bytes` in a binary message and text in everything else."""

    type: PacketType
    data: str | bytes


def decode_packet(text: str) -> Packet:
    """Return the packet that a text WebSocket frame carries.

    Raises:
        PayloadError: for an empty frame or a type that does not exist.
    """
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise PayloadError(_describe_type(text))
    return Packet(kind, text[1:])


def decode_payload(body: bytes, max_packets: int = 1_000) -> list[Packet]:
    r"""Return all packets of a polling request's body, in order; at least one.

    The body is UTF-8, packets stand between ``\x1e``, and ``b`` starts the base64 of a
    binary message. A body with one bad packet gives none.

    Args:
        body: the request's body, already bounded in bytes.
        max_packets: more are refused before any is decoded.

    Raises:
        PayloadError: naming the first packet that is wrong, by its number from 1.
    """
    if not body:
        raise PayloadError("payload is empty; at least one packet is needed")
    count = body.count(_SEPARATOR_BYTES) + 1
    if count > max_packets:
        raise PayloadError(f"payload has {count} packets; at most {max_packets} are taken")
    try:
        texts = body.decode().split(_SEPARATOR)
    except UnicodeDecodeError:
        raise PayloadError("payload is not UTF-8") from None
    packets: list[Packet] = []
    for number, text in enumerate(texts, start=1):
        try:
            is_binary = text.startswith(_BINARY_PREFIX)
            packets.append(_decode_binary(text) if is_binary else decode_packet(text))
        except PayloadError as error:
            raise PayloadError(f"packet {number} of {count}: {error}") from None
    return packets


def encode_packet(packet: Packet) -> str:
    """Return a packet as text: for a binary message the base64 form that polling takes."""
    if isinstance(packet.data, bytes):
        return encode_binary_packet(packet.data).decode()
    return packet.type.value + packet.data


def encode_binary_packet(data: bytes) -> bytes:
    """Return a binary message as polling takes it: ``b`` and base64."""
    return b"b" + b2a_base64(data, newline=False)


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """Join packets that are encoded already, as UTF-8 bytes, to a polling response's body."""
    return _SEPARATOR_BYTES.join(packets)


def _decode_binary(text: str) -> Packet:
    try:
        return Packet(PacketType.MESSAGE, a2b_base64(text[1:], strict_mode=True))
    except (Base64Error, ValueError):  # ValueError: characters beyond ASCII
        raise PayloadError("binary message is not base64 with its padding") from None


def _describe_type(text: str) -> str:
    if not text:
        return "packet is empty; its type, 0 to 6, is needed"
    return f"no such packet type: {text[0]!r}; there are 0 to 6"
