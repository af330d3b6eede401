"""Reading Socket.IO packets, strictly: what is not a packet of the protocol is a breach.

python-socketio decodes; what it lets through is refused here, in one place.

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

    Nearly every packet of a client's is one: its payload stands right behind its type.
    """

    __slots__ = ("data", "packet_type")

    namespace: Final = None
    id: Final = None
    attachment_count: Final = 0

    def __init__(self, packet_type: int, data: Any) -> None:
        self.packet_type = packet_type
        self.data = data


class MalformedPacket(ValueError):  # noqa: N818 - the name says what it is
    """A packet that a conforming client does not send; the text has nothing of its content."""


def decode(text: str, packet_class: type[Any]) -> Any:
    """Return the packet of a text message.

    Args:
        text: without the Engine.IO type.
        packet_class: python-socketio's, or one like it.

    Raises:
        MalformedPacket: it is none, or not a client's to send.
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
    """Refuse what the decoder accepts and the protocol does not."""
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
    """Packets whose binary parts are still on their way, one a session at most.

    Args:
        most_bytes: of a packet and its parts together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._waiting: dict[Hashable, tuple[Any, int]] = {}

    def begin(self, session: Hashable, packet: Any, size: int) -> None:
        """Wait for a packet's parts."""
        self._waiting[session] = (packet, size)

    def expect_none(self, session: Hashable) -> None:
        """Raise ``MalformedPacket`` where a part is due and a text came."""
        if self._waiting and session in self._waiting:
            raise MalformedPacket("a text in place of a binary part")

    def add(self, session: Hashable, data: bytes) -> tuple[Any, int] | None:
        """Take one part.

        Returns:
            The complete packet and its size in bytes, ``None`` while parts are missing.

        Raises:
            MalformedPacket: nobody waits for a part, or they are too large together.
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
        """Forget a session's parts."""
        if self._waiting:
            self._waiting.pop(session, None)


def _check_parts(packet: Any) -> None:
    data = packet.data
    if not isinstance(data, list) or not data:
        raise MalformedPacket("malformed packet (payload)")
