"""WebSocket frames as a server reads and writes them: RFC 6455 without a socket.

`read_frames` takes bytes and the `Partial` of the last read, and returns events and the next
`Partial`. A `Partial` exists only while a frame or a fragmented message is incomplete, so a
connection between two frames needs no state. No extension is negotiated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_FIN: Final = 0x80
_RSV: Final = 0x70
_MASKED: Final = 0x80
_WHOLE_TEXT: Final = _FIN | TEXT
_LONGEST_CONTROL: Final = 125  # also the longest payload whose length fits the second byte
_IN_16_BITS: Final = 126
_IN_64_BITS: Final = 127
_LEAST_BYTES: Final = 2
_KEY_BYTES: Final = 4
_HEAD_BYTES: Final = _LEAST_BYTES + _KEY_BYTES
_LONG_HEAD_BYTES: Final = {_IN_16_BITS: _HEAD_BYTES + 2, _IN_64_BITS: _HEAD_BYTES + 8}


class CloseCode(IntEnum):
    """Codes of a close frame: RFC 6455 7.4.1, and its registry (11.7)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


_REGISTERED_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})
_FREE_CODES: Final = range(3000, 5000)


class Message(NamedTuple):
    """A complete message, ping or pong; `data` is `str` for `TEXT`, else `bytes`."""

    opcode: int
    data: str | bytes


class Close(NamedTuple):
    """The peer's close frame. Answer it, then close. `code` is None if the frame has none."""

    code: int | None
    reason: str


class Violation(NamedTuple):
    """A breach of the protocol. Send a close frame with this code, then close."""

    code: int
    reason: str


FrameEvent: TypeAlias = Message | Close | Violation
"""An event of `read_frames`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """Limits of one client's messages.

    Attributes:
        max_message_bytes: payload bytes of one message, all fragments together. A header
            that announces more closes with 1009.
        max_fragments: frames of one message, empty ones included (1,024). More close with
            1008.
    """

    max_message_bytes: int
    max_fragments: int = 1_024


class Partial:
    """The state of a connection between two reads: an incomplete frame or message.

    Pass it to the next call of `read_frames`, which changes it in place. It holds at most
    `max_message_bytes`, a header and one control frame of 131 bytes.
    """

    __slots__ = ("fragments", "frame", "message", "needed_bytes", "opcode")

    def __init__(self) -> None:
        self.frame = bytearray()
        self.needed_bytes = 0  # bytes of the frame needed for the next step
        self.opcode = 0  # opcode of the fragmented message, 0 between messages
        self.message = bytearray()  # unmasked payloads so far
        self.fragments = 0

    @property
    def held_bytes(self) -> int:
        """Received bytes that it holds."""
        return len(self.frame) + len(self.message)


class _BrokenRule(Exception):  # noqa: N818 - it never leaves this module
    """The peer broke a rule of the protocol or a limit."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.violation = Violation(code, reason)


def read_text(data: bytes, limits: FrameLimits) -> str | None:
    """Return the text of a read that is exactly one complete text frame.

    Nearly every read is one, so this short path sets the cost of an event.

    Args:
        data: the bytes of one read. The last read must have left no `Partial`.
        limits: as for `read_frames`.

    Returns:
        The text, ``None`` for any other read. Then call `read_frames`.
    """
    if len(data) <= _HEAD_BYTES or data[0] != _WHOLE_TEXT:
        return None
    length = data[1] - _MASKED
    head = _HEAD_BYTES
    if length != len(data) - _HEAD_BYTES or length > _LONGEST_CONTROL:
        head += 2
        if length != _IN_16_BITS or int.from_bytes(data[2:4], "big") != len(data) - head:
            return None
        length = len(data) - head
        if length <= _LONGEST_CONTROL:  # the length is not in its shortest form
            return None
    if length > limits.max_message_bytes:
        return None
    mask = (data[head - _KEY_BYTES : head] * ((length + 3) >> 2))[:length]
    masked = int.from_bytes(data[head:], "little")
    payload = (masked ^ int.from_bytes(mask, "little")).to_bytes(length, "little")
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def read_frames(
    data: bytes, partial: Partial | None, limits: FrameLimits
) -> tuple[list[FrameEvent], Partial | None]:
    """Return the events that `data` complete.

    Args:
        data: the bytes of one read.
        partial: the `Partial` of the last call.
        limits: the limits, the same for every call of a connection.

    Returns:
        The events in the order of the bytes, and the `Partial` for the next call. A `Close`
        or a `Violation` is the last event: do not call again.
    """
    events: list[FrameEvent] = []
    try:
        partial = _read_all(data, partial, limits, events)
    except _BrokenRule as broken:
        events.append(broken.violation)
        partial = None
    return events, partial


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """Return one final, unmasked frame. A server does not mask (5.1).

    Raises:
        ValueError: the opcode does not exist, or a control frame is over 125 bytes.
    """
    if opcode not in _OPCODES:
        raise ValueError(f"no such opcode: {opcode}; there are {sorted(_OPCODES)}")
    length = len(payload)
    if length <= _LONGEST_CONTROL:
        return bytes((_FIN | opcode, length)) + payload
    if opcode >= CLOSE:
        raise ValueError(f"a control frame carries at most 125 bytes, not {length}")
    if length <= 0xFFFF:
        return bytes((_FIN | opcode, _IN_16_BITS)) + length.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, _IN_64_BITS)) + length.to_bytes(8, "big") + payload


def encode_close(code: int, reason: str = "") -> bytes:
    """Return a close frame. The reason is cut to 123 bytes, between two characters.

    Raises:
        ValueError: the code must not be sent (7.4).
    """
    if not _is_valid_code(code):
        raise ValueError(
            f"close code {code} must not be sent; 1000-1003, 1007-1014 and 3000-4999 may"
        )
    text = reason.encode("utf-8", "replace")[: _LONGEST_CONTROL - 2]
    whole = text.decode("utf-8", "ignore").encode()
    return encode_frame(CLOSE, code.to_bytes(2, "big") + whole)


def _read_all(
    data: bytes, partial: Partial | None, limits: FrameLimits, events: list[FrameEvent]
) -> Partial | None:
    at = 0
    if partial is not None and partial.frame:
        at = _complete_frame(data, partial, limits)
        frame = partial.frame
        if len(frame) < partial.needed_bytes:
            return partial
        partial.frame = bytearray()
        partial = _take_frame(frame, 0, len(frame), partial, events)
        if frame[0] & 15 == CLOSE:
            return None
    while at < len(data):
        needed = _count_needed(data, at, partial, limits)
        if needed > len(data) - at:
            partial = partial or Partial()
            partial.frame = bytearray(data[at:])
            partial.needed_bytes = needed
            return partial
        partial = _take_frame(data, at, at + needed, partial, events)
        if data[at] & 15 == CLOSE:
            return None
        at += needed
    return partial


def _complete_frame(data: bytes, partial: Partial, limits: FrameLimits) -> int:
    """Append bytes to the incomplete frame, up to its end; return how many.

    A bytearray grows in place, so a frame that arrives byte by byte costs linear time.
    """
    frame = partial.frame
    at = 0
    while True:
        missing = partial.needed_bytes - len(frame)
        frame += data[at : at + missing]
        if missing > len(data) - at:
            return len(data)
        at += missing
        needed = _count_needed(frame, 0, partial, limits)
        if needed == partial.needed_bytes:
            return at
        partial.needed_bytes = needed


def _count_needed(
    data: bytes | bytearray, at: int, partial: Partial | None, limits: FrameLimits
) -> int:
    """Return how many bytes from `at` the frame takes, as far as its first bytes tell.

    The frame is whole when so many are there; with fewer, so many are needed before
    anything more can be said. What the header breaks is raised here, before any payload.
    """
    available = len(data) - at
    if available < _LEAST_BYTES:
        return _LEAST_BYTES
    first, second = data[at], data[at + 1]
    _check_first_byte(first, partial, limits)
    if not second & _MASKED:  # 5.1: a client masks every frame
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "frame is not masked")
    length = second & 0x7F
    if first & 15 >= CLOSE:
        if length > _LONGEST_CONTROL:  # 5.5
            raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "control frame is over 125 bytes")
        return _HEAD_BYTES + length
    head = _LONG_HEAD_BYTES.get(length, _HEAD_BYTES)
    if length >= _IN_16_BITS:
        if available < head:
            return head
        length = _read_long_length(data[at + _LEAST_BYTES : at + head - _KEY_BYTES])
    so_far = 0 if partial is None else len(partial.message)
    if length > limits.max_message_bytes - so_far:
        raise _BrokenRule(
            CloseCode.MESSAGE_TOO_BIG, f"message is over {limits.max_message_bytes} bytes"
        )
    return head + length


def _check_first_byte(first: int, partial: Partial | None, limits: FrameLimits) -> None:
    opcode = first & 15
    if first & _RSV:  # 5.2: zero unless an extension gave them a meaning
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
    if opcode not in _OPCODES:  # 5.2
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, f"unknown opcode {opcode}")
    if opcode >= CLOSE:
        if not first & _FIN:  # 5.5: control frames are not fragmented
            raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "control frame is fragmented")
        return
    is_within_message = partial is not None and partial.opcode != 0
    if opcode == CONTINUATION and not is_within_message:  # 5.4
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "continuation of no message")
    if opcode != CONTINUATION and is_within_message:  # 5.4: messages are not interleaved
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "new message within a fragmented one")
    count = 1 if partial is None else partial.fragments + 1
    if count > limits.max_fragments:  # 10.4: a limit of this implementation
        raise _BrokenRule(
            CloseCode.POLICY_VIOLATION, f"message has over {limits.max_fragments} fragments"
        )


def _read_long_length(field: bytes | bytearray) -> int:
    """Return the length in 2 or 8 bytes. 5.2 requires the shortest form and no top bit."""
    length = int.from_bytes(field, "big")
    if length >> 63:
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "top bit of a 64-bit length is set")
    if length <= (_LONGEST_CONTROL if len(field) == 2 else 0xFFFF):
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "length is not in its shortest form")
    return length


def _take_frame(
    data: bytes | bytearray,
    start: int,
    end: int,
    partial: Partial | None,
    events: list[FrameEvent],
) -> Partial | None:
    """Append the event of a complete, checked frame; return the `Partial` after it."""
    first = data[start]
    opcode = first & 15
    payload = _unmask(data, start, end)
    if opcode == CLOSE:
        events.append(_read_close(payload))
    elif opcode and first & _FIN:  # a control frame always is final
        events.append(_finish_message(opcode, payload))
    else:
        partial = partial or Partial()
        if opcode:
            partial.opcode = opcode
        partial.message += payload
        partial.fragments += 1
        if first & _FIN:
            events.append(_finish_message(partial.opcode, bytes(partial.message)))
            return None
    return partial if partial is not None and partial.opcode else None


def _unmask(data: bytes | bytearray, start: int, end: int) -> bytes:
    """Return the payload of the frame at `start` (5.3).

    It computes one exclusive or of two large integers: linear, and the fastest way in plain
    Python from 1 byte to 64 KiB. Above, four translated strides would save a third.
    """
    start += _LONG_HEAD_BYTES.get(data[start + 1] & 0x7F, _HEAD_BYTES)
    length = end - start
    key = bytes(data[start - _KEY_BYTES : start])
    mask = int.from_bytes(key * (length >> 2) + key[: length & 3], "little")
    return (int.from_bytes(data[start:end], "little") ^ mask).to_bytes(length, "little")


def _finish_message(opcode: int, payload: bytes) -> Message:
    if opcode != TEXT:
        return Message(opcode, payload)
    try:
        return Message(TEXT, payload.decode())
    except UnicodeDecodeError:  # 8.1
        raise _BrokenRule(CloseCode.INVALID_DATA, "text is not UTF-8") from None


def _read_close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    if len(payload) == 1:  # 5.5.1: nothing, or a code of two bytes first
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, "close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not _is_valid_code(code):
        raise _BrokenRule(CloseCode.PROTOCOL_ERROR, f"close code {code} must not be sent")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:  # 5.5.1
        raise _BrokenRule(CloseCode.INVALID_DATA, "close reason is not UTF-8") from None


def _is_valid_code(code: int) -> bool:
    """Return whether an endpoint may send the code (7.4.1, 7.4.2)."""
    return code in _REGISTERED_CODES or code in _FREE_CODES
