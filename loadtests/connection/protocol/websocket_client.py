"""The client's end of a WebSocket to a Socket.IO server, without I/O: upgrade, frames, output."""

from __future__ import annotations

import os
from collections.abc import Callable

from gateway.contract import SOCKETIO_PATH
from loadtests.connection.protocol.handshake import Handshake, Target
from loadtests.connection.protocol.packets import EngineIOPacketType
from loadtests.connection.protocol.websocket_frames import (
    FrameReader,
    Message,
    Opcode,
    encode_close,
    encode_frame,
)

_QUERY = "?EIO=4&transport=websocket"


class WebSocketClient:
    """Upgrades, then exchanges messages. The caller sends what :meth:`bytes_to_send` returns.

    Args:
        target: the server.
        query: the end of the query, after Engine.IO's own parameters.
        headers: of the upgrade request, such as ``Origin``.
        random_bytes: source of masks and the handshake's key.
    """

    __slots__ = ("_handshake", "_out", "_random", "_reader")

    def __init__(
        self,
        target: Target,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        path = f"{SOCKETIO_PATH}{_QUERY}{query}"
        self._random = random_bytes
        self._handshake: Handshake | None = Handshake(target, path, random_bytes(16), headers)
        self._reader = FrameReader()
        self._out = [self._handshake.request()]

    @property
    def is_upgraded(self) -> bool:
        """Whether the server has accepted the upgrade."""
        return self._handshake is None

    @property
    def has_output(self) -> bool:
        """Whether :meth:`bytes_to_send` has anything to return."""
        return bool(self._out)

    def bytes_to_send(self) -> bytes:
        """Return the bytes to send now, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _feed(self, data: bytes) -> list[Message]:
        """Take bytes from the server and return the messages they complete, in order.

        A violation of the frames' protocol is in the reader's ``failure``.

        Raises:
            ClientError: the server refused the upgrade or answered it wrongly.
        """
        if self._handshake is not None:
            if not self._handshake.feed(data):
                return []
            data, self._handshake = self._handshake.rest, None
        return self._reader.feed(data)

    def _send_packet(self, text: str) -> None:
        """Send a Socket.IO packet in a message of Engine.IO."""
        self._send_text(EngineIOPacketType.MESSAGE + text)

    def _send_text(self, text: str) -> None:
        self._send_frame(Opcode.TEXT, text.encode())

    def _send_frame(self, opcode: Opcode, payload: bytes) -> None:
        self._out.append(encode_frame(opcode, payload, self._random(4)))

    def _send_close(self, code: int, reason: str) -> None:
        self._out.append(encode_close(code, reason, self._random(4)))
