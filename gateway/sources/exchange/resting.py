"""``RestingOrders``: the open orders of one symbol, in the order in which they are filled."""

from __future__ import annotations

from bisect import insort
from decimal import Decimal
from itertools import takewhile

from gateway.contract import Side
from gateway.sources.exchange.depth import Depth, is_beyond
from gateway.sources.exchange.order import PaperOrder

_Key = tuple[Decimal, int]


class RestingOrders:
    """Orders that wait for a price: limit orders for a better one, stop orders for theirs.

    The best price comes first, and of equal prices the oldest order.
    """

    def __init__(self) -> None:
        self._limits: dict[Side, list[PaperOrder]] = {side: [] for side in Side}
        self._stops: dict[Side, list[PaperOrder]] = {side: [] for side in Side}

    def __len__(self) -> int:
        return sum(map(len, (*self._limits.values(), *self._stops.values())))

    def add(self, order: PaperOrder) -> None:
        """Add an order: as a limit order when it is active, else as a stop order."""
        if order.is_active:
            insort(self._limits[order.request.side], order, key=_limit_key)
        else:
            insort(self._stops[order.request.side], order, key=_stop_key)

    def remove(self, order: PaperOrder) -> None:
        """Remove an order.

        Raises:
            ValueError: it is not here.
        """
        lists = self._limits if order.is_active else self._stops
        lists[order.request.side].remove(order)

    def matched(self, side: Side, depth: Depth) -> list[PaperOrder]:
        """Return the limit orders of a side whose price a book has reached, best first."""
        best = depth.best_for(side)
        if best is None:
            return []
        orders = self._limits[side]
        return list(takewhile(lambda order: not is_beyond(side, best, _price(order)), orders))

    def triggered(self, side: Side, depth: Depth) -> list[PaperOrder]:
        """Remove and return the stop orders of a side whose price a book has reached."""
        best, orders = depth.best_for(side), self._stops[side]
        reached = list(takewhile(lambda order: is_reached(order, best), orders))
        del orders[: len(reached)]
        return reached


def is_reached(order: PaperOrder, best: Decimal | None) -> bool:
    """Return whether the best price of an order's side has reached its stop price."""
    stop = order.request.stop_price
    if best is None or stop is None:
        return False
    return best >= stop if order.request.side is Side.BUY else best <= stop


def _price(order: PaperOrder) -> Decimal:
    if order.request.price is None:
        raise ValueError("an order without a price does not rest")
    return order.request.price


def _limit_key(order: PaperOrder) -> _Key:
    price = _price(order)
    return (-price if order.request.side is Side.BUY else price, order.number)


def _stop_key(order: PaperOrder) -> _Key:
    stop = order.request.stop_price
    if stop is None:
        raise ValueError("only a stop order waits for its stop price")
    return (stop if order.request.side is Side.BUY else -stop, order.number)
