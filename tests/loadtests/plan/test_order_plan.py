from __future__ import annotations

import json
from itertools import islice
from typing import Any

from gateway.contract import OrderType
from gateway.sources.exchange.request import parse_order
from loadtests.plan.order_plan import OrderPlan

SYMBOLS = ("A/USDT", "B/USDT")


def orders(plan: OrderPlan, count: int = 60) -> list[dict[str, Any]]:
    return list(islice(iter(plan.next, None), count))


def test_the_first_orders_of_a_symbol_are_market_orders_until_it_has_a_price() -> None:
    plan = OrderPlan(1, "vu-0", SYMBOLS)
    assert {order["type"] for order in orders(plan)} == {"market"}
    plan.note_price("A/USDT", 100.0)
    later = orders(plan)
    assert {order["type"] for order in later if order["symbol"] == "A/USDT"} == set(OrderType)
    assert {order["type"] for order in later if order["symbol"] == "B/USDT"} == {"market"}


def test_every_order_is_one_that_the_exchange_can_read() -> None:
    plan = OrderPlan(1, "vu-0", SYMBOLS)
    plan.note_price("A/USDT", 0.000123456789)
    plan.note_price("B/USDT", 98_765.4321)
    for order in orders(plan, 200):
        request = parse_order(json.dumps(order).encode(), SYMBOLS.__contains__)
        assert request.symbol == order["symbol"]


def test_the_same_seed_and_user_give_the_same_orders() -> None:
    def drawn(seed: int, user: str) -> list[dict[str, Any]]:
        plan = OrderPlan(seed, user, SYMBOLS)
        plan.note_price("A/USDT", 10.0)
        return orders(plan)

    assert drawn(1, "vu-0") == drawn(1, "vu-0")
    assert drawn(1, "vu-0") != drawn(1, "vu-1") != drawn(2, "vu-1")


def test_some_orders_are_larger_than_any_funds() -> None:
    plan = OrderPlan(1, "vu-0", SYMBOLS[:1])
    plan.note_price("A/USDT", 10.0)
    dear = [order for order in orders(plan, 130) if float(order["quantity"]) > 1e9]
    assert len(dear) == 10
