"""``Position``: what a user holds of a symbol by its trades, and the profit of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.contract import Side
from gateway.sources.exchange.money import ZERO, quotient, rounded, text


@dataclass(slots=True, kw_only=True)
class Position:
    """The net quantity of a user's trades of one symbol. Its profit is before fees.

    Attributes:
        id: of the position.
        symbol: of the trades.
        side: BUY for a long position, SELL for a short one.
        opened_at: ISO 8601.
        quantity: at least 0; 0 when it is closed.
        cost: value of the trades that opened what is still open.
        entry_price: average price of what is open, or was before it was closed.
        realized: profit of what was closed.
        updated_at: of the last trade.
    """

    id: str
    symbol: str
    side: Side
    opened_at: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    entry_price: Decimal = ZERO
    realized: Decimal = ZERO
    updated_at: str = ""

    def increase(self, quantity: Decimal, value: Decimal) -> None:
        """Take a trade of the position's side: its quantity and its value."""
        self.quantity += quantity
        self.cost += value
        self.entry_price = quotient(self.cost, self.quantity)

    def decrease(self, quantity: Decimal, value: Decimal) -> None:
        """Take a trade of the other side, of at most the open quantity.

        The closed share of the cost may be rounded. The rest of the cost stays, so that cost and
        profit together always equal the money that was paid and received.

        Raises:
            ValueError: the quantity is more than what is open.
        """
        if quantity > self.quantity:
            raise ValueError("a position is closed by at most its quantity")
        is_all = quantity == self.quantity
        closed = self.cost if is_all else quotient(self.cost * quantity, self.quantity)
        self.realized += self._gain(closed, value)
        self.cost -= closed
        self.quantity -= quantity

    def unrealized(self, price: Decimal) -> Decimal:
        """Return the profit of what is open at a price."""
        return self._gain(self.cost, self.quantity * price)

    def payload(self, price: Decimal) -> dict[str, Any]:
        """Return the position as the contract has it, valued at a price."""
        unrealized, is_open = self.unrealized(price), self.quantity > 0
        percent = quotient(unrealized * 100, self.cost) if self.cost else ZERO
        return {
            "id": self.id,
            "symbol": self.symbol,
            "side": "long" if self.side is Side.BUY else "short",
            "quantity": text(self.quantity),
            "entryPrice": text(rounded(self.entry_price)),
            "currentPrice": text(rounded(price)),
            "unrealizedPnL": text(rounded(unrealized)),
            "unrealizedPnLPercent": text(rounded(percent)),
            "realizedPnL": text(rounded(self.realized)),
            "totalPnL": text(rounded(self.realized + unrealized)),
            "status": "open" if is_open else "closed",
            "stopLoss": None,
            "takeProfit": None,
            "openedAt": self.opened_at,
            "closedAt": None if is_open else self.updated_at,
            "lastUpdated": self.updated_at,
        }

    def _gain(self, opened: Decimal, closed: Decimal) -> Decimal:
        return closed - opened if self.side is Side.BUY else opened - closed
