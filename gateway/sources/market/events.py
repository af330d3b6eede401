"""The publications that the market's records become (contract: market events)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
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


def is_market_event(event: str) -> bool:
    """Return whether an event may be a record of the market."""
    return event in _EVENTS.values()


def record_of(event: str, payload: Mapping[str, Any]) -> MarketRecord:
    """Return the record that an event was, as a client gets it.

    An event does not tell the exchange's time of a price: its record has the event's.

    Args:
        event: its name.
        payload: its payload.

    Raises:
        KeyError: a field is missing.
        TypeError: a field is of another type.
        ValueError: the event is none of the market, or a number or a time is wrong.
    """
    symbol, is_stale = payload["symbol"], payload.get("stale") is True
    if event == PRICE_EVENT:
        time_ms, price = _time_ms(payload, payload), float(payload["price"])
        return LastPrice(symbol=symbol, price=price, time_ms=time_ms, is_stale=is_stale)
    if event == TICKER_EVENT:
        told = payload["ticker"]
        names = {"volume": "volume24h", "change": "change24h", "high": "high24h", "low": "low24h"}
        values = {name: told.get(names.get(name, name)) for name in ("bid", "ask", *names)}
        return Ticker(
            symbol=symbol,
            price=float(told["price"]),
            **{name: None if value is None else float(value) for name, value in values.items()},
            time_ms=_time_ms(told, payload),
            is_stale=is_stale,
        )
    if event != ORDER_BOOK_EVENT:
        raise ValueError(f"{event} is no event of the market")
    told = payload["orderBook"]
    bids, asks = (
        tuple(Level(float(level["price"]), float(level["size"])) for level in told[side])
        for side in ("bids", "asks")
    )
    time_ms = _time_ms(told, payload)
    return Book(symbol=symbol, bids=bids, asks=asks, time_ms=time_ms, is_stale=is_stale)


def _time_ms(inner: Mapping[str, Any], payload: Mapping[str, Any]) -> int:
    told = inner.get("timestamp", payload["timestamp"])
    return round(datetime.fromisoformat(told).timestamp() * 1_000)


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
