"""The market's records, and ``Books``: the last book of each symbol and who listens to it.

Prices and sizes are floats, rounded to the decimals of their market: ``Decimal(repr(price))`` is
exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One price of an order book, and the size that waits there."""

    price: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """An order book, as deep as its feed delivers it.

    Attributes:
        symbol: the symbol.
        bids: the highest price first.
        asks: the lowest price first, above every bid.
        time_ms: the time of the exchange, Unix ms.
        is_stale: whether the feed has lost its exchange since. Nobody may trade on it.
    """

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    time_ms: int
    is_stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPrice:
    """The last price of a symbol."""

    symbol: str
    price: float
    time_ms: int
    is_stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """A symbol's day. A value that the exchange does not tell is ``None``.

    Attributes:
        volume: traded in the last 24 h, in the base currency.
        change: of the price in the last 24 h, in per cent.
    """

    symbol: str
    price: float
    bid: float | None
    ask: float | None
    volume: float | None
    change: float | None
    high: float | None
    low: float | None
    time_ms: int
    is_stale: bool = False


MarketRecord = LastPrice | Ticker | Book
OnBook = Callable[[Book], None]


class Books:
    """The last book of each symbol. Listeners get each new one, before any throttling.

    A listener runs inside the feed's step: it must be quick and must not raise.
    """

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._on_book: list[OnBook] = []

    def listen(self, on_book: OnBook) -> None:
        """Call a function with each new book from now on."""
        self._on_book.append(on_book)

    def book(self, symbol: str) -> Book | None:
        """Return the last book of a symbol, ``None`` before the first."""
        return self._books.get(symbol)

    def put(self, record: MarketRecord) -> None:
        """Keep a book and tell the listeners; ignore another record."""
        if isinstance(record, Book):
            self._books[record.symbol] = record
            for on_book in self._on_book:
                on_book(record)
