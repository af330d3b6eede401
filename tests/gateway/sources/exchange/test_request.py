from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.contract import TimeInForce
from gateway.errors import InvalidOrder
from gateway.sources.exchange.request import OrderRequest, parse_order

LIMIT = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "10"}


def read(fields: Any) -> OrderRequest:
    return parse_order(json.dumps(fields).encode(), {"BTC/USDT"}.__contains__)


def problems(fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidOrder) as caught:
        read(fields)
    return list(caught.value.problems)


def test_a_limit_order_waits_by_default() -> None:
    request = read({**LIMIT, "clientOrderId": "a"})
    assert (request.quantity, request.price) == (Decimal("0.5"), Decimal(10))
    assert (request.time_in_force, request.client_order_id) == (TimeInForce.GTC, "a")


def test_a_market_order_never_waits() -> None:
    market = {name: value for name, value in LIMIT.items() if name != "price"} | {"type": "market"}
    assert read(market).time_in_force is TimeInForce.IOC
    assert [field for field, _ in problems({**market, "timeInForce": "GTC"})] == ["timeInForce"]


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        {"symbol": "ETH/USDT", "side": "hold", "type": "stop_limit", "quantity": 0, "prize": 1}
    )
    assert [field for field, _ in found] == [
        "prize",
        "symbol",
        "side",
        "quantity",
        "price",
        "stopPrice",
    ]
    assert found[2] == ("side", "must be one of buy, sell")
    assert found[4] == ("price", "is required")


@pytest.mark.parametrize(
    "amount", ["0", "-1", "1e3", "1.123456789", "1234567890123", "", " 1", True, [], 1e-9, 1e13]
)
def test_a_bad_amount_is_refused(amount: object) -> None:
    assert [field for field, _ in problems({**LIMIT, "quantity": amount})] == ["quantity"]


@pytest.mark.parametrize(
    ("amount", "value"),
    [(2, "2"), (0.1, "0.1"), (1e-8, "0.00000001"), ("007.50", "7.50"), (1e3, "1000")],
)
def test_an_amount_is_exact(amount: object, value: str) -> None:
    assert read({**LIMIT, "quantity": amount}).quantity == Decimal(value)


@pytest.mark.parametrize("price_of", ["price", "stopPrice"])
def test_a_price_that_the_type_does_not_have_is_refused(price_of: str) -> None:
    kind = {"price": "stop", "stopPrice": "limit"}[price_of]
    prices = {"price": "10", "stopPrice": "10"}
    ((field, words),) = problems({**LIMIT, "type": kind, **prices})
    assert (field, "leave it out" in words) == (price_of, True)


@pytest.mark.parametrize("name", ["", "x" * 65, 7, "\ud800"])
def test_a_bad_name_is_refused(name: object) -> None:
    found = problems({**LIMIT, "clientOrderId": name})
    assert [field for field, _ in found] in (["clientOrderId"], [""])


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b'{"quantity":NaN}'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidOrder) as caught:
        parse_order(body, bool)
    assert [field for field, _ in caught.value.problems] == [""]


def test_null_is_as_good_as_nothing() -> None:
    assert read({**LIMIT, "stopPrice": None, "clientOrderId": None}) == read(LIMIT)
