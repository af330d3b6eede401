"""``PaperOrder``: one order and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gateway.contract import ORDER_STEPS, OrderStatus, OrderType
from gateway.sources.exchange.money import ZERO, quotient, rounded, text
from gateway.sources.exchange.request import OrderRequest

_NEVER_REST: Final = (OrderType.MARKET, OrderType.STOP)


@dataclass(slots=True, kw_only=True, eq=False)
class PaperOrder:
    """An order of a user.

    Attributes:
        id: of the order.
        user_id: its owner.
        number: later orders have higher ones.
        request: what the owner asked for.
        created_at: ISO 8601, as the other times.
        status: its state. ``step`` changes it.
        filled: the filled quantity.
        value: value of its trades.
        reserved: amount that it holds of its owner's funds.
        is_active: whether it can be filled; a stop order cannot before its price.
    """

    id: str
    user_id: str
    number: int
    request: OrderRequest
    created_at: str
    status: OrderStatus = OrderStatus.PENDING
    filled: Decimal = ZERO
    value: Decimal = ZERO
    reserved: Decimal = ZERO
    is_active: bool = field(init=False)
    exchange_order_id: str | None = None
    reject_reason: str | None = None
    submitted_at: str | None = None
    filled_at: str | None = None
    cancelled_at: str | None = None

    def __post_init__(self) -> None:
        self.is_active = self.request.stop_price is None

    @property
    def remaining(self) -> Decimal:
        """The quantity that is not filled."""
        return self.request.quantity - self.filled

    @property
    def is_done(self) -> bool:
        """Whether nothing can happen to it."""
        return not ORDER_STEPS[self.status]

    @property
    def can_rest(self) -> bool:
        """Whether it may wait for a better price once it is active."""
        return self.request.type not in _NEVER_REST

    def step(self, status: OrderStatus) -> None:
        """Enter a state.

        Raises:
            ValueError: ORDER_STEPS does not have the step.
        """
        if status not in ORDER_STEPS[self.status]:
            raise ValueError(f"an order that is {self.status} does not become {status}")
        self.status = status

    def fill(self, quantity: Decimal, value: Decimal, at: str) -> None:
        """Take a trade.

        Args:
            quantity: of the trade, at most what remains.
            value: of the trade.
            at: the time, ISO 8601.

        Raises:
            ValueError: the quantity is larger, or the order is done.
        """
        if quantity > self.remaining:
            raise ValueError("an order is filled by at most its quantity")
        self.filled += quantity
        self.value += value
        self.step(OrderStatus.PARTIALLY_FILLED if self.remaining else OrderStatus.FILLED)
        if self.status is OrderStatus.FILLED:
            self.filled_at = at

    def payload(self) -> dict[str, Any]:
        """Return the order as the contract has it, for its owner."""
        request = self.request
        return {
            "id": self.id,
            "clientOrderId": request.client_order_id,
            "symbol": request.symbol,
            "side": request.side.value,
            "type": request.type.value,
            "quantity": text(request.quantity),
            "price": _text_or_none(request.price),
            "stopPrice": _text_or_none(request.stop_price),
            "status": self.status.value,
            "filledQuantity": text(self.filled),
            "averagePrice": text(rounded(quotient(self.value, self.filled)))
            if self.filled
            else None,
            "timeInForce": request.time_in_force.value,
            "exchangeOrderId": self.exchange_order_id,
            "rejectReason": self.reject_reason,
            "createdAt": self.created_at,
            "submittedAt": self.submitted_at,
            "filledAt": self.filled_at,
            "cancelledAt": self.cancelled_at,
        }


def _text_or_none(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
