"""Encode and decode Socket.IO 5 packets of the main namespace, without I/O.

Binary packets (types 5 and 6) and other namespaces are refused, as the contract has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import orjson

from gateway.contract import NAMESPACE
from loadtests.errors import ProtocolViolation

MAX_ACK_DIGITS: Final = 15
"""Most digits of an acknowledgement id."""


class EngineIOPacketType(StrEnum):
    """The first character of an Engine.IO 4 packet, which is a text message."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    NOOP = "6"


class SocketIOPacketType(StrEnum):
    """The first character of a Socket.IO packet."""

    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


@dataclass(frozen=True, slots=True)
class SocketIOPacket:
    """One packet: type, acknowledgement id if any, and JSON content."""

    type: SocketIOPacketType
    ack_id: int | None
    data: object


def encode_connect(auth: object) -> str:
    """Return CONNECT, without a payload when ``auth`` is None."""
    return SocketIOPacketType.CONNECT if auth is None else SocketIOPacketType.CONNECT + _json(auth)


def encode_event(name: str, arguments: tuple[object, ...], ack_id: int | None = None) -> str:
    """Return EVENT.

    Args:
        name: of the event.
        arguments: its payload.
        ack_id: asks the receiver for an acknowledgement; None does not.
    """
    number = "" if ack_id is None else str(ack_id)
    return f"{SocketIOPacketType.EVENT}{number}{_json([name, *arguments])}"


def encode_ack(ack_id: int, arguments: tuple[object, ...]) -> str:
    """Return ACK for an event with this id."""
    return f"{SocketIOPacketType.ACK}{ack_id}{_json(list(arguments))}"


def encode_disconnect() -> str:
    """Return DISCONNECT from the main namespace."""
    return SocketIOPacketType.DISCONNECT


def decode_packet(text: str) -> SocketIOPacket:
    """Return the packet of a text.

    Raises:
        ProtocolViolation: it is not valid, or it is binary or of another namespace.
    """
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise ProtocolViolation(f"not a Socket.IO packet: {text[:40]!r}")
    if kind is SocketIOPacketType.BINARY_EVENT or kind is SocketIOPacketType.BINARY_ACK:
        raise ProtocolViolation("a binary packet, which the contract does not have")
    start = _skip_namespace(text)
    end = start
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    if end - start > MAX_ACK_DIGITS:
        raise ProtocolViolation(f"an acknowledgement id of {end - start} digits")
    ack_id = int(text[start:end]) if end > start else None
    packet = SocketIOPacket(kind, ack_id, _loads(text[end:]))
    is_valid, violation = _SHAPES[kind]
    if not is_valid(packet):
        raise ProtocolViolation(violation)
    return packet


def refusal_of(packet: SocketIOPacket) -> tuple[str, str]:
    """Return message and code of a CONNECT_ERROR; the code is empty where it has none."""
    data = cast("dict[str, Any]", packet.data)
    details = data.get("data")
    code = details.get("code") if isinstance(details, dict) else None
    return data["message"], code if isinstance(code, str) else ""


def _skip_namespace(text: str) -> int:
    if text[1:2] != "/":
        return 1
    namespace, comma, _ = text[1:].partition(",")
    if namespace != NAMESPACE:
        raise ProtocolViolation(f"a packet of namespace {namespace[:40]!r}")
    return 1 + len(namespace) + len(comma)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _loads(text: str) -> object:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolViolation(f"a packet whose payload is not JSON: {text[:40]!r}") from error


def _has_text(data: object, key: str) -> bool:
    return isinstance(data, dict) and isinstance(data.get(key), str)


_TYPES: Final = {kind.value: kind for kind in SocketIOPacketType}
_SHAPES: Final[Mapping[SocketIOPacketType, tuple[Callable[[SocketIOPacket], bool], str]]] = {
    SocketIOPacketType.CONNECT: (
        lambda packet: _has_text(packet.data, "sid"),
        "a CONNECT without a sid",
    ),
    SocketIOPacketType.DISCONNECT: (
        lambda packet: packet.data is None,
        "a DISCONNECT with a payload",
    ),
    SocketIOPacketType.EVENT: (
        lambda packet: isinstance(packet.data, list) and isinstance((packet.data or [0])[0], str),
        "an EVENT that is not an array with a name first",
    ),
    SocketIOPacketType.ACK: (
        lambda packet: packet.ack_id is not None and isinstance(packet.data, list),
        "an ACK without an id or without an array",
    ),
    SocketIOPacketType.CONNECT_ERROR: (
        lambda packet: _has_text(packet.data, "message"),
        "a CONNECT_ERROR without a message",
    ),
}
"""What the content of each packet must be, and the words for one that is not."""
