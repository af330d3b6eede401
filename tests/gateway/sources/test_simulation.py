"""The simulated market."""

from __future__ import annotations

import statistics
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sources.market.book import Book, LastPrice, MarketRecord, Ticker
from gateway.sources.market.simulation import Simulation

SEEDS = st.integers(0, 2**32)


def names(count: int) -> list[str]:
    return [f"S{n}/USD" for n in range(count)]


def play(symbols: list[str], seed: int, ticks: int) -> dict[str, list[MarketRecord]]:
    simulation = Simulation(symbols, seed)
    played: dict[str, list[MarketRecord]] = {symbol: [] for symbol in symbols}
    for number in range(ticks):
        for walk in simulation.tick():
            played[walk.symbol] += walk.records(number)
    return played


@given(SEEDS, st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_ticks(seed: int, count: int) -> None:
    assert play(names(count), seed, 5) == play(names(count), seed, 5)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_a_symbol_does_not_depend_on_the_other_symbols(seed: int) -> None:
    assert play(["A", "B"], seed, 4)["B"] == play(["C", "B", "D"], seed, 4)["B"]


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_whether_records_are_asked_for_does_not_change_later_ones(seed: int) -> None:
    simulation = Simulation(["A"], seed)
    for _ in range(4):
        (walk,) = simulation.tick()
    assert list(walk.records(3)) == play(["A"], seed, 4)["A"][-3:]


@given(SEEDS, st.integers(1, 20), st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_books_never_cross_and_their_levels_are_in_order(seed: int, count: int, ticks: int) -> None:
    for records in play(names(count), seed, ticks).values():
        for price, ticker, book in zip(records[::3], records[1::3], records[2::3], strict=True):
            assert isinstance(price, LastPrice)
            assert isinstance(ticker, Ticker)
            assert isinstance(book, Book)
            bids = [level.price for level in book.bids]
            asks = [level.price for level in book.asks]
            assert bids[0] < price.price < asks[0]
            assert bids == sorted(set(bids), reverse=True)
            assert asks == sorted(set(asks))
            assert min(bids) > 0
            assert all(level.size > 0 for level in (*book.bids, *book.asks))
            assert (ticker.bid, ticker.ask, ticker.price) == (bids[0], asks[0], price.price)
            assert ticker.low is not None
            assert ticker.high is not None
            assert ticker.low <= price.price <= ticker.high


@given(st.floats(0.01, 100), SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_book_has_its_price_inside_however_far_it_went(times: float, seed: int) -> None:
    simulation = Simulation(["A"], seed)
    (walk,) = simulation.tick()
    walk.price *= times
    last, _, book = walk.records(0)
    assert isinstance(last, LastPrice)
    assert isinstance(book, Book)
    assert book.bids[0].price < book.asks[0].price
    assert book.bids[0].price <= last.price <= book.asks[0].price
    assert min(level.price for level in book.bids) > 0


def test_returns_of_two_symbols_are_correlated() -> None:
    simulation = Simulation(["A", "B"], 7)
    prices = [[walk.price for walk in simulation.tick()] for _ in range(3_000)]
    moves = [
        [after / before - 1 for before, after in pairwise(one)] for one in zip(*prices, strict=True)
    ]
    assert 0.4 < statistics.correlation(*moves) < 0.6


def test_a_thousand_symbols_differ() -> None:
    played = play(names(1_000), 1, 1)
    assert (
        len({records[0].price for records in played.values() if isinstance(records[0], LastPrice)})
        > 990
    )
