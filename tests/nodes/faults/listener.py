"""``Listener``: a client that returns to another node when its connection ends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp

from tests.nodes.faults.ledger import Account

PATH: Final = "/socket.io/?EIO=4&transport=websocket"
SECRET: Final = "private-"
"""Begins each text that only its owner may see; the user's name and ``;`` follow."""
_CONNECT_S: Final = 10.0
_PAUSE_S: Final = 0.1


class Listener:
    """A client with a symbol, the public orders, and the private events of its user.

    Args:
        user: its user.
        symbol: its symbol.
        urls: returns the addresses where it may connect, its own node first.
        token: its token.
        session: makes the connections.

    Attributes:
        account: what it got.
        is_connected: whether it has subscribed on the connection that it has.
        connects: how often it has connected.
    """

    def __init__(
        self,
        user: str,
        symbol: str,
        urls: Callable[[], Sequence[str]],
        token: str,
        session: aiohttp.ClientSession,
    ) -> None:
        self.account = Account(user)
        self.symbol = symbol
        self.streams = (f"price:{symbol}", "trading", f"user:{user}")
        self.is_connected = False
        self.connects = 0
        self._urls = urls
        self._token = token
        self._session = session

    async def run(self) -> None:
        """Connect, listen, and connect again, until cancelled."""
        for turn in itertools.count():
            urls = self._urls()
            try:
                await self._live(urls[turn % len(urls)])
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # it returns elsewhere
            finally:
                self.is_connected = False
            await asyncio.sleep(_PAUSE_S)

    async def _live(self, url: str) -> None:
        async with asyncio.timeout(_CONNECT_S):
            socket = await self._session.ws_connect(f"{url}{PATH}", max_msg_size=0)
        async with socket:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                answer = self._take(message.data)
                if answer == "":
                    return
                if answer is not None:
                    await socket.send_str(answer)

    def _take(self, packet: str) -> str | None:
        """Take a packet, and return what to send, "" to leave, ``None`` for nothing."""
        if packet.startswith("42"):
            return self._event(packet)
        match packet[:2]:
            case "2":
                return "3"
            case "43":
                number, _, body = packet[2:].partition("[")
                self.account.subscribed(json.loads("[" + body)[0]["at"])
                if number == "1":
                    return f"422{json.dumps(['subscribe', {'channel': 'trading'}])}"
                self.is_connected = True
                return None
            case "44":
                raise AssertionError(f"refused: {packet}")
            case "1" | "41":
                return ""
        return f"40{json.dumps(self._auth())}" if packet.startswith("0") else None

    def _auth(self) -> dict[str, Any]:
        account, auth = self.account, {"token": self._token}
        if not account.epoch:
            return auth
        last = account.positions[f"user:{account.user}"]
        return auth | {"lastUserSeq": last, "epoch": account.epoch}

    def _event(self, packet: str) -> str | None:
        name, *arguments = json.loads(packet[2:])
        data: Any = arguments[0] if arguments else None
        account = self.account
        if SECRET in packet and f"{SECRET}{account.user};" not in packet:
            account.leak()
        if name == "connected":
            account.connected(data)
            self.connects += 1
            market = {"channel": "market-data", "symbols": [self.symbol]}
            return f"421{json.dumps(['subscribe', market])}"
        if name == "resync":
            account.resync(data)
        elif name == "price:update" and not data.get("snapshot"):
            account.event(self.streams[0], data["seq"], data["price"], data["prevSeq"])
        elif name == "order:filled":
            n = data["order"]["quantity"]
            if not data.get("replayed"):  # a replay is of the user's stream alone
                account.event("trading", data["seq"], n)
            if "userSeq" in data:
                account.event(self.streams[2], data["userSeq"], n)
        elif name == "note":
            account.event(self.streams[2], data["userSeq"], data["n"])
        return None
