"""Cut a connection's bytes into an HTTP head and WebSocket frames, to drop whole frames. Pure.

ValueError
└── NoWebSocket      the bytes cannot be cut into a head and frames
"""

from __future__ import annotations

import random
from typing import Final

from loadtests.faults.toxics import Drop

MAX_HELD_BYTES: Final = 16 * 1_048_576
_HEAD_END: Final = b"\r\n\r\n"
_WHOLE_TEXT: Final = 0x81  # RFC 6455 §5.2: FIN, no extension, text
_MASKED: Final = 0x80
_LENGTH_16: Final = 126


class NoWebSocket(ValueError):  # noqa: N818 - what the bytes are
    """The bytes are no head or frame, or one is longer than ``MAX_HELD_BYTES``."""


def asks_for_websocket(head: bytes) -> bool:
    """Return whether a request's head asks for a WebSocket (RFC 6455 §4.1)."""
    lines = head.lower().split(b"\r\n")
    return any(line.startswith(b"upgrade:") and b"websocket" in line for line in lines)


class HeadReader:
    """Collects an HTTP head."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return the head once it is complete, without the bytes after it.

        Raises:
            NoWebSocket: the head is longer than ``MAX_HELD_BYTES``.
        """
        self._held += data
        head, end, _ = self._held.partition(_HEAD_END)
        if end:
            return head
        if len(self._held) > MAX_HELD_BYTES:
            raise NoWebSocket(f"no HTTP head ends within {MAX_HELD_BYTES} B")
        return None


class Cutter:
    """Cuts a server's bytes into the head of its answer and whole frames, unchanged."""

    __slots__ = ("_held", "_in_head")

    def __init__(self) -> None:
        self._held = b""
        self._in_head = True

    def feed(self, data: bytes) -> list[bytes]:
        """Return the head and frames that are complete now, in order.

        Raises:
            NoWebSocket: a frame is longer than ``MAX_HELD_BYTES``.
        """
        self._held += data
        whole = []
        while size := self._next_size():
            whole.append(self._held[:size])
            self._held = self._held[size:]
        if len(self._held) > MAX_HELD_BYTES:
            raise NoWebSocket(f"a frame of more than {MAX_HELD_BYTES} B")
        return whole

    def rest(self) -> bytes:
        """Return the incomplete bytes at the end of the connection."""
        held, self._held = self._held, b""
        return held

    def _next_size(self) -> int:
        """Return the size of the first head or frame; 0 while it is incomplete."""
        held = self._held
        if self._in_head:
            end = held.find(_HEAD_END)
            if end < 0:
                return 0
            self._in_head = False
            return end + len(_HEAD_END)
        if len(held) < 2:
            return 0
        start, length = 2, held[1] & ~_MASKED
        if length >= _LENGTH_16:
            start += 2 if length == _LENGTH_16 else 8
            if len(held) < start:
                return 0
            length = int.from_bytes(held[2:start], "big")
        size = start + (4 if held[1] & _MASKED else 0) + length
        return size if len(held) >= size else 0


def text_of(frame: bytes) -> bytes | None:
    """Return the text of an unfragmented, unmasked text frame; None for any other frame."""
    if len(frame) < 2 or frame[0] != _WHOLE_TEXT or frame[1] & _MASKED:
        return None
    if frame[1] < _LENGTH_16:
        return frame[2:]
    return frame[4 if frame[1] == _LENGTH_16 else 10 :]


class DropCount:
    """Counts one ``Drop`` over all connections.

    Attributes:
        seen: messages that carried one of its events.
        dropped: how many of them were removed.
    """

    def __init__(self, drop: Drop) -> None:
        self.seen = 0
        self.dropped = 0
        self._starts = tuple(b'42["%s"' % name.encode() for name in drop.events)
        draw = random.Random(drop.seed)  # noqa: S311 - a rule that can be repeated
        self._chosen = frozenset(draw.sample(range(drop.of), drop.count))

    def takes(self, frame: bytes) -> bool:
        """Count a frame of the server; return whether to drop it."""
        text = text_of(frame)
        if text is None or not text.startswith(self._starts) or b'"snapshot":true' in text:
            return False
        is_chosen = self.seen in self._chosen
        self.seen += 1
        self.dropped += is_chosen
        return is_chosen
