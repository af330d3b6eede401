"""The publications that the market's records become (contract: market events)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.contract import (
    EVENTS,
    ORDER_BOOK_EVENT,
    PRICE_EVENT,
    TICKER_EVENT,
    iso_timestamp,
    symbol_room,
)
from gateway.publication import Publication
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker

_DECIMALS: Final = 8  # of a sum of sizes: more would show the error of the floats


_EVENTS: Final[Mapping[type[MarketRecord], str]] = {
    LastPrice: PRICE_EVENT,
    Ticker: TICKER_EVENT,
    Book: ORDER_BOOK_EVENT,
}


def event_of(record: MarketRecord) -> str:
    """Return the name of the event that a record becomes."""
    return _EVENTS[type(record)]


def publication_of(record: MarketRecord) -> Publication:
    """Return the publication of a record. A stale record says ``stale: true``."""
    event = event_of(record)
    row = EVENTS[event]
    body: dict[str, Any]
    if isinstance(record, LastPrice):
        body = {"price": record.price}
    elif isinstance(record, Ticker):
        body = {"ticker": _ticker(record)}
    else:
        body = {"orderBook": _order_book(record)}
    stale = {"stale": True} if record.is_stale else {}
    return Publication(
        event=event,
        row=row,
        data={"symbol": record.symbol, **body, **stale},
        rooms=(symbol_room(record.symbol, row.channel),),
        user_id=None,
        client_id=None,
        src_ts=None,
    )


def _ticker(record: Ticker) -> dict[str, Any]:
    return {
        "symbol": record.symbol,
        "price": record.price,
        "bid": record.bid,
        "ask": record.ask,
        "volume24h": record.volume,
        "change24h": record.change,
        "high24h": record.high,
        "low24h": record.low,
        "timestamp": iso_timestamp(record.time_ms / 1_000),
    }


def _order_book(record: Book) -> dict[str, Any]:
    return {
        "symbol": record.symbol,
        "bids": _levels(record.bids),
        "asks": _levels(record.asks),
        "timestamp": iso_timestamp(record.time_ms / 1_000),
    }


def _levels(levels: Iterable[Level]) -> list[dict[str, float]]:
    """Return levels with the total of the sizes down to each."""
    total, shown = 0.0, []
    for level in levels:
        total = round(total + level.size, _DECIMALS)
        shown.append({"price": level.price, "size": level.size, "total": total})
    return shown
