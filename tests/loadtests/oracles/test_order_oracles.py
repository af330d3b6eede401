"""The oracles of orders, against what the paper exchange tells and against spoilt forms of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from gateway.contract import EVENTS, Audience, OrderType, Side, TimeInForce
from gateway.routing import public_form
from gateway.sources.exchange.depth import Depth
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.settlement import Announcement, ExchangeTerms
from loadtests.oracles.order_flow import OrderFlow
from loadtests.oracles.order_money import OrderMoney
from loadtests.oracles.public_forms import PublicForms

AT = "2026-01-02T03:04:05.678Z"
USER = "vu-1"
SYMBOL = "BTC/USDT"
TERMS = ExchangeTerms(
    starting={"USDT": Decimal(100_000), "BTC": Decimal(3)},
    fee_rate=Decimal("0.0017"),
    most_open=10,
)
Told = list[tuple[str, dict[str, Any]]]
Spoil = Callable[[Told], None]


def depth(middle: float) -> Depth:
    bids = [(middle - 0.5 - level, 0.7) for level in range(3)]
    return Depth(bids, [(middle + 0.5 + level, 0.7) for level in range(3)])


def ask(side: Side, kind: OrderType, quantity: str, price: str | None = None) -> OrderRequest:
    is_stop = kind is OrderType.STOP
    return OrderRequest(
        symbol=SYMBOL,
        side=side,
        type=kind,
        quantity=Decimal(quantity),
        price=None if price is None or is_stop else Decimal(price),
        stop_price=Decimal(price) if price is not None and is_stop else None,
        time_in_force=TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC,
    )


class Session:
    """A user's day at the paper exchange: what was told, and what was answered."""

    def __init__(self) -> None:
        exchange = PaperExchange(TERMS, "t")
        self.announced: list[Announcement] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []

        def note() -> None:
            self.announced += exchange.take_announcements()

        def place(request: OrderRequest, book: Depth) -> str:
            order = exchange.place(USER, request, book, AT)
            note()
            self.answers.append((len(self.announced), order.payload()))
            return order.id

        place(ask(Side.BUY, OrderType.MARKET, "1.3"), depth(100))
        place(ask(Side.SELL, OrderType.MARKET, "0.4"), depth(103.3))
        first = place(ask(Side.BUY, OrderType.LIMIT, "2", "95"), depth(101))
        place(ask(Side.SELL, OrderType.STOP, "0.9", "96.7"), depth(101))
        place(ask(Side.SELL, OrderType.LIMIT, "900", "95"), depth(101))  # rejected
        exchange.match(SYMBOL, depth(94.6), AT)
        note()
        place(ask(Side.SELL, OrderType.MARKET, "2"), depth(93))  # from long to short
        place(ask(Side.BUY, OrderType.MARKET, "1"), depth(97.77))
        order = exchange.cancel(USER, first, AT)
        note()
        assert order is not None
        self.answers.append((len(self.announced), order.payload()))

    @property
    def told(self) -> Told:
        found = [(one.event, copy.deepcopy(one.data)) for one in self.announced]
        return [(name, {**data, "seq": n, "userSeq": n}) for n, (name, data) in enumerate(found, 1)]


SESSION = Session()
BEFORE = PaperExchange(TERMS, "t").portfolio(USER).funds.payload()


def complaints(told: Told, answers: list[tuple[int, dict[str, Any]]] | None = None) -> list[str]:
    flow, money = OrderFlow(), OrderMoney()
    money.begin(BEFORE)
    due = list(SESSION.answers if answers is None else answers)
    found: list[str | None] = []
    for number, (name, payload) in enumerate(told):
        while due and due[0][0] <= number:
            found.append(flow.answer(due.pop(0)[1]))
        found += [flow.take(name, payload), money.take(name, payload)]
    found += [flow.answer(answer) for _, answer in due]
    return [words for words in (*found, *flow.close(), *money.close()) if words]


def place_of(told: Told, event: str, number: int = 0) -> int:
    return [place for place, (name, _) in enumerate(told) if name == event][number]


def test_what_the_exchange_tells_is_legal_and_adds_up() -> None:
    names = {name for name, _ in SESSION.told}
    assert names >= {"order:partially-filled", "order:rejected", "order:cancelled"}
    assert names >= {"position:opened", "position:updated", "position:closed", "balance:updated"}
    assert complaints(SESSION.told) == []


def test_an_answer_may_come_before_its_events() -> None:
    early = [(0, answer) for _, answer in SESSION.answers]
    assert complaints(SESSION.told, early) == []


def drop(event: str, number: int = 0) -> Spoil:
    def spoil(told: Told) -> None:
        del told[place_of(told, event, number)]

    return spoil


def change(event: str, subject: str, number: int = 0, **fields: Any) -> Spoil:
    def spoil(told: Told) -> None:
        payload = told[place_of(told, event, number)][1]
        (payload[subject] if subject else payload).update(fields)

    return spoil


def repeat(event: str) -> Spoil:
    def spoil(told: Told) -> None:
        place = place_of(told, event)
        told.insert(place, told[place])

    return spoil


def swap(event: str, other: str) -> Spoil:
    def spoil(told: Told) -> None:
        one, two = place_of(told, event), place_of(told, other)
        told[one], told[two] = told[two], told[one]

    return spoil


def change_balance(told: Told) -> None:
    told[place_of(told, "balance:updated", 1)][1]["balances"][0].update(
        total="5", available="5", reserved="0"
    )


SPOILT = [
    pytest.param(drop("order:created"), id="order not created"),
    pytest.param(drop("order:submitted"), id="order not submitted"),
    pytest.param(drop("trade:executed"), id="trade lost"),
    pytest.param(drop("order:filled"), id="fill lost"),
    pytest.param(drop("order:cancelled"), id="cancellation lost"),
    pytest.param(drop("position:opened"), id="position lost"),
    pytest.param(drop("position:closed"), id="closing lost"),
    pytest.param(repeat("trade:executed"), id="trade twice"),
    pytest.param(repeat("order:filled"), id="fill twice"),
    pytest.param(repeat("position:opened"), id="position twice"),
    pytest.param(swap("order:created", "order:submitted"), id="submitted before created"),
    pytest.param(swap("trade:executed", "order:partially-filled"), id="fill before its trade"),
    pytest.param(change("order:filled", "order", filledQuantity="1"), id="filled quantity"),
    pytest.param(change("order:filled", "order", averagePrice="100"), id="average price"),
    pytest.param(change("order:filled", "order", status="cancelled"), id="status"),
    pytest.param(change("order:filled", "order", side="sell"), id="side of an order"),
    pytest.param(change("order:submitted", "order", clientOrderId="x"), id="another name"),
    pytest.param(change("order:cancelled", "order", status="unknown"), id="unknown status"),
    pytest.param(change("trade:executed", "trade", side="sell"), id="side of a trade"),
    pytest.param(change("trade:executed", "trade", value="1"), id="value"),
    pytest.param(change("trade:executed", "trade", fee="0"), id="fee"),
    pytest.param(change("trade:executed", "trade", fee="-1"), id="negative fee"),
    pytest.param(change("trade:executed", "trade", quantity="0", value="0"), id="no quantity"),
    pytest.param(change("position:updated", "position", entryPrice="100"), id="entry"),
    pytest.param(change("position:updated", "position", realizedPnL="1"), id="realized"),
    pytest.param(change("position:updated", "position", unrealizedPnL="1"), id="unrealized"),
    pytest.param(change("position:updated", "position", totalPnL="-9"), id="total profit"),
    pytest.param(change("position:closed", "position", realizedPnL="0"), id="closed profit"),
    pytest.param(change("position:opened", "position", side="short"), id="side of a position"),
    pytest.param(change("balance:updated", "", 1, balance="7"), id="main balance"),
    pytest.param(change_balance, id="a total without a trade"),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_is_spoilt_is_found(spoil: Spoil) -> None:
    told = SESSION.told
    spoil(told)
    assert complaints(told)


def test_an_answer_that_no_event_confirms_is_found() -> None:
    answers = [(0, SESSION.answers[0][1] | {"averagePrice": "1"})]
    assert len(complaints(SESSION.told, answers)) == 1
    assert len(complaints(SESSION.told, [(0, {"id": "x", "status": "filled"})])) == 1


def test_orders_that_are_long_done_are_forgotten() -> None:
    exchange, flow = PaperExchange(TERMS, "t"), OrderFlow()
    for _ in range(300):
        order = exchange.place(USER, ask(Side.SELL, OrderType.LIMIT, "9", "1"), depth(9), AT)
        for one in exchange.take_announcements():
            assert flow.take(one.event, one.data) is None
        assert flow.answer(order.payload()) is None
    assert len(flow._told) == len(flow._answered) == 100


def public(told: Told) -> Told:
    found = []
    for name, payload in told:
        row = EVENTS[name]
        if row.audience is Audience.OWNER_AND_PUBLIC and row.subject is not None:
            form = public_form(row.subject, payload, key=b"k" * 16)
            found.append((name, {**form, "seq": payload["seq"]}))
    return found


@pytest.mark.parametrize("is_owner_first", [True, False])
def test_both_forms_of_an_event_are_compared_whichever_comes_first(is_owner_first: bool) -> None:
    forms, owned, shown = PublicForms(), SESSION.told, public(SESSION.told)
    order = (owned, shown) if is_owner_first else (shown, owned)
    assert [forms.take(*one) for told in order for one in told] == [None] * (
        len(owned) + len(shown)
    )
    assert forms.checked == len(shown)


@pytest.mark.parametrize(
    ("event", "subject", "fields"),
    [
        ("order:filled", "order", {"side": "sell"}),
        ("trade:executed", "trade", {"price": "1"}),
        ("position:opened", "position", {"quantity": "9"}),
        ("order:created", "order", {"id": None}),
    ],
)
def test_a_public_form_that_tells_something_else_is_found(
    event: str, subject: str, fields: dict[str, Any]
) -> None:
    forms, shown = PublicForms(), public(SESSION.told)
    change(event, subject, **fields)(shown)
    for one in SESSION.told:
        assert forms.take(*one) is None
    assert len([words for words in (forms.take(*one) for one in shown) if words]) == 1
