"""Faults of the paper exchange: what it tells of orders, profit and trades."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from gateway.server.app import Gateway
from gateway.sources.exchange.settlement import Announcement
from tests.faults.ports import wrap

_ONE_IN: Final = 10
_TRADE: Final = "trade:executed"
_FILLS: Final = ("order:filled", "order:partially-filled")

Announcements = list[Announcement]


def _change(gateway: Gateway, change: Callable[[Announcements], Announcements]) -> None:
    """Change what the exchange tells before it is numbered. Without an exchange it changes nothing.

    Args:
        gateway: the gateway.
        change: takes and returns the announcements of one step.
    """
    exchange = gateway.sources.exchange
    if exchange is None:
        return

    def around(take: Callable[[], Announcements]) -> Callable[[], Announcements]:
        return lambda: change(take())

    wrap(exchange._exchange, "take_announcements", around)


def fill_early(gateway: Gateway) -> None:
    """Tell one fill in ten before the trade that makes it."""
    numbers = itertools.count(1)

    def change(told: Announcements) -> Announcements:
        for place, (one, two) in enumerate(itertools.pairwise(told)):
            is_fill = one.event == _TRADE and two.event in _FILLS
            if is_fill and not next(numbers) % _ONE_IN:
                told[place : place + 2] = [two, one]
        return told

    _change(gateway, change)


def tell_another_profit(gateway: Gateway) -> None:
    """Tell one position in ten with a cent more of profit."""
    numbers = itertools.count(1)

    def change(told: Announcements) -> Announcements:
        for one in told:
            position = one.data.get("position")
            if position is not None and not next(numbers) % _ONE_IN:
                profit = Decimal(position["realizedPnL"]) + Decimal("0.01")
                position["realizedPnL"] = str(profit)
        return told

    _change(gateway, change)


def forget_fee(gateway: Gateway) -> None:
    """Leave the fee of one trade in ten out of what its owner is told."""
    numbers = itertools.count(1)

    def change(told: Announcements) -> Announcements:
        for one in told:
            if one.event == _TRADE and not next(numbers) % _ONE_IN:
                one.data["trade"]["fee"] = "0"
        return told

    _change(gateway, change)


def change_public_price(gateway: Gateway) -> None:
    """Tell others one trade in ten with another price than its owner."""
    numbers = itertools.count(1)

    def around(broadcast: Callable[..., int]) -> Callable[..., int]:
        def changing(event: str, data: Any, **more: Any) -> int:
            if event == _TRADE and "userSeq" not in data and not next(numbers) % _ONE_IN:
                price = str(Decimal(data["trade"]["price"]) + 1)
                data = {**data, "trade": {**data["trade"], "price": price}}
            return broadcast(event, data, **more)

        return changing

    wrap(gateway.transport, "broadcast", around)
