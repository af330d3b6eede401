"""The market source between a feed that the test plays and a publisher that it watches."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from deadlines import poll_until
from manual_clock import ManualClock

from gateway.contract import ErrorCode
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.publication import Publication
from gateway.sources.feeds.market import MarketSource
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker

KINDS = (LastPrice, Ticker, Book)


class PlayedFeed:
    """A feed that delivers what the test says, and keeps the balance of what is taken."""

    symbols: tuple[str, ...] = ("A", "B", "C")

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.turns = 0
        self.deliver: Any = None
        self.mark_stale: Any = None

    async def start(self, deliver: Any, mark_stale: Any) -> None:
        self.deliver, self.mark_stale = deliver, mark_stale

    def take(self, symbol: str) -> None:
        assert symbol not in self.taken
        self.taken.add(symbol)
        self.turns += 1

    def release(self, symbol: str) -> None:
        self.taken.remove(symbol)

    async def stop(self) -> None:
        self.taken.clear()

    def price(self, symbol: str, *prices: float) -> None:
        self.deliver([LastPrice(symbol=symbol, price=price, time_ms=1) for price in prices])


class Scene:
    """A source, its feed, its clock, and what it published."""

    def __init__(self, most_per_second: float = 2, release_seconds: float = 5) -> None:
        self.feed, self.clock, self.metrics = PlayedFeed(), ManualClock(), GatewayMetrics()
        self.published: list[dict[str, Any]] = []
        self.is_busy = False
        self.source = MarketSource(
            self.feed,
            self.publish,
            self.clock,
            self.metrics,
            most_per_second=most_per_second,
            release_seconds=release_seconds,
        )

    def publish(self, publications: Sequence[Publication]) -> None:
        if self.is_busy:
            entry = {"index": 0, "message": "busy", "code": ErrorCode.INTERNAL_ERROR}
            raise PublicationRejected(503, [entry], retry_after_s=1)
        self.published += (
            {"event": one.event, "rooms": one.rooms, **one.data} for one in publications
        )

    def prices(self, symbol: str = "A") -> list[float]:
        return [one["price"] for one in self.published if one["symbol"] == symbol]

    def metric(self, name: str) -> float:
        text = self.metrics.expose()[0].decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    one = Scene()
    await one.source.start()
    yield one
    await one.source.stop()


async def test_only_symbols_that_somebody_holds_are_taken_and_published(scene: Scene) -> None:
    scene.source.room_entered("market-data:A")
    scene.source.room_entered("market-data:UNKNOWN")
    assert scene.feed.taken == {"A"}
    scene.feed.price("A", 1.5)
    scene.feed.price("B", 2.5)
    assert scene.published == [
        {"event": "price:update", "rooms": ("market-data:A",), "symbol": "A", "price": 1.5}
    ]


async def test_the_whole_market_takes_every_symbol(scene: Scene) -> None:
    scene.source.room_entered("market-data:A")
    scene.source.room_entered("market-data")
    assert scene.feed.taken == {"A", "B", "C"}
    scene.source.room_left("market-data")
    scene.clock.advance(5)
    await poll_until(lambda: scene.feed.taken == {"A"}, "the release of the others")


async def test_ten_thousand_turns_leave_nothing_taken(scene: Scene) -> None:
    for turn in range(10_000):
        room = ("market-data:A", "market-data:B", "market-data")[turn % 3]
        scene.source.room_entered(room)
        scene.source.room_left(room)
    assert scene.feed.turns == 3, "the delay spares the exchange the turns"
    scene.clock.advance(5)
    await poll_until(lambda: not scene.feed.taken, "the release")
    assert scene.metric("tidegate_market_symbols") == 0


async def test_the_newest_value_waits_for_its_turn_and_the_last_always_comes(
    scene: Scene,
) -> None:
    scene.source.hold("A")
    scene.feed.price("A", 1, 2, 3)
    scene.feed.price("A", 4)
    assert scene.prices() == [1]
    scene.clock.advance(0.5)
    await poll_until(lambda: len(scene.published) == 2, "the last value")
    assert scene.prices() == [1, 4]
    assert scene.metric("tidegate_market_replaced_total") == 2
    assert scene.metric('tidegate_market_records_total{event="price:update"}') == 4


async def test_listeners_hear_every_book_before_the_limit(scene: Scene) -> None:
    books: list[Book] = []
    scene.source.books.listen(books.append)
    scene.source.hold("A")
    told = [
        Book(symbol="A", bids=(Level(price, 1),), asks=(Level(4, 1),), time_ms=1)
        for price in (1, 2, 3)
    ]
    scene.feed.deliver(told)
    assert books == told
    assert scene.source.books.book("A") is told[-1]


async def test_a_gateway_that_cannot_keep_up_gets_the_newest_value_later(scene: Scene) -> None:
    scene.source.hold("A")
    scene.is_busy = True
    scene.feed.price("A", 1)
    scene.feed.price("A", 2)
    assert scene.published == []
    scene.is_busy = False
    scene.clock.advance(1)
    await poll_until(lambda: scene.published, "the value")
    assert scene.prices() == [2]


async def test_a_lost_kind_is_told_stale_once_with_its_last_value(scene: Scene) -> None:
    scene.source.hold("A")
    scene.feed.mark_stale("A", KINDS)
    assert scene.published == [], "there is no value yet"
    scene.feed.price("A", 7)
    scene.clock.advance(1)
    scene.feed.mark_stale("A", (LastPrice,))
    scene.feed.mark_stale("A", KINDS)
    assert [one.get("stale") for one in scene.published] == [None, True]
    assert scene.prices() == [7, 7]
    assert scene.metric("tidegate_market_stale_symbols") == 1
    scene.clock.advance(1)
    scene.feed.price("A", 8)
    assert "stale" not in scene.published[-1]
    assert scene.metric("tidegate_market_stale_symbols") == 0


async def test_a_released_symbol_keeps_its_last_value_marked_stale(scene: Scene) -> None:
    scene.source.hold("A")
    scene.source.hold("A")
    scene.feed.price("A", 7)
    scene.source.let_go("A")
    scene.clock.advance(5)
    scene.source.let_go("A")
    assert scene.feed.taken == {"A"}
    scene.clock.advance(5)
    await poll_until(lambda: not scene.feed.taken, "the release")
    assert [one.get("stale") for one in scene.published] == [None, True]


async def test_nothing_is_published_after_the_stop(scene: Scene) -> None:
    scene.source.hold("A")
    scene.feed.price("A", 1, 2)
    await scene.source.stop()
    scene.feed.price("A", 3)
    assert scene.prices() == [1]


async def test_a_total_is_the_sum_of_the_sizes_down_to_its_level(scene: Scene) -> None:
    scene.source.hold("A")
    bids = (Level(2, 0.1), Level(1, 0.2), Level(0.5, 3))
    scene.feed.deliver([Book(symbol="A", bids=bids, asks=(), time_ms=1_767_323_045_123)])
    assert scene.published[0]["orderBook"] == {
        "symbol": "A",
        "bids": [
            {"price": 2, "size": 0.1, "total": 0.1},
            {"price": 1, "size": 0.2, "total": 0.3},
            {"price": 0.5, "size": 3, "total": 3.3},
        ],
        "asks": [],
        "timestamp": "2026-01-02T03:04:05.123Z",
    }


def test_every_record_is_of_a_kind_with_an_event() -> None:
    assert set(KINDS) == set(MarketRecord.__args__)
