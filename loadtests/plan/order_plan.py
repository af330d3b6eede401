"""Which orders a user of the exchange places: the same ones for a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from gateway.contract import OrderType, Side, TimeInForce

_NEAR: Final = 0.01
"""How far beyond the last price a limit lies that must be filled."""
_FAR: Final = 0.05
"""How far from the last price a limit or stop lies that must wait."""
_LEAST: Final = 0.01
_MOST: Final = 2.0
_TOO_MUCH: Final = "900000000000"
_MARKET: Final = OrderType.MARKET
_LIMIT: Final = OrderType.LIMIT

_KINDS: Final = (
    (Side.BUY, _MARKET, 0.0, None),
    (Side.BUY, _LIMIT, -_FAR, None),
    (Side.SELL, _MARKET, 0.0, None),
    (Side.BUY, _LIMIT, _NEAR, None),
    (Side.SELL, _LIMIT, -_NEAR, TimeInForce.IOC),
    (Side.SELL, OrderType.STOP, -_FAR, None),
    (Side.BUY, _LIMIT, _NEAR, TimeInForce.FOK),
    (Side.SELL, OrderType.STOP_LIMIT, -_FAR, None),
)
"""Side, type, distance of the price from the last one as a share of it, time in force."""
_UNPAYABLE_EACH: Final = 13


class OrderPlan:
    """The orders of one user, one after the other.

    The first of a symbol is a market order, whose price the next ones are made from. One in 13 is
    too large for any user's funds.

    Args:
        seed: of the scenario.
        user_id: the user.
        symbols: what it trades; at least one.
    """

    def __init__(self, seed: int, user_id: str, symbols: Sequence[str]) -> None:
        self._random = random.Random(f"{seed}:{user_id}:orders")  # noqa: S311 - repeatable
        self._symbols = tuple(symbols)
        self._prices: dict[str, float] = {}
        self._number = self._random.randrange(len(_KINDS))

    def note_price(self, symbol: str, price: float) -> None:
        """Take the price of a trade."""
        self._prices[symbol] = price

    def next(self) -> dict[str, Any]:
        """Return the fields of the next order, as the route takes them."""
        symbol = self._random.choice(self._symbols)
        quantity = f"{self._random.uniform(_LEAST, _MOST):.4f}"
        self._number += 1
        price = self._prices.get(symbol)
        if price is None:
            return _fields(symbol, Side.BUY, _MARKET, quantity)
        if self._number % _UNPAYABLE_EACH == 0:
            return _fields(symbol, Side.SELL, _MARKET, _TOO_MUCH)
        side, kind, distance, in_force = _KINDS[self._number % len(_KINDS)]
        found = _fields(symbol, side, kind, quantity)
        at = f"{price * (1 + distance):.8f}"
        if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            found["price"] = at
        if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
            found["stopPrice"] = at
        if in_force is not None:
            found["timeInForce"] = in_force.value
        return found


def _fields(symbol: str, side: Side, kind: OrderType, quantity: str) -> dict[str, Any]:
    return {"symbol": symbol, "side": side.value, "type": kind.value, "quantity": quantity}
