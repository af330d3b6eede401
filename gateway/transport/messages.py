"""Messages between processes of one machine, each on a connection of its own.

A message is its length, 4 bytes; its kind, 1 byte; and its data. A descriptor may come with the
first bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

_LENGTH_BYTES: Final = 4
_HEAD_BYTES: Final = _LENGTH_BYTES + 1
_CHUNK_BYTES: Final = 65_536
_MOST_DESCRIPTORS: Final = 1
_MESSAGE_S: Final = 5.0  # for a whole message; the sender is a process of this machine

Arrived = Callable[[socket.socket, bytes, bytes, socket.socket | None], None]
"""Takes the connection, the kind, the data and the passed socket of a whole message."""


def encode_message(kind: bytes, data: bytes) -> bytes:
    """Return the bytes of a message.

    Args:
        kind: one byte.
        data: what the message says.
    """
    return len(data).to_bytes(_LENGTH_BYTES) + kind + data


class IncomingMessage:
    """A message that is being received.

    Args:
        connection: its connection. A whole message leaves it open.
        arrived: called with a whole message.
        ended: called once, when the message has arrived or never will.
    """

    def __init__(
        self,
        connection: socket.socket,
        arrived: Arrived,
        ended: Callable[[IncomingMessage], object],
    ) -> None:
        self._connection = connection
        self._arrived = arrived
        self._ended = ended
        self._received = bytearray()
        self._passed: int | None = None
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_MESSAGE_S, self.close)
        loop.add_reader(connection.fileno(), self._read)

    def close(self) -> None:
        """Give up a message that is not whole, and its connections with it."""
        self._leave()
        self._connection.close()
        if self._passed is not None:
            os.close(self._passed)

    def _leave(self) -> None:
        self._timer.cancel()
        asyncio.get_running_loop().remove_reader(self._connection.fileno())
        self._ended(self)

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._connection, _CHUNK_BYTES, _MOST_DESCRIPTORS
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if descriptors:
            self._passed = descriptors[0]
        self._received += data
        whole = self._whole_bytes()
        if len(self._received) >= whole:
            self._leave()
            kind = bytes(self._received[_LENGTH_BYTES:_HEAD_BYTES])
            self._arrived(
                self._connection, kind, bytes(self._received[_HEAD_BYTES:whole]), self._take()
            )
        elif not data:  # the sender has ended
            self.close()

    def _whole_bytes(self) -> int:
        """Return the bytes of the whole message, as far as they are known."""
        if len(self._received) < _HEAD_BYTES:
            return _HEAD_BYTES
        return _HEAD_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES])

    def _take(self) -> socket.socket | None:
        """Return the passed socket, ``None`` if none came or its client has disconnected."""
        if self._passed is None:
            return None
        descriptor, self._passed = self._passed, None
        try:
            return socket.socket(fileno=descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            return None
