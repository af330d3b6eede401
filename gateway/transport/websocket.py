"""``WebSocket``: an asyncio protocol that reads and writes frames.

It keeps state only for an incomplete frame, and knows whether the kernel takes more bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from gateway.transport import frames

_MOST_CONTROL_BYTES: Final = 4_096  # control bytes queued for a peer that is not reading
_MOST_BYTES_A_TURN: Final = 16_384  # bytes of one client read in one turn of the event loop


class WebSocket(asyncio.Protocol):
    """The server's end of a WebSocket after its handshake.

    Attributes:
        transport: the transport of the socket, ``None`` without one.
        is_clear: a frame may be written at once. Subclasses set it.
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
        """Limits of a client's messages."""
        raise NotImplementedError

    def received_text(self, text: str) -> None:
        """Handle one text message."""
        raise NotImplementedError

    def received_bytes(self, data: bytes) -> None:
        """Handle one binary message."""
        raise NotImplementedError

    def ended(self, message: frames.Close | frames.Violation) -> None:
        """Handle the peer's close frame or violation. No message follows."""
        raise NotImplementedError

    def flow(self) -> None:
        """Write queued parcels while the kernel takes them."""
        raise NotImplementedError

    def adopt(self, transport: asyncio.Transport) -> None:
        """Become the protocol of a socket."""
        # A TLS transport would treat 0 as always full.
        transport.set_write_buffer_limits(high=1, low=0)
        transport.set_protocol(self)
        self.transport = transport
        self._is_blocked = False
        self._is_reading_paused = False
        if transport.get_write_buffer_size() > 1:
            # Bytes from before the handshake wait: the former protocol was told, not this one.
            self.pause_writing()

    def write(self, frame: bytes) -> None:
        """Write a frame to the socket, before any queued parcels."""
        transport = self.transport
        if transport is None:
            return
        try:
            transport.write(frame)
        except RuntimeError:  # from uvloop, between a reset and connection_lost
            self.is_clear = False

    def data_received(self, data: bytes) -> None:
        """Read frames (asyncio protocol). A large read takes several turns of the event loop."""
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
            else:
                self.received_control(opcode, content)  # type: ignore[arg-type]

    def received_control(self, opcode: int, content: bytes) -> None:
        """Answer a ping, and ignore a pong."""
        if opcode == frames.PING:
            self.control(frames.encode_frame(frames.PONG, content))

    def control(self, frame: bytes) -> bool:
        """Write a control frame before any queued parcels.

        Returns:
            Whether it was written. It is not if too many control bytes are queued already.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        if self._is_blocked and transport.get_write_buffer_size() >= _MOST_CONTROL_BYTES:
            return False
        self.write(frame)
        return True

    def pause_writing(self) -> None:
        """Note that the kernel takes no more bytes (asyncio protocol)."""
        self._is_blocked = True
        self.is_clear = False

    def resume_writing(self) -> None:
        """Note that the kernel takes bytes again (asyncio protocol)."""
        self._is_blocked = False
        self.flow()

    def eof_received(self) -> bool:
        """Close the socket: the client sends no more (asyncio protocol)."""
        return False

    @property
    def may_read(self) -> bool:
        """Whether reading may continue after a large read."""
        return True

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        transport = self.transport
        if transport is not None and not transport.is_closing() and not self._is_reading_paused:
            self._is_reading_paused = True
            transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        # Bytes already read are handled first: newer ones must not overtake them.
        if self._is_reading_paused and self._unread is None:
            self._is_reading_paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def stop_listening(self) -> None:
        """End the sending half after a breach, and discard what arrives (RFC 6455 7.1.7).

        The client sees the close frame and the end at once, however much it is still sending.
        TLS has no half to end: there, frames are read until the client's own close frame.
        """
        transport = self.transport
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            self._unread = None
            self.resume_reading()
            transport.set_protocol(_Discarding(self))
            with contextlib.suppress(RuntimeError):  # uvloop's, as in ``write``
                transport.write_eof()


class _Discarding(asyncio.Protocol):
    """The protocol of a closed WebSocket's socket, of which only the end is of interest."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.connection_lost(exc)
