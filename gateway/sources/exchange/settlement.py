"""Settlement: what a trade changes in funds, order and position, and the events of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.contract import OrderStatus, Side
from gateway.sources.exchange.depth import Lot
from gateway.sources.exchange.money import text
from gateway.sources.exchange.order import PaperOrder
from gateway.sources.exchange.portfolio import Portfolio
from gateway.sources.exchange.position import Position


class Announcement(NamedTuple):
    """An event of a user, in its owner's form."""

    event: str
    user_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeTerms:
    """The terms on which everybody trades.

    Attributes:
        starting: what a new user has, by currency, the main currency first.
        fee_rate: fee for each unit of a trade's value.
        most_open: open orders of a user.
        most_done: done orders of a user that are kept.
    """

    starting: dict[str, Decimal]
    fee_rate: Decimal
    most_open: int
    most_done: int = 50

    @property
    def main_currency(self) -> str:
        """The currency of ``balance``, and of a symbol that names no other."""
        return next(iter(self.starting))

    def currencies(self, symbol: str) -> tuple[str, str]:
        """Return what a symbol trades, and what it is paid in: the parts of ``BTC/USDT``."""
        base, _, quote = symbol.partition("/")
        return base, quote or self.main_currency

    def with_fee(self, value: Decimal) -> Decimal:
        """Return what a buyer pays for a value."""
        return value * (1 + self.fee_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Settles the trades of one order of one user.

    Attributes:
        portfolio: of the user. The order must not hold funds meanwhile: they are paid from what
            is available.
        order: the order.
        terms: the fee.
        price: at which positions are valued.
        new_id: returns an id for a trade or a position.
        at: the time, ISO 8601.
    """

    portfolio: Portfolio
    order: PaperOrder
    terms: ExchangeTerms
    price: Decimal
    new_id: Callable[[str], str]
    at: str

    def settle(self, offer: Lot) -> Iterator[Announcement]:
        """Trade what is offered, and yield the events of it."""
        order, user_id = self.order, self.portfolio.user_id
        fee = offer.value * self.terms.fee_rate
        self._pay(offer, fee)
        order.fill(offer.quantity, offer.value, self.at)
        yield Announcement("trade:executed", user_id, {"trade": self._trade(offer, fee)})
        is_filled = order.status is OrderStatus.FILLED
        event = "order:filled" if is_filled else "order:partially-filled"
        yield Announcement(event, user_id, {"order": order.payload()})
        for happened, position in self._move_position(offer):
            data = {"position": position.payload(self.price)}
            yield Announcement(f"position:{happened}", user_id, data)

    def _pay(self, offer: Lot, fee: Decimal) -> None:
        funds = self.portfolio.funds
        base, quote = self.terms.currencies(self.order.request.symbol)
        if self.order.request.side is Side.BUY:
            funds.pay(quote, offer.value + fee)
            funds.receive(base, offer.quantity)
        else:
            funds.pay(base, offer.quantity)
            funds.receive(quote, offer.value - fee)

    def _trade(self, offer: Lot, fee: Decimal) -> dict[str, Any]:
        request = self.order.request
        return {
            "id": self.new_id("trade"),
            "orderId": self.order.id,
            "symbol": request.symbol,
            "side": request.side.value,
            "type": request.type.value,
            "quantity": text(offer.quantity),
            "price": text(offer.price),
            "value": text(offer.value),
            "fee": text(fee),
            "exchangeOrderId": self.order.exchange_order_id,
            "executedAt": self.at,
        }

    def _move_position(self, offer: Lot) -> Iterator[tuple[str, Position]]:
        """Close what the trade closes, open what it opens, and yield what happened to each."""
        symbol, side = self.order.request.symbol, self.order.request.side
        positions, left = self.portfolio.positions, offer.quantity
        held = positions.get(symbol)
        if held is not None and held.side is not side:
            closing = min(left, held.quantity)
            held.decrease(closing, closing * offer.price)
            held.updated_at = self.at
            left -= closing
            if held.quantity == 0:
                del positions[symbol]
            yield ("updated" if held.quantity else "closed"), held
        if left > 0:
            held = positions.get(symbol)
            happened = "opened" if held is None else "updated"
            if held is None:
                position_id = self.new_id("position")
                held = Position(id=position_id, symbol=symbol, side=side, opened_at=self.at)
                positions[symbol] = held
            held.increase(left, left * offer.price)
            held.updated_at = self.at
            yield happened, held
