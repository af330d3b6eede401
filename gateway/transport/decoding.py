"""Strict decoding of Socket.IO packets.

python-socketio's packet class decodes. This module refuses the invalid packets that the
class accepts.

::

    ValueError
    └── MalformedPacket    a packet that a conforming client does not send
"""

from __future__ import annotations

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
_BINARY: Final = (BINARY_EVENT, BINARY_ACK)
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
            packet = packet_class(encoded_packet=text)
    except Exception as error:  # noqa: BLE001 - the decoder raises whatever its input makes it
        raise MalformedPacket(f"malformed packet ({type(error).__name__})") from None
    _check(packet)
    return packet


def _check(packet: Any) -> None:
    """Refuse packets that the packet class accepts and the protocol does not."""
    kind, data = packet.packet_type, packet.data
    if (packet.attachment_count > 0) != (kind in _BINARY):
        raise MalformedPacket("malformed packet (attachments)")
    if packet.attachment_count > _MOST_ATTACHMENTS:
        raise MalformedPacket("malformed packet (too many attachments)")
    if kind == CONNECT:
        is_valid = data is None or isinstance(data, dict)
    elif kind == DISCONNECT:
        is_valid = data is None
    elif kind in (EVENT, BINARY_EVENT):
        is_valid = isinstance(data, list) and len(data) > 0
    elif kind in (ACK, BINARY_ACK):
        is_valid = isinstance(data, list) and packet.id is not None
    else:  # CONNECT_ERROR is the server's
        is_valid = False
    if not is_valid:
        raise MalformedPacket("malformed packet (payload)")


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
            _check_parts(packet)
            return packet, size
        self._waiting[session] = (packet, size)
        return None

    def drop(self, session: Hashable) -> None:
        """Forget the packet and the parts of a session."""
        if self._waiting:
            self._waiting.pop(session, None)


def _check_parts(packet: Any) -> None:
    data = packet.data
    if not isinstance(data, list) or not data:
        raise MalformedPacket("malformed packet (payload)")
