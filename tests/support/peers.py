"""A peer with a socket of its own, which sends exactly the test's bytes, also invalid ones.

Frames are those of RFC 6455; packets those of Engine.IO v4 and Socket.IO v5.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

from deadlines import DEADLINE_S
from http_peers import Reply
from raw_frames import raw_frame
from serving import Address

TEXT: Final = 1
BINARY: Final = 2
PING: Final = 9
PONG: Final = 10


def mask_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one masked frame (RFC 6455, 5.2); a zero mask leaves it readable in a capture."""
    return raw_frame(opcode, mask=bytes(4), declared=len(payload)) + payload


def upgrade_head(address: Address, query: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the head of a request that asks for a WebSocket (RFC 6455, 4.1)."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        f"GET {address.path}?{query} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def push_head(address: Address, sid: str, *fields: str) -> bytes:
    """Return the head of a request that sends packets over polling, with those fields."""
    lines = [
        f"POST {address.path}?EIO=4&transport=polling&sid={sid} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        *fields,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class RawPeer:
    """A socket to the server: raw HTTP, and raw WebSocket frames once it is upgraded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def dial(
        cls,
        address: Address,
        *,
        receive_buffer: int | None = None,
        source: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Self]:
        """Connect and send nothing; the socket is aborted at the end.

        Args:
            address: the server's address.
            receive_buffer: bytes that the kernel accepts for a peer that does not read.
            source: local address to connect from.
            tls: a context that trusts the server; ``None`` for plain TCP.
        """
        plain = socket.socket()
        plain.setblocking(False)
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            plain.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(plain, (address.host, address.port))
        # The reader's own limit stays small: otherwise asyncio would read for a silent peer.
        reader, writer = await asyncio.open_connection(
            sock=plain,
            limit=receive_buffer or 65_536,
            ssl=tls,
            server_hostname=None if tls is None else address.host,
        )
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @classmethod
    @contextlib.asynccontextmanager
    async def websocket(
        cls,
        address: Address,
        query: str = "EIO=4&transport=websocket",
        *,
        headers: Mapping[str, str] | None = None,
        **dialling: Any,
    ) -> AsyncIterator[Self]:
        """Connect and upgrade; ``head`` is the server's answer."""
        async with cls.dial(address, **dialling) as peer:
            await peer.send(upgrade_head(address, query, headers))
            peer.head = await peer.read_head()
            assert peer.head.startswith("HTTP/1.1 101 "), peer.head
            yield peer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            await self.writer.drain()

    async def read_head(self) -> str:
        """Read the head of an HTTP answer."""
        async with asyncio.timeout(DEADLINE_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def read_reply(self) -> Reply:
        """Read an HTTP answer with a ``Content-Length``."""
        head = await self.read_head()
        status, *lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        async with asyncio.timeout(DEADLINE_S):
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        return Reply(int(status.split()[1]), body.decode())

    async def send_packets(self, *packets: str | bytes) -> None:
        """Send packets, one frame each, all in one write."""
        frames = (
            mask_frame(packet, BINARY)
            if isinstance(packet, bytes)
            else mask_frame(packet.encode("utf-8", "surrogatepass"))
            for packet in packets
        )
        await self.send(b"".join(frames))

    async def read_frame(self, timeout_s: float = DEADLINE_S) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        async with asyncio.timeout(timeout_s):
            first, size = await self.reader.readexactly(2)
            if size in (126, 127):
                layout = ">H" if size == 126 else ">Q"
                (size,) = struct.unpack(
                    layout, await self.reader.readexactly(struct.calcsize(layout))
                )
            return first & 0x0F, await self.reader.readexactly(size)

    async def read_packet(self, timeout_s: float = DEADLINE_S) -> str:
        """Return the next text packet."""
        opcode, payload = await self.read_frame(timeout_s)
        assert opcode == TEXT, f"not a text frame: {opcode} {payload[:100]!r}"
        return payload.decode()

    async def read_message(self, timeout_s: float = DEADLINE_S) -> str:
        """Return the next text packet that is not a ping; answer pings."""
        async with asyncio.timeout(timeout_s):
            while (packet := await self.read_packet()) == "2":
                await self.send_packets("3")
        return packet

    async def open_session(self) -> dict[str, Any]:
        """Read the packet that opens the session and return its content."""
        opened = await self.read_packet()
        assert opened.startswith("0{"), opened
        content: dict[str, Any] = json.loads(opened[1:])
        return content

    async def connect(self, packet: str = "40") -> str:
        """Open the session, join the namespace with CONNECT and return the client's sid."""
        await self.open_session()
        await self.send_packets(packet)
        answer = await self.read_message()
        assert answer.startswith("40{"), answer
        sid: str = json.loads(answer[2:])["sid"]
        return sid

    async def read_until(self, wanted: bytes, timeout_s: float) -> bytes:
        """Return the bytes up to those given, to the server's close, or to the timeout."""
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout_s):
                while wanted not in received and (chunk := await self.reader.read(65_536)):
                    received += chunk
                    if self._ends_with_close(received):
                        self.reader.feed_eof()
        return received

    async def read_until_eof(self, timeout_s: float) -> bytes:
        """Return the bytes until the connection ends, which it must within the timeout."""
        received = b""
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    received += chunk
        return received

    async def closed_within(self, timeout_s: float) -> bytes:
        """Return the data before the close, which must come within the timeout."""
        received = b""
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    received += chunk
                    if self._ends_with_close(received):
                        break
        return received

    @staticmethod
    def _ends_with_close(received: bytes) -> bool:
        # A server frame is not masked; a close frame carries at most 125 bytes (RFC 6455, 5.5).
        at = received.rfind(b"\x88")
        return at >= 0 and at + 1 < len(received) and at + 2 + received[at + 1] == len(received)
