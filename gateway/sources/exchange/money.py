"""Exact decimals: amounts as clients write them, sums without rounding, quotients with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import wraps
from typing import Final, ParamSpec, TypeVar

ZERO: Final = Decimal(0)
PLACES: Final = 8
"""Decimals of a price or quantity."""
AMOUNT_RULE: Final = f'a number above 0 with at most 12 digits and {PLACES} decimals, such as "0.5"'
_AMOUNT: Final = re.compile(rf"[0-9]{{1,12}}(\.[0-9]{{1,{PLACES}}})?")
_LONGEST: Final = 40
_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_QUOTIENT: Final = Decimal(1).scaleb(-2 * PLACES)
_TRAPS: Final = [DivisionByZero, InvalidOperation, Overflow]
# A value has 24 digits and 16 decimals, a fee 6 decimals more; sums of them stay far below.
_EXACT: Final = Context(prec=100, traps=[Inexact, *_TRAPS])
_ROUNDED: Final = Context(prec=100, rounding=ROUND_HALF_EVEN, traps=_TRAPS)

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


def exactly(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
    """Return a function in which an arithmetic operation that would round raises ``Inexact``."""

    @wraps(function)
    def calculate(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Returned:
        with localcontext(_EXACT):
            return function(*arguments, **named)

    return calculate


def parse_amount(value: object) -> Decimal:
    """Return the amount of a JSON string or number.

    Raises:
        ValueError: it is no amount. The message says what would be right.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = format(Decimal(repr(value)), "f")
        if "." in value:
            value = value.rstrip("0").removesuffix(".")
    is_amount = isinstance(value, str) and len(value) < _LONGEST and _AMOUNT.fullmatch(value)
    amount = Decimal(value) if is_amount and isinstance(value, str) else ZERO
    if amount <= 0:
        raise ValueError(f"must be {AMOUNT_RULE}")
    return amount


def from_market(number: float) -> Decimal:
    """Return a number of the market data with ``PLACES`` decimals, rounded down."""
    return Decimal(repr(number)).quantize(_QUANTUM, rounding=ROUND_DOWN, context=_ROUNDED)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return a quotient, rounded to twice ``PLACES`` decimals."""
    return _ROUNDED.divide(dividend, divisor).quantize(_QUOTIENT, context=_ROUNDED)


def rounded(value: Decimal) -> Decimal:
    """Return a value rounded to ``PLACES`` decimals."""
    return value.quantize(_QUANTUM, context=_ROUNDED)


def text(value: Decimal) -> str:
    """Return a value as it goes on the wire: without exponent and without zeros at the end."""
    written = format(value, "f")
    if "." in written:
        written = written.rstrip("0").removesuffix(".")
    return "0" if written in ("-0", "") else written
