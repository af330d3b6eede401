"""A well-behaved peer of a server in this process: Engine.IO through aiohttp's client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Self

import aiohttp
from deadlines import DEADLINE_S, PROMPT_S
from serving import Address

_PACKETS = frozenset({aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY})


class Reply(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    text: str


class HttpPeer:
    """Engine.IO over aiohttp's client: polling requests and WebSockets."""

    def __init__(self, session: aiohttp.ClientSession, address: Address) -> None:
        self.address = address
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, address: Address) -> AsyncIterator[Self]:
        """Yield a peer of a server; its connections are closed at the end."""
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(session, address)

    async def request(self, method: str, query: str, body: str | bytes | None = None) -> Reply:
        """Send one request with that query string and read its answer."""
        url = f"{self.address.url}?{query}"
        async with self._session.request(method, url, data=body) as answer:
            return Reply(answer.status, await answer.text())

    async def open_polling(self) -> str:
        """Open a session over polling and return its sid."""
        opened = await self.request("GET", "EIO=4&transport=polling")
        assert opened.text.startswith("0{"), opened
        sid: str = json.loads(opened.text[1:])["sid"]
        return sid

    async def poll(self, sid: str, more: str = "") -> Reply:
        """Poll: return the reply with the packets queued for that session."""
        return await self.request("GET", f"EIO=4&transport=polling&sid={sid}{more}")

    async def push(self, sid: str, body: str | bytes) -> Reply:
        """Send packets to that session."""
        return await self.request("POST", f"EIO=4&transport=polling&sid={sid}", body)

    @contextlib.asynccontextmanager
    async def websocket(self, sid: str = "") -> AsyncIterator[WebSocket]:
        """Open a WebSocket: a session of its own, or the upgrade of ``sid``."""
        query = "EIO=4&transport=websocket" + (f"&sid={sid}" if sid else "")
        async with self._session.ws_connect(
            f"{self.address.url}?{query}", autoping=False, max_msg_size=0
        ) as opened:
            yield WebSocket(opened)

    async def refuses_websocket(self, query: str, timeout_s: float = PROMPT_S) -> bool:
        """Return whether a WebSocket is refused: with 400, or closed before a packet arrives."""
        try:
            async with self._session.ws_connect(f"{self.address.url}?{query}") as opened:
                async with asyncio.timeout(timeout_s):
                    return (await opened.receive()).type not in _PACKETS
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status == 400


class WebSocket:
    """Packets of one WebSocket of aiohttp's client."""

    def __init__(self, opened: aiohttp.ClientWebSocketResponse) -> None:
        self._opened = opened

    async def send(self, packet: str | bytes) -> None:
        """Send one packet: text, or bytes in a binary frame."""
        if isinstance(packet, bytes):
            await self._opened.send_bytes(packet)
        else:
            await self._opened.send_str(packet)

    async def receive(self, timeout_s: float = DEADLINE_S) -> str | bytes:
        """Return the next packet."""
        async with asyncio.timeout(timeout_s):
            message = await self._opened.receive()
        assert message.type in _PACKETS, message
        data: str | bytes = message.data
        return data

    async def handshake(self) -> dict[str, Any]:
        """Read the packet that opens the session and return its content."""
        opened = await self.receive()
        assert isinstance(opened, str)
        assert opened.startswith("0{"), opened
        content: dict[str, Any] = json.loads(opened[1:])
        return content

    async def receive_until_closed(self, timeout_s: float) -> list[str | bytes]:
        """Return the packets until the server closes, which it must within the timeout."""
        packets = []
        async with asyncio.timeout(timeout_s):
            while (message := await self._opened.receive()).type in _PACKETS:
                packets.append(message.data)
        assert message.type in {
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSING,
            aiohttp.WSMsgType.CLOSED,
        }, message
        return packets

    async def is_closed_or_told(self, packet: str, timeout_s: float) -> bool:
        """Return whether the next message is that packet or the server's close."""
        async with asyncio.timeout(timeout_s):
            message = await self._opened.receive()
        return message.data == packet or message.type not in _PACKETS
