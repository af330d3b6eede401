"""Decoding of Socket.IO packets, as strict as the reference parser (socket.io-parser).

::

    ValueError
    └── MalformedPacket    a packet that a conforming client does not send
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Final

# Socket.IO protocol 5, "Packet types".
CONNECT: Final = 0
DISCONNECT: Final = 1
EVENT: Final = 2
ACK: Final = 3
CONNECT_ERROR: Final = 4
BINARY_EVENT: Final = 5
BINARY_ACK: Final = 6

_KINDS: Final = "0123456"
_EVENTS: Final = (EVENT, BINARY_EVENT)
_BINARY: Final = (BINARY_EVENT, BINARY_ACK)
_ATTACHMENTS: Final = re.compile(r"[0-9]{1,10}-", re.ASCII)
_ID: Final = re.compile(r"[0-9]{0,100}", re.ASCII)  # longer ones are not told apart anyway
_MOST_ATTACHMENTS: Final = 10  # as socket.io-parser has it


class PlainPacket:
    """A CONNECT or an EVENT of the default namespace that asks for no acknowledgement.

    Nearly every packet of a client is one. Its payload follows the packet type directly.
    """

    __slots__ = ("data", "packet_type")

    namespace: Final = None
    id: Final = None
    attachment_count: Final = 0

    def __init__(self, packet_type: int, data: Any) -> None:
        self.packet_type = packet_type
        self.data = data


class MalformedPacket(ValueError):  # noqa: N818 - the name says what it is
    """A packet that a conforming client does not send. The message quotes none of it."""


def decode(text: str, packet_class: type[Any]) -> Any:
    """Return the packet of a text message.

    Args:
        text: the message without its Engine.IO type.
        packet_class: python-socketio's packet class, or one with the same interface.

    Raises:
        MalformedPacket: the text is no packet, or only a server may send it.
    """
    if text[:1] not in _KINDS or not text:
        raise MalformedPacket("malformed packet (unknown type)")
    try:
        begins = text[:2]
        if begins == "2[" or begins == "0{":
            packet: Any = PlainPacket(int(begins[0]), packet_class.json.loads(text[1:]))
        else:
            packet = _decode_fields(text, packet_class)
    except MalformedPacket:
        raise
    except Exception as error:  # noqa: BLE001 - the decoder raises whatever its input makes it
        raise MalformedPacket(f"malformed packet ({type(error).__name__})") from None
    _check(packet)
    return packet


def _decode_fields(text: str, packet_class: type[Any]) -> Any:
    """Return the packet of a text with any of the optional fields before its payload."""
    kind = int(text[0])
    at = 1
    attachments = 0
    if kind in _BINARY:
        count = _ATTACHMENTS.match(text, at)
        attachments = 0 if count is None else int(count.group()[:-1])
        if count is None or not 0 < attachments <= _MOST_ATTACHMENTS:
            raise MalformedPacket("malformed packet (attachments)")
        at = count.end()
    namespace = None
    if text.startswith("/", at):
        end = text.find(",", at)
        namespace = text[at:] if end < 0 else text[at:end]
        at = len(text) if end < 0 else end + 1
    digits = _ID.match(text, at)
    at = at if digits is None else digits.end()
    ack_id = int(digits.group()) if digits is not None and digits.group() else None
    data = packet_class.json.loads(text[at:]) if at < len(text) else None
    if data is None and at < len(text):
        raise MalformedPacket("malformed packet (payload)")
    packet = packet_class(kind, data, namespace, ack_id, binary=False)
    packet.attachment_count = attachments
    return packet


def _check(packet: Any) -> None:
    """Refuse payloads that do not fit their packet, as ``isPayloadValid`` of the reference."""
    kind, data = packet.packet_type, packet.data
    if kind == CONNECT:
        is_valid = data is None or isinstance(data, dict)
    elif kind == DISCONNECT:
        is_valid = data is None
    elif kind in _EVENTS:
        is_valid = isinstance(data, list) and len(data) > 0 and _is_name(data[0])
    elif kind in (ACK, BINARY_ACK):
        is_valid = isinstance(data, list)
    else:  # CONNECT_ERROR is the server's
        is_valid = False
    if not is_valid:
        raise MalformedPacket("malformed packet (payload)")


def _is_name(value: object) -> bool:
    """Return whether a value may be an event's name: a string or, since 3.1, a number."""
    kind = type(value)
    return kind is str or kind is int or kind is float


class Reassembly:
    """Packets whose binary parts have not all arrived, at most one per session.

    Args:
        most_bytes: bytes allowed for a packet and its parts together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._waiting: dict[Hashable, tuple[Any, int]] = {}

    def begin(self, session: Hashable, packet: Any, size: int) -> None:
        """Keep a packet until its parts have arrived.

        Args:
            session: the session that sent it.
            packet: the decoded packet.
            size: its bytes.
        """
        self._waiting[session] = (packet, size)

    def expect_none(self, session: Hashable) -> None:
        """Refuse a text message of a session that owes a binary part.

        Raises:
            MalformedPacket: a part is missing.
        """
        if self._waiting and session in self._waiting:
            raise MalformedPacket("a text in place of a binary part")

    def add(self, session: Hashable, data: bytes) -> tuple[Any, int] | None:
        """Add one binary part.

        Returns:
            The complete packet and its size in bytes, ``None`` while parts are missing.

        Raises:
            MalformedPacket: no packet needs a part, or packet and parts are too large.
        """
        waiting = self._waiting.pop(session, None)
        if waiting is None:
            raise MalformedPacket("binary event without its packet")
        packet, size = waiting
        size += len(data)
        if size > self._most_bytes:
            raise MalformedPacket("binary parts too large")
        try:
            is_complete = packet.add_attachment(data)
        except (ValueError, IndexError, TypeError, RecursionError):
            raise MalformedPacket("malformed packet (placeholders)") from None
        if is_complete:
            return packet, size
        self._waiting[session] = (packet, size)
        return None

    def drop(self, session: Hashable) -> None:
        """Forget the packet and the parts of a session."""
        if self._waiting:
            self._waiting.pop(session, None)
