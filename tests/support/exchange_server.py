"""Local servers that speak the public WebSocket protocols of Kraken and of Binance.

They have the shapes that the exchanges document, and count what is subscribed on each connection.
Books are held as the texts that go on the wire, so the checksum does not depend on the product's.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import WSMsgType, web
from deadlines import poll_until

Side = dict[str, str]
"""Sizes by prices, both as texts of the exchange's precision."""


class ExchangeServer:
    """An exchange with one market, whose connections a test may cut.

    Attributes:
        bids, asks: the book.
        requests: every message of every client, in order.
        is_refusing: whether new WebSockets are refused with 503.
        is_silent: whether subscriptions are accepted and nothing is sent.
    """

    def __init__(self) -> None:
        self.bids: Side = {}
        self.asks: Side = {}
        self.requests: list[dict[str, Any]] = []
        self.is_refusing = False
        self.is_silent = False
        self.connections = 0
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def subscriptions(self) -> list[str]:
        """Every subscription of every open connection."""
        return sorted(one for some in self._sockets.values() for one in some)

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    async def handle(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        raise NotImplementedError

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """Send what the exchange sends first."""

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def drop(self) -> None:
        """Cut every connection without a closing handshake."""
        for socket in list(self._sockets):
            request_transport = socket._req.transport if socket._req else None
            if request_transport is not None:
                request_transport.abort()
        await poll_until(lambda: not self._sockets, "the end of every connection")

    async def close(self) -> None:
        """Close every connection with a closing handshake."""
        for socket in list(self._sockets):
            await socket.close(code=1001)
        await poll_until(lambda: not self._sockets, "the end of every connection")

    async def connect(self, request: web.Request) -> web.StreamResponse:
        if self.is_refusing:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self._sockets[socket] = set()
        try:
            await self.greet(socket)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    told = json.loads(message.data)
                    self.requests.append(told)
                    await self.handle(socket, told)
        finally:
            del self._sockets[socket]
        return socket

    def subscribe(self, socket: web.WebSocketResponse, name: str) -> None:
        self._sockets[socket].add(name)

    def unsubscribe(self, socket: web.WebSocketResponse, name: str) -> None:
        self._sockets[socket].discard(name)

    def is_subscribed(self, socket: web.WebSocketResponse, name: str) -> bool:
        return name in self._sockets[socket]

    async def tell(self, name: str, text: str) -> None:
        """Send a text to every connection that has a subscription."""
        for socket, names in list(self._sockets.items()):
            if name in names:
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(text)

    def apply(self, bids: Mapping[str, str], asks: Mapping[str, str], *, depth: int) -> None:
        """Apply changes to the book; a size of zero removes its price."""
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes.items():
                if Decimal(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        for side, is_descending in ((self.bids, True), (self.asks, False)):
            for price in sorted(side, key=Decimal, reverse=is_descending)[depth:]:
                del side[price]


class KrakenServer(ExchangeServer):
    """Kraken: WebSocket v2 with ``ticker``, ``book`` of depth 10 and checksums."""

    SYMBOL = "BTC/USD"

    def __init__(self) -> None:
        super().__init__()
        self.bids = {f"{45_283 - n}.5": f"0.{n + 10}000000" for n in range(10)}
        self.asks = {f"{45_284 + n}.5": f"1.{n}0100000" for n in range(10)}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/0/public/Assets", self._assets),
            web.get("/0/public/AssetPairs", self._pairs),
            web.get("/v2", self.connect),
        ]

    async def _assets(self, _request: web.Request) -> web.Response:
        asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        result = {"XXBT": {**asset, "altname": "XBT"}, "ZUSD": {**asset, "altname": "USD"}}
        return web.json_response({"error": [], "result": result})

    async def _pairs(self, _request: web.Request) -> web.Response:
        pair = {
            "altname": "XBTUSD",
            "wsname": "XBT/USD",
            "aclass_base": "currency",
            "base": "XXBT",
            "aclass_quote": "currency",
            "quote": "ZUSD",
            "pair_decimals": 1,
            "cost_decimals": 5,
            "lot_decimals": 8,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "ordermin": "0.0001",
            "costmin": "0.5",
            "tick_size": "0.1",
            "status": "online",
        }
        return web.json_response({"error": [], "result": {"XXBTZUSD": pair}})

    async def greet(self, socket: web.WebSocketResponse) -> None:
        status = {"api_version": "v2", "connection_id": 1, "system": "online", "version": "2.0.0"}
        await socket.send_json({"channel": "status", "type": "update", "data": [status]})

    async def handle(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        method = request["method"]
        if method == "ping":
            await socket.send_json({"method": "pong", "req_id": request.get("req_id")})
            return
        channel = request["params"]["channel"]
        reply = {"method": method, "req_id": request.get("req_id"), "success": True}
        if method == "unsubscribe":
            self.unsubscribe(socket, channel)
            await socket.send_json(reply)
            return
        if self.is_subscribed(socket, channel):
            reply |= {"success": False, "error": "Already subscribed", "symbol": self.SYMBOL}
            await socket.send_json(reply)
            return
        self.subscribe(socket, channel)
        await socket.send_json({**reply, "result": {"channel": channel, "symbol": self.SYMBOL}})
        if not self.is_silent:
            told = self.book_text("snapshot") if channel == "book" else self.ticker_text("45284.1")
            await socket.send_str(told)

    def checksum(self) -> int:
        """Return the checksum of the book, from the texts of its levels."""
        asks = sorted(self.asks.items(), key=lambda level: Decimal(level[0]))
        bids = sorted(self.bids.items(), key=lambda level: Decimal(level[0]), reverse=True)
        parts = [part for level in (*asks[:10], *bids[:10]) for part in level]
        text = "".join(part.replace(".", "").lstrip("0") for part in parts)
        return zlib.crc32(text.encode())

    def book_text(
        self,
        kind: str,
        bids: Mapping[str, str] | None = None,
        asks: Mapping[str, str] | None = None,
        checksum: int | None = None,
    ) -> str:
        """Return a message of the book: numbers with every decimal, as Kraken writes them."""
        sides = ", ".join(
            f'"{name}": [{", ".join(_kraken_levels(side))}]'
            for name, side in (
                ("bids", self.bids if bids is None else bids),
                ("asks", self.asks if asks is None else asks),
            )
        )
        check = self.checksum() if checksum is None else checksum
        stamp = '"timestamp": "2026-01-02T03:04:05.123456Z"'
        data = f'{{"symbol": "{self.SYMBOL}", {sides}, "checksum": {check}, {stamp}}}'
        return f'{{"channel": "book", "type": "{kind}", "data": [{data}]}}'

    def ticker_text(self, last: str) -> str:
        """Return a message of the ticker."""
        return (
            f'{{"channel": "ticker", "type": "update", "data": [{{"symbol": "{self.SYMBOL}", '
            f'"bid": 45283.5, "bid_qty": 0.1, "ask": 45284.5, "ask_qty": 1.0, "last": {last}, '
            '"volume": 2158.32346723, "vwap": 45100.5, "low": 44000.0, "high": 46000.0, '
            '"change": -200.0, "change_pct": -0.44}]}'
        )

    async def move(
        self,
        bids: Mapping[str, str],
        asks: Mapping[str, str] | None = None,
        *,
        checksum: int | None = None,
        is_lost: bool = False,
    ) -> None:
        """Change the book and tell it.

        Args:
            bids: changed bids; a size of zero removes a price.
            asks: changed asks.
            checksum: sent in place of the right one.
            is_lost: whether the update does not arrive.
        """
        self.apply(bids, asks or {}, depth=10)
        if not is_lost:
            await self.tell("book", self.book_text("update", bids, asks or {}, checksum))

    async def trade(self, last: str) -> None:
        """Tell a ticker."""
        await self.tell("ticker", self.ticker_text(last))


def _kraken_levels(side: Mapping[str, str]) -> list[str]:
    return [f'{{"price": {price}, "qty": {size}}}' for price, size in side.items()]


class BinanceServer(ExchangeServer):
    """Binance's spot market: ``@ticker`` and ``@depth@100ms`` streams, snapshots by REST."""

    SYMBOL = "BTC/USDT"

    def __init__(self) -> None:
        super().__init__()
        self.bids = {f"{45_283 - n}.50000000": f"0.{n + 10}000000" for n in range(12)}
        self.asks = {f"{45_284 + n}.50000000": f"1.{n}0000000" for n in range(12)}
        self.last_update = 1_000

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v3/exchangeInfo", self._info),
            web.get("/api/v3/depth", self._depth),
            web.get("/ws/{stream}", self.connect),
        ]

    async def _info(self, _request: web.Request) -> web.Response:
        symbol = {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00",
                 "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0",
                 "stepSize": "0.00001000"},
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }  # fmt: skip
        return web.json_response({"timezone": "UTC", "serverTime": 1, "symbols": [symbol]})

    async def _depth(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "lastUpdateId": self.last_update,
                "bids": [list(level) for level in self.bids.items()],
                "asks": [list(level) for level in self.asks.items()],
            }
        )

    async def handle(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        for name in request["params"]:
            if request["method"] == "SUBSCRIBE":
                self.subscribe(socket, name)
            else:
                self.unsubscribe(socket, name)
        await socket.send_json({"result": None, "id": request["id"]})
        if request["method"] == "SUBSCRIBE" and not self.is_silent:
            for name in request["params"]:
                if name.endswith("@ticker"):
                    await socket.send_str(self.ticker_text("45284.10000000"))

    def ticker_text(self, last: str) -> str:
        """Return an event of the ticker."""
        return json.dumps(
            {
                "e": "24hrTicker", "E": 1_767_323_045_123, "s": "BTCUSDT", "p": "-200.0",
                "P": "-0.44", "w": "45100.5", "x": "45484.1", "c": last, "Q": "0.1",
                "b": "45283.50000000", "B": "0.1", "a": "45284.50000000", "A": "1.0",
                "o": "45484.1", "h": "46000.0", "l": "44000.0", "v": "2158.3", "q": "97339000.0",
                "O": 1_767_236_645_123, "C": 1_767_323_045_123, "F": 1, "L": 100, "n": 100,
            }
        )  # fmt: skip

    async def move(self, bids: Mapping[str, str], *, is_lost: bool = False) -> None:
        """Change bids and tell it; a size of zero removes a price.

        Args:
            bids: changed bids.
            is_lost: whether the update does not arrive.
        """
        self.apply(bids, {}, depth=1_000)
        self.last_update += 1
        update = {
            "e": "depthUpdate", "E": 1_767_323_045_456, "s": "BTCUSDT", "U": self.last_update,
            "u": self.last_update, "b": [list(level) for level in bids.items()], "a": [],
        }  # fmt: skip
        if not is_lost:
            await self.tell("btcusdt@depth@100ms", json.dumps(update))

    async def trade(self, last: str) -> None:
        """Tell a ticker."""
        await self.tell("btcusdt@ticker", self.ticker_text(last))


@contextlib.asynccontextmanager
async def serving(server: ExchangeServer) -> AsyncIterator[ExchangeServer]:
    """Start a server, and stop it at the end."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
