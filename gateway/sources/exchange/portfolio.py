"""``Portfolio``: everything that the exchange holds of one user."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, ValuesView
from decimal import Decimal

from gateway.sources.exchange.funds import Funds
from gateway.sources.exchange.order import PaperOrder
from gateway.sources.exchange.position import Position


class Portfolio:
    """The funds, open positions, open orders and latest done orders of a user.

    Args:
        user_id: the user.
        starting: available amounts, the main currency first.
        most_done: how many done orders are kept, and found by their ids.
    """

    def __init__(self, user_id: str, starting: Mapping[str, Decimal], most_done: int) -> None:
        self.user_id = user_id
        self.funds = Funds(starting)
        self.positions: dict[str, Position] = {}
        self._most_done = most_done
        self._open: dict[str, PaperOrder] = {}
        self._done: OrderedDict[str, PaperOrder] = OrderedDict()
        self._by_client_id: dict[str, PaperOrder] = {}

    @property
    def open_orders(self) -> ValuesView[PaperOrder]:
        """Orders to which something can happen, oldest first."""
        return self._open.values()

    @property
    def done_orders(self) -> ValuesView[PaperOrder]:
        """The latest done orders, oldest first."""
        return self._done.values()

    def add(self, order: PaperOrder) -> None:
        """Add a new order."""
        self._open[order.id] = order
        client_id = order.request.client_order_id
        if client_id is not None:
            self._by_client_id[client_id] = order

    def find(self, order_id: str) -> PaperOrder | None:
        """Return the order of an id, None when it is another user's, forgotten or was never."""
        return self._open.get(order_id) or self._done.get(order_id)

    def find_by_client_id(self, client_order_id: str | None) -> PaperOrder | None:
        """Return the order that its client named so, None when there is none."""
        return None if client_order_id is None else self._by_client_id.get(client_order_id)

    def finish(self, order: PaperOrder) -> None:
        """Move an open order to the done ones, and forget the oldest when there are too many."""
        self._done[order.id] = self._open.pop(order.id)
        if len(self._done) > self._most_done:
            _, oldest = self._done.popitem(last=False)
            if oldest.request.client_order_id is not None:
                del self._by_client_id[oldest.request.client_order_id]
