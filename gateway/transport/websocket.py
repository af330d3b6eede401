"""``WebSocket``: an asyncio protocol that reads and writes frames, whatever they mean.

It keeps state only for a frame that is not complete, and knows whether the kernel takes more.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.transport import frames

_MOST_CONTROL_BYTES: Final = 4_096  # answers that may wait in the transport of who does not read
_MOST_BYTES_A_TURN: Final = 16_384  # of a client's, between two turns of the loop


class WebSocket(asyncio.Protocol):
    """The server's end of a WebSocket whose handshake is done.

    Attributes:
        transport: its socket's, ``None`` before and after.
        is_clear: a frame may be written at once; a subclass says what must not wait for that.
    """

    __slots__ = (
        "_is_blocked",
        "_is_reading_paused",
        "_partial",
        "_unread",
        "is_clear",
        "transport",
    )

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_clear = False
        self._partial: frames.Partial | None = None
        self._unread: bytes | None = None
        self._is_blocked = False
        self._is_reading_paused = False

    @property
    def frame_limits(self) -> frames.FrameLimits:
        """What a client's messages may be."""
        raise NotImplementedError

    def received_text(self, text: str) -> None:
        """Take one text message."""
        raise NotImplementedError

    def received_bytes(self, data: bytes) -> None:
        """Take one binary message."""
        raise NotImplementedError

    def ended(self, message: frames.Close | frames.Violation) -> None:
        """Take the peer's close, or what it did wrong; no message follows."""
        raise NotImplementedError

    def flow(self) -> None:
        """Write what waits, as far as the kernel takes it."""
        raise NotImplementedError

    def adopt(self, transport: asyncio.Transport) -> None:
        """Become a socket's protocol."""
        # Not 0: a TLS transport takes that as always full.
        transport.set_write_buffer_limits(high=1, low=0)
        transport.set_protocol(self)
        self.transport = transport
        self._is_blocked = False
        self._is_reading_paused = False

    def write(self, frame: bytes) -> None:
        """Hand a frame to the socket, whatever waits."""
        transport = self.transport
        if transport is None:
            return
        try:
            transport.write(frame)
        except RuntimeError:  # uvloop's, between a reset and its connection_lost
            self.is_clear = False

    def data_received(self, data: bytes) -> None:
        """Read frames; the asyncio protocol's. Much at once is read in turns of the loop."""
        if self._unread is not None:
            self._unread += data
        elif len(data) <= _MOST_BYTES_A_TURN:
            self._read(data)
        else:
            self._unread = data
            self.pause_reading()
            self._read_on()

    def _read_on(self) -> None:
        data = self._unread
        if data is None or self.transport is None or self.transport.is_closing():
            self._unread = None
            return
        self._unread = data[_MOST_BYTES_A_TURN:]
        self._read(data[:_MOST_BYTES_A_TURN])
        if self._unread:
            asyncio.get_running_loop().call_soon(self._read_on)
            return
        self._unread = None
        if self.may_read:
            self.resume_reading()

    def _read(self, data: bytes) -> None:
        limits = self.frame_limits
        if self._partial is None:
            text = frames.read_text(data, limits)
            if text is not None:
                self.received_text(text)
                return
        messages, self._partial = frames.read_frames(data, self._partial, limits)
        for message in messages:
            if type(message) is not frames.Message:
                self.ended(message)  # type: ignore[arg-type]  # one of the other two
                return
            opcode, content = message
            if opcode == frames.TEXT:
                self.received_text(content)  # type: ignore[arg-type]  # a text's is str
            elif opcode == frames.BINARY:
                self.received_bytes(content)  # type: ignore[arg-type]  # all others' are bytes
            elif opcode == frames.PING:
                self.control(frames.encode_frame(frames.PONG, content))  # type: ignore[arg-type]

    def control(self, frame: bytes) -> bool:
        """Write an answer of the protocol's ahead of what waits.

        Returns:
            Whether it was written; where many wait already it is not.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        if self._is_blocked and transport.get_write_buffer_size() >= _MOST_CONTROL_BYTES:
            return False
        self.write(frame)
        return True

    def pause_writing(self) -> None:
        """The kernel takes no more; the asyncio protocol's."""
        self._is_blocked = True
        self.is_clear = False

    def resume_writing(self) -> None:
        """The kernel takes more; the asyncio protocol's."""
        self._is_blocked = False
        self.flow()

    def eof_received(self) -> bool:
        """The client sends no more; the asyncio protocol's: close."""
        return False

    @property
    def may_read(self) -> bool:
        """Whether nothing else than its own length has stopped the reading."""
        return True

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        transport = self.transport
        if transport is not None and not transport.is_closing() and not self._is_reading_paused:
            self._is_reading_paused = True
            transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more from the client, where that was stopped."""
        # What was read and not looked at comes first: newer bytes must not overtake it.
        if self._is_reading_paused and self._unread is None:
            self._is_reading_paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()
