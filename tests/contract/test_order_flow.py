"""Contract: order, position, trade and balance events, the owner's form and the public one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Target

Connect = Callable[..., RawClient]

ORDER: dict[str, Any] = {
    "id": "order-1",
    "clientOrderId": "mine-7",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.5",
    "price": "43000",
    "stopPrice": None,
    "status": "open",
    "filledQuantity": "0",
    "averagePrice": None,
    "timeInForce": "GTC",
    "exchangeOrderId": "x-9",
    "rejectReason": None,
    "createdAt": "2026-01-01T00:00:00.000Z",
}
POSITION: dict[str, Any] = {
    "id": "p-1",
    "symbol": "BTC/USDT",
    "side": "long",
    "quantity": "1",
    "entryPrice": "42000",
    "status": "open",
    "unrealizedPnL": "10",
}
TRADE: dict[str, Any] = {
    "id": "t-1",
    "orderId": "order-1",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.1",
    "price": "43000",
    "value": "4300",
    "fee": "4.3",
    "exchangeOrderId": "x-9",
    "executedAt": "2026-01-01T00:00:00.000Z",
}
PUBLIC_FIELDS = {
    "order": {"id", "symbol", "side", "type", "quantity", "price", "status", "filledQuantity"}
    | {"averagePrice", "timeInForce"},
    "position": {"id", "symbol", "side", "quantity", "status"},
    "trade": {"id", "symbol", "side", "quantity", "price", "value", "executedAt"},
}


def payloads(client: RawClient, *names: str) -> list[dict[str, Any]]:
    return [payload for _, payload in client.received(*names)]


@pytest.mark.parametrize(
    ("event", "body"),
    [
        *((f"order:{what}", {"order": ORDER}) for what in ("created", "filled", "rejected")),
        *((f"position:{what}", {"position": POSITION}) for what in ("opened", "closed")),
        ("trade:executed", {"trade": TRADE}),
    ],
)
def test_an_order_event_for_both_gives_the_owner_all_and_trading_the_public_form(
    connect: Connect, gateway: Target, event: str, body: dict[str, Any]
) -> None:
    owner, watcher = connect(), connect()
    user = owner.welcome["userId"]
    for client in (owner, watcher):
        client.call("subscribe", {"channel": "trading"})
    (given,) = gateway.publish({"userId": user, "room": "trading", "event": event, "data": body})
    (own,) = payloads(owner, event)
    (public,) = payloads(watcher, event)
    (noun,) = body
    assert own[noun] == body[noun]
    assert (own["seq"], own["userSeq"]) == (given["seq"], given["userSeq"]) == (given["seq"], 1)
    assert public["seq"] == given["seq"]
    assert "userSeq" not in public
    assert public[noun].keys() <= PUBLIC_FIELDS[noun]
    shown = {name: value for name, value in public[noun].items() if name != "id"}
    assert shown == {name: body[noun][name] for name in shown}
    assert public[noun]["id"] != body[noun]["id"]
    assert user not in json.dumps(public)
    assert public.keys() <= {noun, "reason", "seq", "prevSeq", "ts", "timestamp"}


def test_the_public_id_of_one_order_stays_the_same(connect: Connect, gateway: Target) -> None:
    watcher = connect()
    watcher.call("subscribe", {"channel": "trading"})
    for event in ("order:created", "order:filled"):
        gateway.publish({"room": "trading", "event": event, "data": {"order": ORDER}})
    gateway.publish(
        {"room": "trading", "event": "order:filled", "data": {"order": {**ORDER, "id": "o-2"}}}
    )
    ids = [p["order"]["id"] for p in payloads(watcher, "order:created", "order:filled")]
    assert ids[0] == ids[1] != ids[2]


def test_the_public_id_is_new_for_each_process(
    connect: Connect, gateway: Target, start_gateway: Callable[[], Target]
) -> None:
    ids = set()
    for target in (gateway, start_gateway()):
        watcher = connect(target=target)
        watcher.call("subscribe", {"channel": "trading"})
        target.publish({"room": "trading", "event": "order:created", "data": {"order": ORDER}})
        ids.add(watcher.expect("order:created")["order"]["id"])
    assert len(ids) == 2


def test_an_order_event_for_a_user_alone_reaches_nobody_else(
    connect: Connect, gateway: Target
) -> None:
    owner, watcher = connect(), connect()
    watcher.call("subscribe", {"channel": "trading"})
    user = owner.welcome["userId"]
    (given,) = gateway.publish({"userId": user, "event": "order:filled", "data": {"order": ORDER}})
    (own,) = payloads(owner, "order:filled")
    assert own["userSeq"] == given["userSeq"] == 1
    assert "seq" not in own
    assert "seq" not in given
    assert payloads(watcher, "order:filled") == []


def test_every_connection_of_the_owner_gets_one_copy(connect: Connect, gateway: Target) -> None:
    user = connect().welcome["userId"]
    clients = [connect(user) for _ in range(3)]
    gateway.publish({"userId": user, "event": "order:filled", "data": {"order": ORDER}})
    assert [len(payloads(client, "order:filled")) for client in clients] == [1, 1, 1]


def test_a_balance_goes_to_its_owner_alone(connect: Connect, gateway: Target) -> None:
    owner, watcher = connect(), connect()
    watcher.call("subscribe", {"channel": "trading"})
    data = {"balance": "10.5", "currency": "USDT", "balances": []}
    user = owner.welcome["userId"]
    gateway.publish({"userId": user, "event": "balance:updated", "data": data})
    (own,) = payloads(owner, "balance:updated")
    assert {name: own[name] for name in data} == data
    assert own.keys() == {*data, "userSeq", "ts", "timestamp"}
    assert payloads(watcher, "balance:updated") == []
