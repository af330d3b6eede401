"""The settings of the paper exchange."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from gateway.setting_kinds import Setting
from gateway.sources.exchange.money import AMOUNT_RULE, parse_amount
from gateway.values import one_of, whole

_PAPER: Final = "paper"
_CURRENCY: Final = re.compile(r"[A-Z0-9][A-Za-z0-9]{0,15}", re.ASCII)
_MOST_CURRENCIES: Final = 100
_PERCENT: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,4})?", re.ASCII)


def balances(value: str) -> tuple[tuple[str, Decimal], ...]:
    """Return comma-separated ``CURRENCY=AMOUNT``, the main currency first.

    Raises:
        ValueError: a part has another shape, or a currency comes twice.
    """
    refusal = (
        f"must be 1 to {_MOST_CURRENCIES} comma-separated CURRENCY=AMOUNT, such as "
        f"USDT=100000,BTC=1; an amount is {AMOUNT_RULE}"
    )
    found: dict[str, Decimal] = {}
    parts = [part.strip() for part in value.split(",") if part.strip()]
    for part in parts:
        currency, _, amount = part.partition("=")
        if not _CURRENCY.fullmatch(currency):
            raise ValueError(refusal)
        try:
            found[currency] = parse_amount(amount)
        except ValueError:
            raise ValueError(refusal) from None
    if not 1 <= len(found) == len(parts) <= _MOST_CURRENCIES:
        raise ValueError(refusal)
    return tuple(found.items())


def percent(value: str) -> Decimal:
    """Return a percentage as a share of 1.

    Raises:
        ValueError: it is not from 0 to 99.9999, with at most 4 decimals.
    """
    if not _PERCENT.fullmatch(value):
        raise ValueError("must be a number from 0 to 99.9999 with at most 4 decimals")
    return Decimal(value).scaleb(-2)


def exchange_problems(exchange: object, market: object) -> list[str]:
    """Return what is wrong with the exchange and the market together.

    Args:
        exchange: the setting ``exchange``.
        market: the setting ``market``.
    """
    told = (
        "GATEWAY_EXCHANGE: a paper exchange fills orders from a market source, and GATEWAY_MARKET "
        "is off; set GATEWAY_MARKET=simulated, or another source"
    )
    return [told] if exchange == _PAPER and market == "off" else []


EXCHANGE_SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "GATEWAY_EXCHANGE",
        "exchange",
        "off",
        "name",
        "off, or paper: users place orders that the market source's books fill; nothing is "
        "kept over a restart; needs GATEWAY_MARKET",
        one_of("off", _PAPER),
    ),
    Setting(
        "GATEWAY_EXCHANGE_BALANCES",
        "exchange_balances",
        "USDT=100000,USD=100000",
        "amounts",
        "what each new user of the exchange has; the first currency is the main one",
        balances,
    ),
    Setting(
        "GATEWAY_EXCHANGE_FEE_PERCENT",
        "exchange_fee",
        "0.1",
        "%",
        "fee of the exchange, of a trade's value",
        percent,
    ),
    Setting(
        "GATEWAY_EXCHANGE_MAX_OPEN_ORDERS",
        "exchange_max_open_orders",
        "100",
        "orders",
        "open orders of a user; one more is rejected",
        whole(1, 10_000),
    ),
    Setting(
        "GATEWAY_EXCHANGE_REQUESTS_PER_MINUTE",
        "exchange_requests_per_minute",
        "300",
        "requests",
        "requests of a user to the exchange in any minute; more are refused with 429",
        whole(1, 100_000),
    ),
)
