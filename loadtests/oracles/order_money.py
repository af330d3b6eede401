"""Compute a user's positions, profit and balances from its trades, and compare. Pure.

It has its own formulas and works with 60 digits. The gateway may round what it tells to eight
decimals, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, Final

from loadtests.oracles.order_flow import DIGITS, TRADE

_POSITION: Final = "position:"
_BALANCE: Final = "balance:updated"
_ROUNDED: Final = Decimal("2e-8")

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Due:
    """A position event that the user is owed: name, symbol, signed quantity, entry, profit."""

    event: str
    symbol: str
    side: str
    quantity: Decimal
    entry: Decimal
    realized: Decimal


@dataclass(slots=True)
class _Held:
    """What the trades of a symbol add up to: signed quantity, entry price, realized profit."""

    quantity: Decimal = Decimal(0)
    entry: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)


class OrderMoney:
    """Judges the position and balance events of one user.

    A user's first balance says what it begins with, and is not judged. ``begin`` makes it another.

    Attributes:
        checked: events that were judged.
    """

    def __init__(self) -> None:
        self.checked = 0
        self._held: defaultdict[str, _Held] = defaultdict(_Held)
        self._due: deque[_Due] = deque()
        self._moved: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._totals: dict[str, Decimal] | None = None
        self._main_currency = ""

    def begin(self, statement: Mapping[str, Any]) -> None:
        """Take the balances of an answer, before the first order."""
        self._totals = {row["currency"]: Decimal(row["total"]) for row in statement["balances"]}
        self._main_currency = statement["currency"]

    def take(self, event: str, payload: Mapping[str, Any]) -> str | None:
        """Take an event.

        Args:
            event: its name; other events than those of trades, positions and balances are not
                judged.
            payload: its owner's form.

        Returns:
            What is wrong, for a human; None when nothing is.
        """
        try:
            with localcontext(DIGITS):
                if event == TRADE:
                    return self._take_trade(payload["trade"])
                if event.startswith(_POSITION):
                    self.checked += 1
                    return self._take_position(event, payload["position"])
                if event == _BALANCE:
                    self.checked += 1
                    return self._take_balances(payload)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            return f"{event} lacks what the contract gives it: {error!r}"
        return None

    def close(self) -> Iterator[str]:
        """Yield what is wrong after the last event: position events that never came."""
        for due in self._due:
            yield f"no {due.event} of {due.symbol} followed its trade"

    def _take_trade(self, trade: Fields) -> str | None:
        symbol, value = trade["symbol"], Decimal(trade["value"])
        quantity = Decimal(trade["quantity"])
        sign = 1 if trade["side"] == "buy" else -1
        base, _, quote = symbol.partition("/")
        self._moved[base] += sign * quantity
        self._moved[quote or self._main_currency] -= sign * value + Decimal(trade["fee"])
        missing = self._due[0] if self._due else None
        self._due.clear()
        self._due.extend(self._trade(symbol, sign * quantity, value / quantity))
        return None if missing is None else f"no {missing.event} of {missing.symbol} came"

    def _trade(self, symbol: str, change: Decimal, price: Decimal) -> Iterator[_Due]:
        """Apply a trade, and yield the position events that follow from it."""
        held = self._held[symbol]
        is_closing = held.quantity * change < 0
        if is_closing:
            side = _side(held.quantity)
            closed = min(abs(change), abs(held.quantity)) * (1 if held.quantity > 0 else -1)
            held.realized += closed * (price - held.entry)
            held.quantity -= closed
            change += closed
            event = "position:updated" if held.quantity else "position:closed"
            yield _Due(event, symbol, side, held.quantity, held.entry, held.realized)
            if not held.quantity:
                held.realized = Decimal(0)
        if change:
            event = "position:updated" if held.quantity else "position:opened"
            paid = held.quantity * held.entry + change * price
            held.quantity += change
            held.entry = paid / held.quantity
            side = _side(held.quantity)
            yield _Due(event, symbol, side, held.quantity, held.entry, held.realized)

    def _take_position(self, event: str, position: Fields) -> str | None:
        if not self._due:
            return f"{event} of {position['symbol']} follows no trade"
        due = self._due.popleft()
        told = event, position["symbol"], position["side"], Decimal(position["quantity"])
        if told != (due.event, due.symbol, due.side, abs(due.quantity)):
            return f"{told} was told, and the trades give {due}"
        unrealized = due.quantity * (Decimal(position["currentPrice"]) - due.entry)
        cost = abs(due.quantity) * due.entry
        expected = {
            "entryPrice": due.entry,
            "realizedPnL": due.realized,
            "unrealizedPnL": unrealized,
            "totalPnL": due.realized + unrealized,
            "unrealizedPnLPercent": 100 * unrealized / cost if cost else Decimal(0),
        }
        for field, value in expected.items():
            # A current price that is off by half a digit moves the whole quantity.
            room = _ROUNDED * (1 + abs(due.quantity)) if "nrealized" in field else _ROUNDED
            if abs(Decimal(position[field]) - value) > max(room, _ROUNDED):
                return f"{event}: {field} is {position[field]}, the trades give {float(value)}"
        return None

    def _take_balances(self, payload: Fields) -> str | None:
        totals: dict[str, Decimal] = {}
        for row in payload["balances"]:
            available, reserved = Decimal(row["available"]), Decimal(row["reserved"])
            totals[row["currency"]] = Decimal(row["total"])
            if available < 0 or reserved < 0 or available + reserved != Decimal(row["total"]):
                return f"the balance {row} does not add up"
        if Decimal(payload["balance"]) != totals[payload["currency"]]:
            return f"balance is not the total of {payload['currency']}"
        before, self._totals = self._totals, totals
        moved, self._moved = self._moved, defaultdict(Decimal)
        if before is None:
            return None
        for currency in {*before, *totals, *moved}:
            change = totals.get(currency, Decimal(0)) - before.get(currency, Decimal(0))
            if change != moved[currency]:
                return f"{currency} changed by {change}, the trades by {moved[currency]}"
        return None


def _side(quantity: Decimal) -> str:
    return "long" if quantity > 0 else "short"
