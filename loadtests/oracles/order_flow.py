"""Check whether a user's order events come in a legal order and agree with each other. Pure.

It knows the contract alone. Each told order is compared with what was told of it before, with its
trades, and with the answers to the user's requests.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from gateway.contract import ORDER_STEPS, OrderStatus

TRADE: Final = "trade:executed"
_CREATED: Final = "order:created"
_STATUS_OF: Final[Mapping[str, OrderStatus]] = {
    _CREATED: OrderStatus.PENDING,
    "order:submitted": OrderStatus.SUBMITTED,
    "order:partially-filled": OrderStatus.PARTIALLY_FILLED,
    "order:filled": OrderStatus.FILLED,
    "order:cancelled": OrderStatus.CANCELLED,
    "order:rejected": OrderStatus.REJECTED,
}
_FIXED: Final = (
    "clientOrderId", "symbol", "side", "type", "quantity", "price", "stopPrice", "timeInForce",
    "createdAt",
)  # fmt: skip
_ROUNDED: Final = Decimal("1e-8")
"""The contract's averages may be rounded to this."""

_MOST_DONE: Final = 100

DIGITS: Final = Context(prec=60)
"""Sums of amounts are exact with so many digits, and quotients nearly so."""

Fields = Mapping[str, Any]


class OrderFlow:
    """Judges the order and trade events of one user, in their owner's form.

    Attributes:
        checked: events that were judged.
    """

    def __init__(self) -> None:
        self.checked = 0
        self._told: dict[str, Fields] = {}
        self._answered: dict[str, Fields] = {}
        self._done: deque[str] = deque()
        self._filled: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._value: defaultdict[str, Decimal] = defaultdict(Decimal)

    def take(self, event: str, payload: Mapping[str, Any]) -> str | None:
        """Take an event.

        Args:
            event: its name; other events than those of orders and trades are not judged.
            payload: its owner's form.

        Returns:
            What is wrong, for a human; None when nothing is.
        """
        if event != TRADE and event not in _STATUS_OF:
            return None
        self.checked += 1
        try:
            with localcontext(DIGITS):
                if event == TRADE:
                    return self._take_trade(payload["trade"])
                return self._take_order(event, payload["order"])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            return f"{event} lacks what the contract gives it: {error!r}"

    def answer(self, order: Fields) -> str | None:
        """Take the order of an answer, whose events may come before or after it.

        Returns:
            What is wrong, for a human; None when nothing is.
        """
        self._answered[order["id"]] = order
        return self._contradiction(order["id"])

    def close(self) -> Iterator[str]:
        """Yield what is wrong after the last event: answers that no event confirmed."""
        for order_id, answered in self._answered.items():
            told = self._told.get(order_id)
            if told is None:
                yield f"{order_id} was answered, and no event told of it"
            elif _is_done(answered) and not _is_done(told):
                yield f"{order_id} was answered as {answered['status']}, and no event told so"

    def _contradiction(self, order_id: str) -> str | None:
        """Return how the last answer and the last event of a done order differ."""
        answered, told = self._answered.get(order_id), self._told.get(order_id)
        if answered is None or told is None or not (_is_done(answered) and _is_done(told)):
            return None
        return (
            None if answered == told else f"{order_id} was answered as {answered}, told as {told}"
        )

    def _finish(self, order_id: str) -> None:
        """Forget the oldest done orders: their answers have long come."""
        self._done.append(order_id)
        if len(self._done) > _MOST_DONE:
            oldest = self._done.popleft()
            for table in (self._told, self._answered, self._filled, self._value):
                table.pop(oldest, None)

    def _take_order(self, event: str, order: Fields) -> str | None:
        order_id, status = order["id"], OrderStatus(order["status"])
        before = self._told.get(order_id)
        self._told[order_id] = order
        if status is not _STATUS_OF[event]:
            return f"{event} of {order_id} has the status {status}"
        if before is None:
            return None if event == _CREATED else f"{order_id} begins with {event}"
        if status not in ORDER_STEPS[OrderStatus(before["status"])]:
            return f"{order_id} goes from {before['status']} to {status}"
        changed = [field for field in _FIXED if order[field] != before[field]]
        if changed:
            return f"{order_id} has another {changed[0]} than before"
        wrong = self._check_fills(order_id, order, status)
        if not _is_done(order):
            return wrong
        self._finish(order_id)
        return wrong or self._contradiction(order_id)

    def _check_fills(self, order_id: str, order: Fields, status: OrderStatus) -> str | None:
        filled, value = self._filled[order_id], self._value[order_id]
        told, quantity = Decimal(order["filledQuantity"]), Decimal(order["quantity"])
        if told != filled:
            return f"{order_id} is filled by {told}, and its trades by {filled}"
        if told > quantity:
            return f"{order_id} is filled by more than its quantity"
        if (told == quantity) != (status is OrderStatus.FILLED):
            return f"{order_id} is {status} with {told} of {quantity} filled"
        average = order["averagePrice"]
        if not told:
            return None if average is None else f"{order_id} has an average price without a trade"
        if abs(Decimal(average) - value / told) > _ROUNDED:
            return f"{order_id} has an average price of {average}, its trades {value / told}"
        return None

    def _take_trade(self, trade: Fields) -> str | None:
        order_id = trade["orderId"]
        quantity, price = Decimal(trade["quantity"]), Decimal(trade["price"])
        self._filled[order_id] += quantity
        self._value[order_id] += Decimal(trade["value"])
        order = self._told.get(order_id)
        if order is None:
            return f"a trade names the order {order_id}, of which nothing was told"
        if OrderStatus.FILLED not in ORDER_STEPS[OrderStatus(order["status"])]:
            return f"a trade of {order_id}, which is {order['status']}"
        if (trade["symbol"], trade["side"]) != (order["symbol"], order["side"]):
            return f"a trade of {order_id} has another symbol or side"
        if Decimal(trade["value"]) != quantity * price:
            return f"a trade of {order_id} has another value than quantity times price"
        if Decimal(trade["fee"]) < 0 or quantity <= 0:
            return f"a trade of {order_id} has a negative fee, or no quantity"
        limit = order["price"]
        if limit is not None and _is_worse(order["side"], price, Decimal(limit)):
            return f"a trade of {order_id} has a worse price than its limit"
        return None


def _is_done(order: Fields) -> bool:
    return not ORDER_STEPS[OrderStatus(order["status"])]


def _is_worse(side: str, price: Decimal, limit: Decimal) -> bool:
    return price > limit if side == "buy" else price < limit
