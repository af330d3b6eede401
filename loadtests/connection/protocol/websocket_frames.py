"""Encode and decode WebSocket frames (RFC 6455) for a client, without I/O.

:func:`encode_frame` returns bytes to send. :class:`FrameReader` takes bytes in any pieces and
returns whole messages; it keeps state only while a frame or a message is incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from loadtests.errors import ProtocolViolation

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""A longer message closes with 1009. Default of :class:`FrameReader`."""

_FIN: Final = 0x80
_WHOLE_TEXT: Final = 0x81
_RESERVED_BITS: Final = 0x70
_MASKED: Final = 0x80
_CONTROL_BIT: Final = 0x08
_MAX_CONTROL_BYTES: Final = 125  # §5.5: a control frame's payload
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127


class Opcode(IntEnum):
    """Opcodes of RFC 6455 §5.2; all others are reserved."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class StatusCode(IntEnum):
    """Status codes of RFC 6455 §7.4.1 that a client receives or sends."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005  # never on the wire: a close frame without a code
    ABNORMAL = 1006  # never on the wire: no close frame at all
    INVALID_DATA = 1007
    TOO_BIG = 1009


@dataclass(frozen=True, slots=True)
class TextFrame:
    """A whole text message, checked as UTF-8."""

    text: str


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    """A whole binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PingFrame:
    """A ping; its pong must have the same payload (§5.5.2)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PongFrame:
    """An answer to a ping, or unsolicited (§5.5.3)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The server's close frame, the last one read (§5.5.1)."""

    code: int
    reason: str


Message = TextFrame | BinaryFrame | PingFrame | PongFrame | CloseFrame


def encode_frame(opcode: Opcode, payload: bytes, mask: bytes) -> bytes:
    """Return one final frame, masked as all frames of a client (§5.2, §5.3).

    Args:
        opcode: the frame's type.
        payload: unmasked; at most 125 bytes in a control frame.
        mask: four unpredictable bytes, new for each frame.

    Raises:
        ValueError: the mask is not four bytes, or a control frame's payload is too long.
    """
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, this one has {len(mask)}")
    length = len(payload)
    if opcode & _CONTROL_BIT and length > _MAX_CONTROL_BYTES:
        raise ValueError(
            f"a control frame carries at most {_MAX_CONTROL_BYTES} bytes, not {length}"
        )
    if length < _LENGTH_16:
        head = bytes((_FIN | opcode, _MASKED | length))
    elif length < 1 << 16:
        head = bytes((_FIN | opcode, _MASKED | _LENGTH_16)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, _MASKED | _LENGTH_64)) + length.to_bytes(8, "big")
    return head + mask + apply_mask(payload, mask)


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Return the payload, each byte XORed with the mask's byte at its position mod 4 (§5.3)."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def encode_close(code: int, reason: str, mask: bytes) -> bytes:
    """Return a close frame (§5.5.1).

    Args:
        code: the status.
        reason: cut to the 123 bytes that fit.
        mask: as for :func:`encode_frame`.
    """
    words = reason.encode()[: _MAX_CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return encode_frame(Opcode.CLOSE, code.to_bytes(2, "big") + words, mask)


def frame_end(data: bytes, offset: int) -> int | None:
    """Return the end of the frame that begins at ``offset``; None while it is incomplete."""
    if len(data) < offset + 2:
        return None
    length = data[offset + 1] & ~_MASKED
    start = offset + 2
    if length >= _LENGTH_16:
        start += 2 if length == _LENGTH_16 else 8
        if len(data) < start:
            return None
        length = int.from_bytes(data[offset + 2 : start], "big")
    return start + length if start + length <= len(data) else None


class FrameReader:
    """Turns a server's bytes into messages.

    It ignores all bytes after a :class:`CloseFrame` and after a failure (§5.5.1, §7.1.7).

    Args:
        max_message_bytes: longest message, over all its fragments; a longer one fails with 1009.

    Attributes:
        failure: the violation that must fail the connection; None without one.
    """

    __slots__ = ("_buffer", "_closed", "_fragments", "_max", "_needed", "_opcode", "failure")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._buffer: bytearray | None = None
        self._needed = 0
        self._fragments: bytearray | None = None
        self._opcode = Opcode.TEXT
        self._max = max_message_bytes
        self._closed = False
        self.failure: ProtocolViolation | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes and return the messages they complete, in order."""
        messages: list[Message] = []
        if self._closed:
            return messages
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return messages  # wait for the whole frame, without looking at or copying it
            data = bytes(self._buffer)
        offset = 0
        try:
            while not self._closed:
                frame = self._next_frame(data, offset)
                if frame is None:
                    break
                first, payload, offset = frame
                message = self._accept(first, payload)
                if message is not None:
                    messages.append(message)
        except ProtocolViolation as violation:
            self.failure = violation
            self._closed = True
        is_partial = offset < len(data) and not self._closed
        self._buffer = bytearray(memoryview(data)[offset:]) if is_partial else None
        return messages

    @property
    def is_mid_frame(self) -> bool:
        """Whether the next byte belongs to a frame that has begun."""
        return self._buffer is not None

    @property
    def is_mid_message(self) -> bool:
        """Whether the next data frame belongs to a message that has begun (§5.4)."""
        return self._fragments is not None

    def release(self) -> bytes:
        """Return and forget the bytes of a small incomplete frame; nothing of a large one.

        The fast path joins them with the next read. While the reader is still
        :attr:`is_mid_frame`, all bytes belong to it.
        """
        if self._buffer is None or self._needed > 1 << 16:
            return b""
        data = bytes(self._buffer)
        self._buffer = None
        return data

    def _next_frame(self, buffer: bytes, offset: int) -> tuple[int, bytes, int] | None:
        """Return first byte, payload and end of the frame at ``offset``; None while incomplete."""
        available = len(buffer) - offset
        self._needed = 0
        if available < 1:
            return None
        first = buffer[offset]
        if first != _WHOLE_TEXT or self._fragments is not None:  # true for few frames
            self._check_first_byte(first)
        if available < 2:
            return None
        second = buffer[offset + 1]
        if second & _MASKED:  # §5.1: a server's frame is never masked
            raise ProtocolViolation("a masked frame from the server")
        length = second
        start = offset + 2
        if length >= _LENGTH_16:
            if first & _CONTROL_BIT:
                raise ProtocolViolation("a control frame of more than 125 bytes")
            width = 2 if length == _LENGTH_16 else 8
            if available < 2 + width:
                return None
            start += width
            length = _long_length(buffer[offset + 2 : start], width)
        self._check_size(first, length)
        end = start + length
        if len(buffer) < end:
            self._needed = end - offset
            return None
        return first, buffer[start:end], end

    def _check_first_byte(self, first: int) -> None:
        if first & _RESERVED_BITS:  # §5.2: no extension was negotiated
            raise ProtocolViolation("a reserved bit is set")
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            raise ProtocolViolation(f"reserved opcode {opcode}")
        if opcode & _CONTROL_BIT:
            if not first & _FIN:  # §5.4
                raise ProtocolViolation("a fragmented control frame")
        elif (opcode == Opcode.CONTINUATION) != (self._fragments is not None):  # §5.4
            words = "nothing to continue" if self._fragments is None else "message inside a message"
            raise ProtocolViolation(words)

    def _check_size(self, first: int, length: int) -> None:
        total = length + len(self._fragments or b"")
        if total > self._max and not first & _CONTROL_BIT:
            raise ProtocolViolation(
                f"a message of {total} bytes; at most {self._max} are taken", StatusCode.TOO_BIG
            )

    def _accept(self, first: int, payload: bytes) -> Message | None:
        opcode = first & 0x0F
        if opcode == Opcode.PING:
            return PingFrame(payload)
        if opcode == Opcode.PONG:
            return PongFrame(payload)
        if opcode == Opcode.CLOSE:
            message = _close(payload)
            self._closed = True
            return message
        if opcode != Opcode.CONTINUATION:
            if first & _FIN:
                return _whole(opcode, payload)
            self._opcode = Opcode(opcode)
            self._fragments = bytearray(payload)
            return None
        assert self._fragments is not None  # noqa: S101 - _check_first_byte checked it
        self._fragments += payload
        if not first & _FIN:
            return None
        whole = bytes(self._fragments)
        self._fragments = None
        return _whole(self._opcode, whole)


def _long_length(field: bytes, width: int) -> int:
    length = int.from_bytes(field, "big")
    if width == 8 and length >> 63:  # §5.2: the most significant bit is 0
        raise ProtocolViolation("a length of more than 63 bits")
    if length < (_LENGTH_16 if width == 2 else 1 << 16):  # §5.2: the minimal number of bytes
        raise ProtocolViolation("a length that is not in its shortest form")
    return length


def _whole(opcode: int, payload: bytes) -> Message:
    return TextFrame(_utf8(payload)) if opcode == Opcode.TEXT else BinaryFrame(payload)


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:  # §8.1
        raise ProtocolViolation("text that is not UTF-8", StatusCode.INVALID_DATA) from error


def _close(payload: bytes) -> CloseFrame:
    if not payload:
        return CloseFrame(StatusCode.NO_STATUS, "")
    if len(payload) == 1:  # §5.5.1
        raise ProtocolViolation("a close frame with half a status")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code < 5000) or code in _NEVER_SENT:  # §7.4.1, §7.4.2
        raise ProtocolViolation(f"close status {code}, which must not be sent")
    return CloseFrame(code, _utf8(payload[2:]))


_OPCODES: Final = frozenset(Opcode)
_NEVER_SENT: Final = frozenset({1004, StatusCode.NO_STATUS, StatusCode.ABNORMAL, 1015})
