"""``OrderRequest``: what a client asks for; every problem of a request is told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

from gateway import strict_json
from gateway.channels import is_symbol
from gateway.contract import OrderType, Side, TimeInForce
from gateway.errors import InvalidOrder, NotStrictJson
from gateway.sources.exchange.money import parse_amount

_LONGEST_ID: Final = 64
_SYMBOL, _SIDE, _TYPE, _QUANTITY = "symbol", "side", "type", "quantity"
_PRICE, _STOP_PRICE, _IN_FORCE, _ID = "price", "stopPrice", "timeInForce", "clientOrderId"
_FIELDS: Final = (_SYMBOL, _SIDE, _TYPE, _QUANTITY, _PRICE, _STOP_PRICE, _IN_FORCE, _ID)
_WITH_PRICE: Final = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_WITH_STOP: Final = (OrderType.STOP, OrderType.STOP_LIMIT)

_Name = TypeVar("_Name", bound=StrEnum)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A valid request for an order.

    Attributes:
        symbol: what to trade.
        side: buy or sell.
        type: which of the prices it has.
        quantity: how much of the symbol's first currency.
        price: worst price; None for ``market`` and ``stop``.
        stop_price: price from which on it is active; None for ``market`` and ``limit``.
        time_in_force: how long it waits.
        client_order_id: the client's name for it, by which it is placed once; None without one.
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None


def parse_order(body: bytes, is_traded: Callable[[str], bool]) -> OrderRequest:
    """Return the request in a body.

    Args:
        body: JSON, an object of the fields that ``docs/sources.md`` lists.
        is_traded: whether the market source has a symbol.

    Raises:
        InvalidOrder: the request has problems. It lists all of them.
    """
    try:
        fields = strict_json.loads(body)
    except NotStrictJson as error:
        raise InvalidOrder([("", str(error))]) from None
    if not isinstance(fields, dict):
        raise InvalidOrder([("", f"the body must be an object {{{', '.join(_FIELDS)}}}")])
    return _Reader(fields, is_traded).read()


class _Reader:
    """Reads the fields of a request, and notes each problem."""

    def __init__(self, fields: Mapping[str, Any], is_traded: Callable[[str], bool]) -> None:
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._is_traded = is_traded
        self._problems: list[tuple[str, str]] = [
            (name[:_LONGEST_ID], f"is no field of an order; those are {', '.join(_FIELDS)}")
            for name in fields
            if name not in _FIELDS
        ]

    def read(self) -> OrderRequest:
        """Return the request, or raise its problems."""
        symbol = self._take(_SYMBOL, self._symbol)
        side = self._take(_SIDE, _one_of(Side))
        kind = self._take(_TYPE, _one_of(OrderType))
        quantity = self._take(_QUANTITY, parse_amount)
        price = self._take_price(_PRICE, kind, _WITH_PRICE)
        stop_price = self._take_price(_STOP_PRICE, kind, _WITH_STOP)
        in_force = self._take(_IN_FORCE, _one_of(TimeInForce), is_required=False)
        client_order_id = self._take(_ID, _client_order_id, is_required=False)
        if kind is OrderType.MARKET and in_force is TimeInForce.GTC:
            self._note(_IN_FORCE, "a market order does not wait; use IOC or FOK, or leave it out")
        if self._problems or symbol is None or side is None or kind is None or quantity is None:
            raise InvalidOrder(self._problems)
        default = TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC
        return OrderRequest(
            symbol=symbol,
            side=side,
            type=kind,
            quantity=quantity,
            price=price,
            stop_price=stop_price,
            time_in_force=in_force or default,
            client_order_id=client_order_id,
        )

    def _take_price(
        self, name: str, kind: OrderType | None, types: tuple[OrderType, ...]
    ) -> Decimal | None:
        if kind is not None and kind not in types:
            if name in self._fields:
                self._note(name, f"belongs to the types {' and '.join(types)}; leave it out")
            return None
        return self._take(name, parse_amount, is_required=kind is not None)

    def _take(
        self, name: str, parse: Callable[[Any], _Value], *, is_required: bool = True
    ) -> _Value | None:
        if name not in self._fields:
            if is_required:
                self._note(name, "is required")
            return None
        try:
            return parse(self._fields[name])
        except ValueError as error:
            self._note(name, str(error))
            return None

    def _symbol(self, value: object) -> str:
        if not isinstance(value, str) or not is_symbol(value) or not self._is_traded(value):
            raise ValueError("must be a symbol of the market source")
        return value

    def _note(self, name: str, words: str) -> None:
        self._problems.append((name, words))


def _one_of(names: type[_Name]) -> Callable[[object], _Name]:
    def parse(value: object) -> _Name:
        if not isinstance(value, str) or value not in list(names):
            raise ValueError(f"must be one of {', '.join(names)}")
        return names(value)

    return parse


def _client_order_id(value: object) -> str:
    if not strict_json.is_text(value) or not 0 < len(value) <= _LONGEST_ID:
        raise ValueError(f"must be a text of 1 to {_LONGEST_ID} characters")
    return value
