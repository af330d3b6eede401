"""``Funds``: a user's money by currency: available and reserved."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.sources.exchange.money import ZERO, text


class Funds:
    """Available and reserved amounts; none of them is ever below 0.

    Args:
        starting: available amounts, the main currency first.
    """

    def __init__(self, starting: Mapping[str, Decimal]) -> None:
        self._main = next(iter(starting))
        self._available = dict(starting)
        self._reserved: dict[str, Decimal] = {}

    def available(self, currency: str) -> Decimal:
        """Return what may be reserved or paid."""
        return self._available.get(currency, ZERO)

    def reserved(self, currency: str) -> Decimal:
        """Return what open orders hold."""
        return self._reserved.get(currency, ZERO)

    def total(self, currency: str) -> Decimal:
        """Return available and reserved together."""
        return self.available(currency) + self.reserved(currency)

    def currencies(self) -> tuple[str, ...]:
        """Return every currency that the user has had, the main one first."""
        return tuple(self._available)

    def reserve(self, currency: str, amount: Decimal) -> None:
        """Move an available amount to the reserved one.

        Raises:
            ValueError: less is available.
        """
        self.pay(currency, amount)
        self._reserved[currency] = self.reserved(currency) + amount

    def release(self, currency: str, amount: Decimal) -> None:
        """Move a reserved amount back to the available one.

        Raises:
            ValueError: less is reserved.
        """
        left = self.reserved(currency) - amount
        if left < 0:
            raise ValueError(f"{text(amount)} {currency} are not reserved")
        self._reserved[currency] = left
        self.receive(currency, amount)

    def pay(self, currency: str, amount: Decimal) -> None:
        """Take an available amount away.

        Raises:
            ValueError: less is available.
        """
        left = self.available(currency) - amount
        if left < 0:
            raise ValueError(f"{text(amount)} {currency} are not available")
        self._available[currency] = left

    def receive(self, currency: str, amount: Decimal) -> None:
        """Add an amount to the available one."""
        self._available[currency] = self.available(currency) + amount

    def payload(self) -> dict[str, Any]:
        """Return ``{balance, currency, balances}`` as the contract has it."""
        return {
            "balance": text(self.total(self._main)),
            "currency": self._main,
            "balances": [
                {
                    "currency": currency,
                    "available": text(self.available(currency)),
                    "reserved": text(self.reserved(currency)),
                    "total": text(self.total(currency)),
                }
                for currency in self._available
            ],
        }
