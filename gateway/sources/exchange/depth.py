"""``Depth``: what one book offers, and what the orders have left of it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from gateway.contract import Side
from gateway.sources.exchange.money import ZERO, from_market


class Lot(NamedTuple):
    """A quantity at a price."""

    price: Decimal
    quantity: Decimal

    @property
    def value(self) -> Decimal:
        """The price of the whole quantity."""
        return self.price * self.quantity


class Depth:
    """One book's levels. What an order takes is gone for later orders, until the next book.

    Args:
        bids: price and size of each level, best first.
        asks: the same.

    Attributes:
        best_bid: highest price that somebody pays; None when nobody does. Orders leave it as it is.
        best_ask: lowest price that somebody asks; None when nobody does.
    """

    def __init__(
        self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]
    ) -> None:
        self._levels = {Side.BUY: _levels(asks), Side.SELL: _levels(bids)}
        self.best_bid = _best(self._levels[Side.SELL])
        self.best_ask = _best(self._levels[Side.BUY])

    @property
    def middle(self) -> Decimal | None:
        """The price halfway between best bid and ask; None when one of them is missing."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return (self.best_bid + self.best_ask) / 2

    def best_for(self, side: Side) -> Decimal | None:
        """Return the best price at which an order of a side would be filled."""
        return self.best_ask if side is Side.BUY else self.best_bid

    def offers(self, side: Side, quantity: Decimal, limit: Decimal | None) -> list[Lot]:
        """Return what an order would get, best price first, and leave it here.

        Args:
            side: of the order.
            quantity: the most that it takes.
            limit: its worst price; None for any.
        """
        found = []
        for level in self._levels[side]:
            is_worse = limit is not None and is_beyond(side, level.price, limit)
            if quantity <= 0 or is_worse:
                break
            found.append(Lot(level.price, min(level.quantity, quantity)))
            quantity -= found[-1].quantity
        return found

    def take(self, side: Side, quantity: Decimal) -> None:
        """Remove a quantity from the best levels of a side."""
        levels = self._levels[side]
        while quantity > 0 and levels:
            price, size = levels[0]
            if size > quantity:
                levels[0] = Lot(price, size - quantity)
                return
            quantity -= size
            del levels[0]


def is_beyond(side: Side, price: Decimal, limit: Decimal) -> bool:
    """Return whether a price is worse than the limit of an order.

    Args:
        side: of the order.
        price: the price.
        limit: the worst price that the order accepts.
    """
    return price > limit if side is Side.BUY else price < limit


def _levels(levels: Iterable[tuple[float, float]]) -> list[Lot]:
    found = [Lot(from_market(price), from_market(size)) for price, size in levels]
    return [level for level in found if level.price > ZERO and level.quantity > ZERO]


def _best(levels: list[Lot]) -> Decimal | None:
    return levels[0].price if levels else None
