"""The exchange on an event loop, with real books and a publisher that can refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from deadlines import DEADLINE_S
from manual_clock import ManualClock

from gateway.contract import OrderType, Side, iso_timestamp
from gateway.errors import PublicationRejected
from gateway.publication import Publication, parse_publication
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.settlement import ExchangeTerms
from gateway.sources.exchange_source import ExchangeSource
from gateway.sources.market.book import Book, Books, Level

SYMBOL = "BTC/USDT"
TERMS = ExchangeTerms(
    starting={"USDT": Decimal(10_000)}, fee_rate=Decimal(0), most_open=10, most_done=10
)


class Market:
    """Books that the test puts in, and a count of who holds a symbol."""

    def __init__(self) -> None:
        self.books = Books()
        self.symbols = (SYMBOL,)
        self.held: Counter[str] = Counter()

    def hold(self, symbol: str) -> None:
        self.held[symbol] += 1

    def let_go(self, symbol: str) -> None:
        assert self.held[symbol] > 0
        self.held[symbol] -= 1

    def put(self, ask: float, size: float = 1.0, *, is_stale: bool = False) -> None:
        bids, asks = (Level(ask - 1, size),), (Level(ask, size),)
        self.books.put(Book(symbol=SYMBOL, bids=bids, asks=asks, time_ms=0, is_stale=is_stale))


class Paper:
    """A running exchange, its market, and what it has published."""

    def __init__(self) -> None:
        self.market = Market()
        self.published: list[Publication] = []
        self.refusals = 0
        self.clock = ManualClock()
        exchange = PaperExchange(TERMS, "t")
        self.source = ExchangeSource(exchange, self.market, self.publish, self.clock)

    def publish(self, batch: Sequence[Publication]) -> None:
        if self.refusals:
            self.refusals -= 1
            entry = {"index": 0, "message": "busy", "code": "INTERNAL_ERROR"}
            raise PublicationRejected(503, [entry], retry_after_s=0.01)
        self.published += batch

    def events(self) -> list[str]:
        return [one.event for one in self.published]

    async def until(self, event: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while event not in self.events():  # noqa: ASYNC110 - a publication sets no event
                await asyncio.sleep(0.001)


@pytest.fixture
async def paper() -> Paper:
    found = Paper()
    await found.source.start()
    return found


def limit(price: str) -> OrderRequest:
    return OrderRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        price=Decimal(price),
    )


MARKET = OrderRequest(symbol=SYMBOL, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal(1))


async def test_a_publication_has_the_shape_that_any_publisher_gives_it(paper: Paper) -> None:
    paper.market.put(100.0)
    await paper.source.place("al", MARKET)
    for one in paper.published:
        item: dict[str, Any] = {"userId": one.user_id, "event": one.event, "data": one.data}
        if one.rooms:
            item["rooms"] = list(one.rooms)
        assert parse_publication(item) == one
    assert [one.rooms for one in paper.published if one.event == "balance:updated"] == [()]
    created = paper.published[0].data["order"]["createdAt"]
    assert created == iso_timestamp(paper.clock.unix_s())


async def test_a_symbol_is_held_while_an_order_of_it_rests(paper: Paper) -> None:
    paper.market.put(100.0)
    await paper.source.place("al", MARKET)
    assert paper.market.held[SYMBOL] == 0
    placed = [await paper.source.place("al", limit("50")) for _ in range(2)]
    assert paper.market.held[SYMBOL] == 1
    paper.market.put(49.0, size=1.5)
    await paper.until("order:partially-filled")
    assert paper.market.held[SYMBOL] == 1
    for one in placed:
        assert one is not None
        paper.source.cancel("al", one.order.id)
    assert paper.market.held[SYMBOL] == 0


async def test_an_order_waits_for_the_first_book_of_its_symbol(paper: Paper) -> None:
    paper.market.put(100.0, is_stale=True)
    placing = asyncio.create_task(paper.source.place("al", MARKET))
    await asyncio.sleep(0)
    assert (paper.market.held[SYMBOL], placing.done()) == (1, False)
    paper.market.put(100.0, is_stale=True)
    await asyncio.sleep(0.01)
    assert not placing.done(), "nobody trades on a stale book"
    paper.market.put(120.0)
    placed = await placing
    assert placed is not None
    assert [placed.order.status, placed.order.value] == ["filled", 120]
    assert paper.market.held[SYMBOL] == 0


async def test_an_order_of_one_name_that_waits_twice_is_placed_once(paper: Paper) -> None:
    request = OrderRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=Decimal(1),
        client_order_id="a",
    )
    both = [asyncio.create_task(paper.source.place("al", request)) for _ in range(2)]
    await asyncio.sleep(0)
    paper.market.put(100.0)
    first, second = await asyncio.gather(*both)
    assert first is not None
    assert second is not None
    assert first.order is second.order
    assert {first.is_new, second.is_new} == {True, False}


async def test_while_nothing_can_be_published_nothing_happens(paper: Paper) -> None:
    paper.market.put(100.0)
    await paper.source.place("al", limit("60"))
    told = len(paper.published)
    paper.refusals = 2
    placed = await paper.source.place("al", limit("50"))
    assert placed is not None, "the first one was placed before the refusal was known"
    assert await paper.source.place("al", limit("40")) is None, "it is busy"
    paper.market.put(10.0)
    await paper.until("order:submitted")
    async with asyncio.timeout(DEADLINE_S):
        while paper.source.is_busy:  # noqa: ASYNC110 - a publication sets no event
            await asyncio.sleep(0.001)
    assert paper.events()[told:] == ["order:created", "order:submitted", "balance:updated"]
    assert placed.order.status == "open", "it was not matched meanwhile"
    paper.market.put(45.0)
    await paper.until("order:partially-filled")


async def test_a_stopped_exchange_does_nothing(paper: Paper) -> None:
    paper.market.put(100.0)
    await paper.source.place("al", limit("50"))
    told = len(paper.published)
    paper.market.put(40.0)  # is matched in the loop's next iteration
    await paper.source.stop()
    await asyncio.sleep(0.01)
    paper.market.put(30.0)
    await asyncio.sleep(0.01)
    assert await paper.source.place("al", MARKET) is None
    assert len(paper.published) == told
