"""``Simulation``: a market of seeded, correlated random walks with a book around each price.

The logarithm of a price moves by ``volatility × (√ρ · common + √(1 − ρ) · own)`` a tick, where
both parts are standard normal and ``common`` is one draw for all symbols (a one-factor model).
A book is built around the price from half a spread outwards, on the grid of the symbol's decimals,
so a bid is always below an ask.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker

_DEPTH: Final = 10
_CORRELATION: Final = 0.5
_RANGE: Final = 100.0  # a price stays within so many times its first one, and a part of it
_SIZE_DECIMALS: Final = 4
_SIGNIFICANT: Final = 6  # digits of a price
_SHAPE: Final = 997  # a prime, so a book comes back after 997 ticks
_DAY_TICKS: Final = 2_000  # ticks after which high and low begin to forget


@dataclass(slots=True)
class Walk:
    """One symbol of a simulation.

    Attributes:
        symbol: its name.
        shape: size and distance, in half spreads, of levels that all books are made of.
        place: where in ``shape`` its book begins. A tick moves it on, so a book needs no draw.
    """

    symbol: str
    random: random.Random
    price: float
    opened: float
    volatility: float
    half_spread: float
    decimals: int
    volume: float
    high: float
    low: float
    shape: tuple[tuple[float, float], ...]
    place: int

    def step(self, common: float) -> None:
        """Move the price by one tick.

        Args:
            common: the draw that all symbols share.
        """
        self.place += 2 * _DEPTH
        own = self.random.gauss(0, 1)
        mixed = math.sqrt(_CORRELATION) * common + math.sqrt(1 - _CORRELATION) * own
        moved = self.price * math.exp(self.volatility * mixed)
        self.price = min(self.opened * _RANGE, max(self.opened / _RANGE, moved))
        middle = (self.high + self.low) / 2
        self.high = max(self.price, self.high - (self.high - middle) / _DAY_TICKS)
        self.low = min(self.price, self.low + (middle - self.low) / _DAY_TICKS)
        self.volume = max(1.0, self.volume * math.exp(0.001 * self.random.gauss(0, 1)))

    def records(self, time_ms: int) -> tuple[MarketRecord, ...]:
        """Return the price, the ticker and the book of the current tick.

        Args:
            time_ms: the time that they show, Unix ms.
        """
        grain = 10.0**-self.decimals
        bid = min(self.price * (1 - self.half_spread), self.price - grain)
        ask = max(self.price * (1 + self.half_spread), self.price + grain)
        bids, asks = self._side(bid, -1), self._side(ask, 1)
        price = round(self.price, self.decimals)
        return (
            LastPrice(symbol=self.symbol, price=price, time_ms=time_ms),
            Ticker(
                symbol=self.symbol,
                price=price,
                bid=bids[0].price,
                ask=asks[0].price,
                volume=round(self.volume, _SIZE_DECIMALS),
                change=round((self.price / self.opened - 1) * 100, 4),
                high=round(max(self.high, price), self.decimals),
                low=round(min(self.low, price), self.decimals),
                time_ms=time_ms,
            ),
            Book(symbol=self.symbol, bids=bids, asks=asks, time_ms=time_ms),
        )

    def _side(self, best: float, direction: int) -> tuple[Level, ...]:
        """Return one side of the book, whole grains apart, from the best price outwards."""
        grains = 10**self.decimals
        position = math.floor(best * grains) if direction < 0 else math.ceil(best * grains)
        step = max(1, round(self.price * self.half_spread * grains))
        begin = self.place + (_DEPTH if direction > 0 else 0)
        levels = []
        for number in range(begin, begin + _DEPTH):
            size, distance = self.shape[number % len(self.shape)]
            levels.append(Level(round(position / grains, self.decimals), size))
            position += direction * max(1, round(step * distance))
        return tuple(levels)


class Simulation:
    """A market whose every tick follows from the seed and the symbols.

    Args:
        symbols: the symbols.
        seed: decides every draw. A symbol's walk depends on the seed, its name and the number of
            ticks alone, not on the other symbols.
    """

    def __init__(self, symbols: Sequence[str], seed: int) -> None:
        self._common = random.Random(f"{seed}:common")  # noqa: S311 - repeatable, no secret
        shape = tuple(
            (round(self._common.uniform(0.1, 10), _SIZE_DECIMALS), self._common.random())
            for _ in range(_SHAPE)
        )
        self._walks = [_begin(symbol, seed, shape) for symbol in symbols]

    def tick(self) -> Iterator[Walk]:
        """Move every symbol by one tick, and yield each when it has moved, in the symbols' order.

        A caller may pause between two symbols, and must take them all.
        """
        common = self._common.gauss(0, 1)
        for walk in self._walks:
            walk.step(common)
            yield walk


def _begin(symbol: str, seed: int, shape: tuple[tuple[float, float], ...]) -> Walk:
    draw = random.Random(f"{seed}:{symbol}")  # noqa: S311 - repeatable, no secret
    price = math.exp(draw.uniform(math.log(0.5), math.log(50_000)))
    decimals = max(2, _SIGNIFICANT - 1 - math.floor(math.log10(price)))
    return Walk(
        symbol=symbol,
        random=draw,
        price=price,
        opened=price,
        volatility=draw.uniform(0.0002, 0.002),
        half_spread=draw.uniform(0.0001, 0.001),
        decimals=decimals,
        volume=draw.uniform(1_000, 1_000_000),
        high=price * 1.01,
        low=price * 0.99,
        shape=shape,
        place=draw.randrange(_SHAPE),
    )
