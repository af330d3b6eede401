"""The upstream feed against local servers that speak the protocols of Kraken and Binance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from deadlines import poll_until
from exchange_server import BinanceServer, ExchangeServer, KrakenServer, serving

from gateway.server.clock import SystemClock
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker

if TYPE_CHECKING:
    from gateway.sources.feeds.upstream import UpstreamFeed

KINDS: dict[str, type[Any]] = {"kraken": KrakenServer, "binance": BinanceServer}

UNUSABLE = {
    KrakenServer: '{"channel": "book", "type": "update", "data": [7]}',
    BinanceServer: "[7]",
}


@dataclass
class Heard:
    """What a feed has delivered, and what it has marked stale."""

    server: Any
    feed: UpstreamFeed
    symbol: str
    records: list[MarketRecord] = field(default_factory=list)
    stale: list[type[MarketRecord]] = field(default_factory=list)

    def deliver(self, records: Sequence[MarketRecord]) -> None:
        self.records += records

    def mark_stale(self, symbol: str, kinds: tuple[type[MarketRecord], ...]) -> None:
        assert symbol == self.symbol
        self.stale += kinds

    def last(self, kind: type[Any]) -> Any:
        return next((one for one in reversed(self.records) if type(one) is kind), None)

    def best_bid(self) -> float | None:
        book = self.last(Book)
        return book.bids[0].price if book else None

    async def live(self) -> None:
        """Wait for a ticker and a book after those that were heard before."""
        self.records.clear()
        await poll_until(lambda: self.last(Book) and self.last(Ticker), "a ticker and a book")


@asynccontextmanager
async def hearing(name: str, server: ExchangeServer | None = None) -> AsyncIterator[Heard]:
    # Here: every worker collects this module, and the exchanges' client is a second of imports.
    from gateway.sources.feeds.exchanges import open_exchange
    from gateway.sources.feeds.upstream import UpstreamFeed

    async with serving(server or KINDS[name]()) as exchange:
        client = open_exchange(name, exchange.url, enableRateLimit=False, timeout_on_exit=0)
        symbol = KINDS[name].SYMBOL
        feed = UpstreamFeed(client, [symbol], SystemClock(), least_wait_s=0.02)
        heard = Heard(exchange, feed, symbol)
        await feed.start(heard.deliver, heard.mark_stale)
        try:
            yield heard
        finally:
            await feed.stop()


@pytest.fixture(params=KINDS)
async def heard(request: pytest.FixtureRequest) -> AsyncIterator[Heard]:
    async with hearing(request.param) as one:
        yield one


async def test_nothing_is_asked_before_a_symbol_is_taken(heard: Heard) -> None:
    assert heard.server.connections == 0


async def test_a_taken_symbol_brings_its_price_ticker_and_book(heard: Heard) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    price, ticker, book = heard.last(LastPrice), heard.last(Ticker), heard.last(Book)
    assert price.price == ticker.price == 45_284.1
    assert (ticker.bid, ticker.ask, ticker.high, ticker.low) == (45283.5, 45284.5, 46000, 44000)
    assert ticker.change == -0.44
    assert book.bids[:2] == (Level(45283.5, 0.1), Level(45282.5, 0.11))
    assert book.asks[0] == Level(45284.5, float(next(iter(heard.server.asks.values()))))
    assert len(book.bids) == len(book.asks) == 10
    assert not heard.stale


async def test_updates_change_the_book_and_a_size_of_zero_removes_a_price(heard: Heard) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    best, second = list(heard.server.bids)[:2]
    await heard.server.move({best: "0.00000000", second: "7.50000000"})
    await poll_until(lambda: heard.best_bid() == float(second), "the update")
    assert heard.last(Book).bids[0].size == 7.5
    await heard.server.trade("45000.5")
    await poll_until(lambda: heard.last(LastPrice).price == 45000.5, "the price")
    assert not heard.stale


@pytest.mark.parametrize("way", ["cut", "closed"])
async def test_a_lost_connection_is_stale_at_once_and_comes_back_by_itself(
    heard: Heard, way: str
) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    heard.server.is_refusing = True
    await (heard.server.drop() if way == "cut" else heard.server.close())
    await poll_until(lambda: {Book, Ticker, LastPrice} <= set(heard.stale), "stale marks")
    best = next(iter(heard.server.bids))
    heard.server.apply({best: "0.00000000"}, {}, depth=10)  # nobody is told
    heard.server.is_refusing = False
    await heard.live()
    assert heard.best_bid() == float(best) - 1
    await heard.server.move({next(iter(heard.server.bids)): "3.00000000"})
    await poll_until(lambda: heard.last(Book).bids[0].size == 3, "an update")
    assert len(heard.server.subscriptions) == 2


async def test_a_lost_update_is_found_and_the_book_is_subscribed_again(heard: Heard) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    prices = list(heard.server.bids)
    await heard.server.move({prices[0]: "0.00000000"}, is_lost=True)
    await heard.server.move({prices[3]: "9.00000000"})
    await poll_until(lambda: Book in heard.stale, "the stale mark")
    assert Ticker not in heard.stale
    await poll_until(lambda: heard.best_bid() == float(prices[1]), "the whole book")
    assert len(heard.server.subscriptions) == 2


async def test_a_released_symbol_leaves_nothing_upstream(heard: Heard) -> None:
    for _ in range(3):
        heard.feed.take(heard.symbol)
        await heard.live()
        heard.feed.release(heard.symbol)
        await poll_until(lambda: not heard.server.subscriptions, "no subscription")
    heard.records.clear()
    await heard.server.trade("1.5")
    assert not heard.records
    assert not heard.stale


async def test_a_release_and_a_take_in_one_step_end_subscribed_once(heard: Heard) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    for _ in range(100):
        heard.feed.release(heard.symbol)
        heard.feed.take(heard.symbol)
    await heard.live()
    assert len(heard.server.subscriptions) == 2
    heard.feed.release(heard.symbol)
    await poll_until(lambda: not heard.server.subscriptions, "no subscription")


async def test_a_message_that_is_no_market_data_ends_the_connection_not_the_feed(
    heard: Heard,
) -> None:
    heard.feed.take(heard.symbol)
    await heard.live()
    channel = heard.server.subscriptions[0]
    before = heard.server.connections
    await heard.server.tell(channel, UNUSABLE[type(heard.server)])
    await poll_until(lambda: heard.server.connections > before, "another connection")
    await poll_until(lambda: len(heard.server.subscriptions) == 2, "both subscriptions")
    heard.records.clear()
    await heard.server.trade("45001.5")
    await heard.server.move({next(iter(heard.server.bids)): "3.00000000"})
    await poll_until(lambda: heard.last(Book) and heard.last(Ticker), "a ticker and a book")


async def test_kraken_s_wrong_checksum_marks_the_book_stale_and_subscribes_again() -> None:
    async with hearing("kraken") as heard:
        heard.feed.take(heard.symbol)
        await heard.live()
        best = next(iter(heard.server.bids))
        before = len(heard.records)
        await heard.server.move({best: "0.77700000"}, checksum=1)
        await poll_until(lambda: heard.stale == [Book], "the stale mark")
        sizes = [one.bids[0].size for one in heard.records[before:] if isinstance(one, Book)]
        assert 0.777 not in sizes, "an unverified book was delivered"
        await poll_until(lambda: heard.last(Book).bids[0].size == 0.777, "the verified book")
        methods = [one["method"] for one in heard.server.requests if one["method"] != "ping"]
        assert methods == ["subscribe", "subscribe", "unsubscribe", "subscribe"]


async def test_a_subscription_that_brings_nothing_is_given_up_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.sources.feeds.upstream._FIRST_S", 0.3)
    async with hearing("kraken") as heard:
        heard.server.is_silent = True
        heard.feed.take(heard.symbol)
        await poll_until(lambda: {Book, Ticker} <= set(heard.stale), "stale marks")
        heard.server.is_silent = False
        await heard.live()


async def test_a_symbol_that_the_exchange_does_not_have_is_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with hearing("kraken") as heard:
        heard.symbol = "NO/SUCH"
        heard.feed.take("NO/SUCH")
        said = ""

        def is_told() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return said.count("the exchange has no such symbol") == 2  # ticker and book

        await poll_until(is_told, "the log line")
        assert heard.server.connections == 0
