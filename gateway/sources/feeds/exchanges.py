"""Kraken and Binance by ccxt's WebSocket clients, with what those lack.

Importing this module needs the extra ``feeds``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import ccxt.pro
from ccxt.base.errors import BaseError, ChecksumError, NetworkError

from gateway.sources.market.kraken_checksum import kraken_checksum

TICKER: Final = "ticker"
BOOK: Final = "book"
_UNWATCH_S: Final = 5.0


class MarketExchange(Protocol):
    """What the upstream feed needs of an exchange. Every method raises ccxt's ``BaseError``."""

    async def watch_ticker(self, symbol: str) -> Mapping[str, Any]:
        """Return the next ticker of a symbol; the first call subscribes."""

    async def watch_order_book(self, symbol: str) -> Mapping[str, Any]:
        """Return the next state of a symbol's book; the first call subscribes."""

    async def unwatch(self, symbol: str, what: str) -> None:
        """End the subscription of a symbol's ``ticker`` or ``book``, if there is one."""

    async def close(self) -> None:
        """Close every connection."""


class _Guarded:
    """A mixin for what ccxt's clients lack.

    A message that ccxt cannot take ends the connection, not only ccxt's reader. The end of a
    connection that is noticed twice does not forget the connection that has taken its place.
    """

    def handle_message(self, client: Any, message: Any) -> None:
        """Handle a message; called by ccxt."""
        try:
            super().handle_message(client, message)  # type: ignore[misc]  # ccxt's
        except (BaseError, LookupError, TypeError, ValueError, AttributeError) as error:
            client.on_error(NetworkError(f"unusable message: {error!r}"))

    def on_close(self, client: Any, error: Any) -> None:
        """Forget a closed connection; called by ccxt."""
        if self._clients().get(client.url) is client:
            super().on_close(client, error)  # type: ignore[misc]  # ccxt's

    def _clients(self) -> dict[str, Any]:
        return self.clients or {}  # type: ignore[attr-defined]  # ccxt's

    def _client_with(self, subscription: str) -> Any:
        """Return the open connection that has a subscription, ``None`` if none has."""
        clients = self._clients().values()
        return next((one for one in clients if subscription in one.subscriptions), None)


class Kraken(_Guarded, ccxt.pro.kraken):  # type: ignore[misc]  # ccxt has no type information
    """Kraken. Every book is checked against the exchange's checksum."""

    _CHANNELS: Final = {TICKER: "ticker", BOOK: "orderbook"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(dict(config))
        self._lost: set[str] = set()

    def handle_order_book(self, client: Any, message: Any) -> None:
        """Apply a snapshot or an update, and verify the checksum; called by ccxt."""
        told = message["data"][0]
        symbol = told["symbol"]
        if message["type"] == "snapshot":
            self._lost.discard(symbol)
        elif symbol in self._lost or symbol not in self.orderbooks:
            return  # of the subscription before: the snapshot comes behind it
        subscription = self._hash(symbol, BOOK)
        waiting = client.futures.pop(subscription, None)  # nobody gets an unverified book
        super().handle_order_book(client, message)
        if waiting is not None:
            client.futures[subscription] = waiting
        if told.get("checksum") in (None, self._checksum(symbol)):
            client.resolve(self.orderbooks[symbol], subscription)
        else:
            self._lost.add(symbol)
            client.reject(ChecksumError(f"the book of {symbol} is wrong"), subscription)

    def _checksum(self, symbol: str) -> int:
        book, info = self.orderbooks[symbol], self.markets[symbol]["info"]
        return kraken_checksum(
            book["asks"],
            book["bids"],
            price_decimals=int(info["pair_decimals"]),
            size_decimals=int(info["lot_decimals"]),
        )

    def _hash(self, symbol: str, what: str) -> str:
        return str(self.get_message_hash(self._CHANNELS[what], None, symbol))

    async def unwatch(self, symbol: str, what: str) -> None:
        """End a subscription, which ccxt cannot do here."""
        subscription = self._hash(symbol, what)
        client = self._client_with(subscription)
        if client is None:
            return
        del client.subscriptions[subscription]
        client.futures.pop(subscription, None)
        client.rejections.pop(subscription, None)
        request = {"channel": what, "symbol": [symbol]}
        try:
            await client.send({"method": "unsubscribe", "params": request})
        except ConnectionError as error:
            raise NetworkError(str(error)) from None


class Binance(_Guarded, ccxt.pro.binance):  # type: ignore[misc]  # ccxt has no type information
    """Binance's spot market. ccxt checks that no update of a book is missing."""

    def is_spot_url(self, client: Any) -> bool:  # noqa: ARG002 - ccxt looks at the host's name
        """Return true: only the spot market is watched, at whichever host; called by ccxt."""
        return True

    async def unwatch(self, symbol: str, what: str) -> None:
        """End a subscription."""
        subscription = f"ticker:ticker@{symbol}" if what == TICKER else f"orderbook::{symbol}"
        client = self._client_with(subscription)
        if client is None:
            return
        client.futures.pop(subscription, None)  # nobody waits: ccxt would fail it
        if what == TICKER:
            ending = self.un_watch_ticker(symbol, {"name": "ticker"})
        else:
            ending = self.un_watch_order_book(symbol)
        try:
            await asyncio.wait_for(ending, _UNWATCH_S)
        except TimeoutError:
            raise NetworkError(f"no answer to the end of the {what} of {symbol}") from None


_EXCHANGES: Final = {"kraken": Kraken, "binance": Binance}
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "kraken": {"ws": {"cost": 0.1}},  # of a subscription: ccxt's pace, one a second, is for REST
    "binance": {"fetchMarkets": {"types": ["spot"]}},
}


def open_exchange(name: str, url: str | None, **config: Any) -> MarketExchange:
    """Return an exchange. It connects when the first symbol is watched.

    Args:
        name: ``kraken`` or ``binance``.
        url: replaces scheme, host and port of all its addresses; ``None`` for its own.
        **config: settings of ccxt's.
    """
    exchange = _EXCHANGES[name]({"options": dict(_OPTIONS[name]), **config})
    if url is not None:
        exchange.urls["api"] = _moved(exchange.urls["api"], url)
    return exchange


def _moved(urls: Any, url: str) -> Any:
    """Return addresses at another host; WebSockets stay WebSockets."""
    if isinstance(urls, Mapping):
        return {name: _moved(one, url) for name, one in urls.items()}
    new, old = urlsplit(url), urlsplit(urls)
    is_socket = old.scheme in ("ws", "wss")
    scheme = {"http": "ws", "https": "wss"}[new.scheme] if is_socket else new.scheme
    return old._replace(scheme=scheme, netloc=new.netloc).geturl()
