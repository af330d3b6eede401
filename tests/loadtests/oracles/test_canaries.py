from __future__ import annotations

from typing import Any

import pytest

from gateway.contract import ORDER
from loadtests.oracles.canaries import canary, owner_of, private_field_of

ENVELOPE = {"seq": 3, "prevSeq": 2, "ts": 1, "srcTs": 1, "timestamp": "t"}


@pytest.mark.parametrize(
    ("name", "payload", "owner"),
    [
        ("order:created", {"order": {"clientOrderId": "order:vu-1:3"}}, "vu-1"),
        ("order:filled", {"order": {"clientOrderId": "order:vu-11:3"}}, "vu-11"),
        ("order:created", {"order": {"clientOrderId": "their own shape"}}, None),
        ("order:created", {"order": {"clientOrderId": 7}}, None),
        ("order:created", {"order": {}}, None),
        ("order:created", {"order": None}, None),
        ("position:opened", {"position": {"id": "position:vu-1:3"}}, "vu-1"),
        ("trade:executed", {"trade": {"orderId": "trade:vu-1:3"}}, "vu-1"),
        ("balance:updated", {"reference": "balance:vu-1:3"}, "vu-1"),
        ("price:update", {"symbol": "order:vu-1:3"}, None),
    ],
    ids=str,
)
def test_a_canary_tells_whose_an_event_is(
    name: str, payload: dict[str, Any], owner: str | None
) -> None:
    assert owner_of(name, payload) == owner


def test_a_user_id_of_any_character_comes_back_whole() -> None:
    user_id = "A.z_0@|+=-"
    payload = {"order": canary(ORDER, user_id, 7)}
    assert owner_of("order:created", payload) == user_id


@pytest.mark.parametrize(
    ("name", "payload", "field"),
    [
        ("order:created", {"order": {"id": "h", "symbol": "S", "averagePrice": "1"}}, None),
        ("order:created", {"order": {"exchangeOrderId": "e"}}, "order.exchangeOrderId"),
        ("order:created", {"order": {"id": "order:vu-1:3"}}, "order.id"),
        ("order:cancelled", {"order": {"id": "h"}, "reason": "why"}, "reason"),
        ("order:created", {"order": {"id": "h"}, "userId": "vu-1"}, "userId"),
        ("position:opened", {"position": {"id": "h", "status": "open"}}, None),
        ("position:opened", {"position": {"entryPrice": "1"}}, "position.entryPrice"),
        ("position:opened", {"position": {"id": "position:vu-1:3"}}, "position.id"),
        ("trade:executed", {"trade": {"value": "1"}}, None),
        ("trade:executed", {"trade": {"fee": "1"}}, "trade.fee"),
        ("trade:executed", {"order": {"id": "h"}}, "order"),
        ("balance:updated", {"balance": "1"}, "balance"),
        ("price:update", {"symbol": "S", "secret": 1}, None),
    ],
    ids=str,
)
def test_the_public_form_has_no_other_field(
    name: str, payload: dict[str, Any], field: str | None
) -> None:
    assert private_field_of(name, {**payload, **ENVELOPE}) == field
