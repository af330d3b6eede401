"""Contract: the paper exchange: orders over HTTP, and the events that they cause."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Answer, Target

from gateway.contract import EVENTS, ORDERS_PATH, Family

Connect = Callable[..., RawClient]
SharedGateway = Callable[..., GatewayProcess]
StartGateway = Callable[..., GatewayProcess]

PAPER = {"GATEWAY_MARKET": "simulated", "GATEWAY_EXCHANGE": "paper", "GATEWAY_MARKET_RATE": "20"}
PAGE = "http://localhost:5173"
TOLD = [name for name, row in EVENTS.items() if row.family in (Family.TRADING, Family.BALANCE)]
_names = itertools.count(1)


@pytest.fixture
def paper(shared_gateway: SharedGateway) -> GatewayProcess:
    return shared_gateway(**PAPER)


class Trading:
    """A user of the exchange: a token, and a client that listens."""

    def __init__(self, target: Target, connect: Connect, **claims: Any) -> None:
        self.target = target
        self.token = target.token(f"trader-{next(_names)}", **claims)
        self.client = connect(target=target, token=self.token)

    def ask(self, method: str, path: str = ORDERS_PATH, body: object = None, **more: Any) -> Answer:
        return self.target.request(method, path, token=self.token, body=body, **more)

    def place(self, **fields: object) -> dict[str, Any]:
        wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.01"}
        answer = self.ask("POST", body=wanted | fields)
        assert answer.status == 201, answer.text
        order: dict[str, Any] = answer.json["order"]
        return order

    def cancel(self, order: Mapping[str, Any]) -> Answer:
        return self.ask("DELETE", f"{ORDERS_PATH}/{order['id']}")

    def told(self) -> list[tuple[str, Any]]:
        """Return every event of the exchange so far."""
        return self.client.received(*TOLD)


@pytest.fixture
def trading(paper: GatewayProcess, connect: Connect) -> Callable[..., Trading]:
    return lambda **claims: Trading(paper, connect, **claims)


def test_a_market_order_is_filled_and_everything_is_told_in_order(
    trading: Callable[..., Trading],
) -> None:
    user = trading()
    order = user.place(clientOrderId="mine")
    assert (order["status"], order["filledQuantity"]) == ("filled", "0.01")
    told = user.told()
    names = [name for name, _ in told]
    assert names[:2] == ["order:created", "order:submitted"]
    assert names[-3:] == ["order:filled", names[-2], "balance:updated"]
    assert names[-2] in ("position:opened", "position:updated")
    assert [payload["userSeq"] for _, payload in told] == list(range(1, len(told) + 1))
    orders = [payload["order"] for _, payload in told if "order" in payload]
    assert {one["clientOrderId"] for one in orders} == {"mine"}
    assert orders[-1] == order
    trades = [payload["trade"] for name, payload in told if name == "trade:executed"]
    paid = sum(Decimal(trade["value"]) + Decimal(trade["fee"]) for trade in trades)
    balances = {row["currency"]: row for row in told[-1][1]["balances"]}
    assert Decimal(balances["USDT"]["total"]) == 100_000 - paid
    assert balances["BTC"] == {
        "currency": "BTC",
        "available": "0.01",
        "reserved": "0",
        "total": "0.01",
    }


def test_others_see_the_public_form_alone(trading: Callable[..., Trading]) -> None:
    owner, watcher, stranger = trading(), trading(), trading()
    watcher.client.call("subscribe", {"channel": "trading"})
    order = owner.place(clientOrderId="secret")
    public = watcher.told()
    mine = [name for name, _ in owner.told()]
    assert [name for name, _ in public] == [name for name in mine if name != "balance:updated"]
    for name, payload in public:
        subject = EVENTS[name].subject
        assert subject is not None
        assert payload.keys() == {subject.key, "seq", "ts", "timestamp"}
        assert payload[subject.key].keys() <= set(subject.public)
        assert order["id"] not in str(payload)
    assert stranger.told() == []


def test_a_resting_order_reserves_and_its_cancellation_releases(
    trading: Callable[..., Trading],
) -> None:
    user = trading()
    order = user.place(type="limit", price="0.5", quantity="2")
    assert order["status"] == "open"
    statement = user.ask("GET").json
    assert [one["id"] for one in statement["orders"]] == [order["id"]]
    row = next(row for row in statement["balances"] if row["currency"] == "USDT")
    assert row == {
        "currency": "USDT",
        "available": "99998.999",
        "reserved": "1.001",
        "total": "100000",
    }
    cancelled = user.cancel(order)
    assert (cancelled.status, cancelled.json["order"]["status"]) == (200, "cancelled")
    assert user.cancel(order).status == 200, "a second time changes nothing"
    statement = user.ask("GET").json
    assert (statement["orders"], [one["id"] for one in statement["closed"]]) == ([], [order["id"]])
    assert [name for name, _ in user.told()] == [
        "order:created",
        "order:submitted",
        "balance:updated",
        "order:cancelled",
        "balance:updated",
    ]


def test_an_order_of_one_name_is_placed_once(trading: Callable[..., Trading]) -> None:
    user = trading()
    order = user.place(type="limit", price="1", clientOrderId="once")
    wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.01"}
    again = user.ask("POST", body=wanted | {"price": 1, "clientOrderId": "once"})
    assert (again.status, again.json["order"]) == (200, order)
    other = user.ask("POST", body=wanted | {"price": "2", "clientOrderId": "once"})
    assert (other.status, other.json["errors"][0]["code"]) == (409, "INVALID_PAYLOAD")
    assert len(user.ask("GET").json["orders"]) == 1


def test_a_position_is_valued_at_the_present_book(trading: Callable[..., Trading]) -> None:
    user = trading()
    user.place(symbol="ETH/USDT", quantity="1")
    (position,) = user.ask("GET").json["positions"]
    assert (position["side"], position["quantity"], position["status"]) == ("long", "1", "open")
    price, entry = Decimal(position["currentPrice"]), Decimal(position["entryPrice"])
    assert abs(Decimal(position["unrealizedPnL"]) - (price - entry)) <= Decimal("2e-8")
    user.place(symbol="ETH/USDT", side="sell", quantity="1")
    assert user.ask("GET").json["positions"] == []
    assert user.told()[-2][0] == "position:closed"


def test_an_order_that_cannot_be_paid_is_rejected(trading: Callable[..., Trading]) -> None:
    user = trading()
    order = user.place(side="sell", quantity="1")
    assert (order["status"], order["rejectReason"]) == (
        "rejected",
        "Needs 1 BTC, available are 0",
    )
    told = user.told()
    assert [name for name, _ in told] == ["order:created", "order:rejected"]
    assert told[1][1]["reason"] == order["rejectReason"]


def test_every_problem_of_an_order_is_answered_at_once(trading: Callable[..., Trading]) -> None:
    answer = trading().ask("POST", body={"symbol": "NO/NE", "side": "buy", "type": "limit"})
    assert answer.status == 400
    errors = answer.json["errors"]
    assert [error["field"] for error in errors] == ["symbol", "quantity", "price"]
    assert {error["code"] for error in errors} == {"INVALID_PAYLOAD"}
    assert errors[1]["message"] == "quantity is required"


def test_the_order_of_another_user_does_not_exist(trading: Callable[..., Trading]) -> None:
    owner, other = trading(), trading()
    order = owner.place(type="limit", price="1")
    assert other.cancel(order).status == 404
    assert owner.cancel(order).status == 200


def test_a_filled_order_cannot_be_cancelled(trading: Callable[..., Trading]) -> None:
    user = trading()
    answer = user.cancel(user.place())
    assert (answer.status, answer.json["errors"][0]["message"]) == (
        409,
        "The order is filled and cannot be cancelled",
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", [None, "nonsense"])
def test_orders_need_a_users_token(paper: GatewayProcess, method: str, token: str | None) -> None:
    answer = paper.request(method, ORDERS_PATH, token=token, body={})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_symbol_without_an_entitlement_cannot_be_traded(
    trading: Callable[..., Trading],
) -> None:
    user = trading(entitlements={"market-data": ["ETH/*"]})
    wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.01"}
    answer = user.ask("POST", body=wanted)
    assert (answer.status, answer.json["errors"][0]["code"]) == (403, "NOT_ALLOWED")
    assert user.ask("POST", body=wanted | {"symbol": "ETH/USDT"}).status == 201


def test_pages_of_allowed_origins_may_place_orders(
    paper: GatewayProcess, trading: Callable[..., Trading]
) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    allowed = paper.request("OPTIONS", ORDERS_PATH, headers={"Origin": PAGE, **asked})
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (204, PAGE)
    assert "Authorization" in allowed.headers["access-control-allow-headers"]
    user = trading()
    wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.01"}
    answer = user.ask("POST", body=wanted, headers={"Origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (201, PAGE)
    for origin in ("https://evil.example", "null"):
        headers = {"Origin": origin}
        assert paper.request("OPTIONS", ORDERS_PATH, headers=headers | asked).status == 403
        refused = user.ask("POST", body=wanted, headers=headers)
        assert (refused.status, "access-control-allow-origin" in refused.headers) == (403, False)


def test_requests_of_a_user_are_limited(start_gateway: StartGateway) -> None:
    target = start_gateway(**PAPER, GATEWAY_EXCHANGE_REQUESTS_PER_MINUTE=3)
    token, other = target.token("busy"), target.token("calm")
    answers = [target.get(ORDERS_PATH, token=token) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json["errors"][0]["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < answers[3].json["retryAfter"] <= 60_000
    assert int(answers[3].headers["retry-after"]) * 1_000 == answers[3].json["retryAfter"]
    assert target.get(ORDERS_PATH, token=other).status == 200


def test_open_orders_of_a_user_are_limited(start_gateway: StartGateway, connect: Connect) -> None:
    user = Trading(start_gateway(**PAPER, GATEWAY_EXCHANGE_MAX_OPEN_ORDERS=2), connect)
    orders = [user.place(type="limit", price="1") for _ in range(3)]
    assert [order["status"] for order in orders] == ["open", "open", "rejected"]


def test_in_development_no_token_is_needed(start_gateway: StartGateway) -> None:
    target = start_gateway(**PAPER, GATEWAY_ENV="development", JWT_SECRET=None)
    wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.01"}
    assert target.request("POST", ORDERS_PATH, body=wanted).status == 201
    assert target.get(ORDERS_PATH, token="nonsense").status == 401


def test_without_an_exchange_there_are_no_orders(gateway: Target) -> None:
    assert gateway.get(ORDERS_PATH, token=gateway.token()).status == 404


def test_a_terminating_gateway_takes_no_orders(
    start_gateway: StartGateway, connect: Connect
) -> None:
    target = start_gateway(**PAPER, GATEWAY_SHUTDOWN_SECONDS=5)
    user = Trading(target, connect)
    order = user.place(type="limit", price="1")
    admin = target.token("operator", scope="admin")
    assert target.request("POST", "/api/v1/drain", token=admin, body={}).status == 202
    wanted = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.01"}
    for answer in (user.ask("POST", body=wanted), user.cancel(order)):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
