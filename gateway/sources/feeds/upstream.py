"""``UpstreamFeed``: the symbols of an exchange, each subscribed once and kept alive."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ccxt.base.errors import BadSymbol, BaseError

from gateway.server.clock import Clock
from gateway.server.log import get_logger
from gateway.sources.feeds.exchanges import BOOK, TICKER, MarketExchange
from gateway.sources.feeds.failures import log_failure
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker
from gateway.sources.market.feed import Deliver, MarkStale

_DEPTH: Final = 10
_FIRST_S: Final = 15.0
"""A subscription that brings nothing for so long has failed."""
_LEAST_WAIT_S: Final = 0.5
_MOST_WAIT_S: Final = 30.0
_RECORDS: Final[Mapping[str, tuple[type[MarketRecord], ...]]] = {
    TICKER: (LastPrice, Ticker),
    BOOK: (Book,),
}

log = get_logger(__name__)


class _CrossedBookError(ValueError):
    """A book whose best bid is not below its best ask: an update was lost."""


class UpstreamFeed:
    """Watches ticker and book of each taken symbol, and subscribes again whenever one is lost.

    What is lost is marked stale at once. The wait before the next attempt doubles from half a
    second to half a minute, with jitter.

    Args:
        exchange: the exchange.
        symbols: the symbols that may be taken.
        clock: the time of records for which the exchange gives none.
        least_wait_s: the wait after the first loss.
    """

    def __init__(
        self,
        exchange: MarketExchange,
        symbols: Sequence[str],
        clock: Clock,
        *,
        least_wait_s: float = _LEAST_WAIT_S,
    ) -> None:
        self.symbols = tuple(symbols)
        self._exchange = exchange
        self._clock = clock
        self._least_wait_s = least_wait_s
        self._wanted: set[str] = set()
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._watches: dict[str, list[asyncio.Task[None]]] = {}
        self._deliver: Deliver | None = None
        self._mark_stale: MarkStale | None = None

    async def start(self, deliver: Deliver, mark_stale: MarkStale) -> None:
        """Begin. The exchange is not asked before a symbol is taken."""
        self._deliver, self._mark_stale = deliver, mark_stale

    def take(self, symbol: str) -> None:
        """Subscribe to a symbol, once its last subscription has ended."""
        self._wanted.add(symbol)
        if symbol not in self._keepers:
            keeper = asyncio.create_task(self._keep(symbol), name=f"market feed of {symbol}")
            keeper.add_done_callback(log_failure)
            self._keepers[symbol] = keeper

    def release(self, symbol: str) -> None:
        """End the subscription of a symbol."""
        self._wanted.discard(symbol)
        for watch in self._watches.get(symbol, ()):
            watch.cancel()

    async def stop(self) -> None:
        """End every subscription by closing the connections."""
        self._wanted.clear()
        keepers = list(self._keepers.values())
        for task in (*keepers, *(watch for some in self._watches.values() for watch in some)):
            task.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await self._exchange.close()

    async def _keep(self, symbol: str) -> None:
        """Watch a symbol while it is wanted. One task does it, so an end precedes a beginning."""
        try:
            while symbol in self._wanted:
                watches = [
                    asyncio.create_task(self._watch(symbol, what), name=f"{what} of {symbol}")
                    for what in _RECORDS
                ]
                self._watches[symbol] = watches
                for watch in watches:
                    watch.add_done_callback(log_failure)
                await asyncio.wait(watches)
                for what in _RECORDS:
                    await self._unwatch(symbol, what)
        finally:
            self._watches.pop(symbol, None)
            del self._keepers[symbol]

    async def _watch(self, symbol: str, what: str) -> None:
        """Deliver the records of one subscription until it is cancelled."""
        next_of = self._exchange.watch_ticker if what == TICKER else self._exchange.watch_order_book
        wait_s, is_live = self._least_wait_s, False
        while True:
            try:
                async with asyncio.timeout(None if is_live else _FIRST_S):
                    found = await next_of(symbol)
                records = self._records(symbol, what, found)
            except BadSymbol:
                log.error("the exchange has no such symbol", symbol=symbol)
                await asyncio.Event().wait()
            except (BaseError, TimeoutError, _CrossedBookError) as error:
                is_live = False
                self._lose(symbol, what, error)
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                wait_s = min(2 * wait_s, _MOST_WAIT_S)
                await self._unwatch(symbol, what)
            else:
                wait_s, is_live = self._least_wait_s, True
                if self._deliver is not None:
                    self._deliver(records)

    def _lose(self, symbol: str, what: str, error: Exception) -> None:
        log.warning("market feed lost", symbol=symbol, what=what, reason=type(error).__name__)
        if self._mark_stale is not None:
            self._mark_stale(symbol, _RECORDS[what])

    async def _unwatch(self, symbol: str, what: str) -> None:
        try:
            await self._exchange.unwatch(symbol, what)
        except BaseError as error:  # the connection is lost, and its subscriptions with it
            log.info("market feed left without an answer", symbol=symbol, what=what, error=error)

    def _records(self, symbol: str, what: str, found: Mapping[str, Any]) -> list[MarketRecord]:
        time_ms = found.get("timestamp") or round(self._clock.unix_s() * 1_000)
        if what == BOOK:
            return [_book(symbol, found, time_ms)]
        price = _number(found.get("last"))
        if price is None:
            return []  # nothing has been traded
        ticker = Ticker(
            symbol=symbol,
            price=price,
            bid=_number(found.get("bid")),
            ask=_number(found.get("ask")),
            volume=_number(found.get("baseVolume")),
            change=_number(found.get("percentage")),
            high=_number(found.get("high")),
            low=_number(found.get("low")),
            time_ms=time_ms,
        )
        return [LastPrice(symbol=symbol, price=price, time_ms=time_ms), ticker]


def _book(symbol: str, found: Mapping[str, Any], time_ms: int) -> Book:
    bids, asks = _levels(found["bids"]), _levels(found["asks"])
    if bids and asks and bids[0].price >= asks[0].price:
        raise _CrossedBookError(f"bid {bids[0].price} is not below ask {asks[0].price}")
    return Book(symbol=symbol, bids=bids, asks=asks, time_ms=time_ms)


def _levels(side: Sequence[Sequence[Any]]) -> tuple[Level, ...]:
    return tuple(Level(float(level[0]), float(level[1])) for level in side[:_DEPTH])


def _number(value: Any) -> float | None:
    """Return a finite number, ``None`` for anything else."""
    number = None if value is None else float(value)
    return number if number is not None and math.isfinite(number) else None
