from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from gateway.contract import OrderType, Side, TimeInForce
from gateway.sources.exchange import paper_exchange
from gateway.sources.exchange.depth import Depth
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.settlement import Announcement, ExchangeTerms

SYMBOL = "BTC/USDT"
AT = "2026-01-02T03:04:05.678Z"
STARTING = {"USDT": Decimal(10_000), "BTC": Decimal(5)}
TERMS = ExchangeTerms(starting=STARTING, fee_rate=Decimal("0.001"), most_open=3, most_done=4)


def depth(
    bids: tuple[tuple[float, float], ...] = ((99.0, 1.0), (98.0, 2.0)),
    asks: tuple[tuple[float, float], ...] = ((101.0, 1.0), (102.0, 2.0)),
) -> Depth:
    return Depth(bids, asks)


def asked(
    side: Side = Side.BUY,
    kind: OrderType = OrderType.LIMIT,
    quantity: str = "1",
    price: str | None = None,
    *,
    stop: str | None = None,
    in_force: TimeInForce = TimeInForce.GTC,
    name: str | None = None,
) -> OrderRequest:
    return OrderRequest(
        symbol=SYMBOL,
        side=side,
        type=kind,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        stop_price=None if stop is None else Decimal(stop),
        time_in_force=in_force,
        client_order_id=name,
    )


@pytest.fixture
def exchange() -> PaperExchange:
    return PaperExchange(TERMS, "t")


def events(announced: list[Announcement]) -> list[str]:
    return [one.event for one in announced]


def last(announced: list[Announcement], event: str) -> Mapping[str, object]:
    """Return the last event of a name: what it is about, or the whole payload of a balance."""
    data = [one.data for one in announced if one.event == event][-1]
    found = data.get(event.partition(":")[0])
    return found if isinstance(found, dict) else data


def balance(exchange: PaperExchange, user: str = "al") -> dict[str, tuple[str, str]]:
    rows = exchange.portfolio(user).funds.payload()["balances"]
    return {row["currency"]: (row["available"], row["reserved"]) for row in rows}


def test_a_market_order_takes_level_after_level(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(kind=OrderType.MARKET, quantity="2"), depth(), AT)
    told = exchange.take_announcements()
    assert events(told) == [
        "order:created",
        "order:submitted",
        "trade:executed",
        "order:partially-filled",
        "position:opened",
        "trade:executed",
        "order:filled",
        "position:updated",
        "balance:updated",
    ]
    assert order.payload()["averagePrice"] == "101.5"
    assert last(told, "trade:executed")["fee"] == "0.102"
    # 203 of value and 0.203 of fees
    assert balance(exchange) == {"USDT": ("9796.797", "0"), "BTC": ("7", "0")}
    position = last(told, "position:updated")
    assert (position["quantity"], position["entryPrice"], position["currentPrice"]) == (
        "2",
        "101.5",
        "100",
    )
    assert (position["unrealizedPnL"], position["unrealizedPnLPercent"]) == ("-3", "-1.47783251")


def test_what_the_book_does_not_have_is_cancelled_for_a_market_order(
    exchange: PaperExchange,
) -> None:
    order = exchange.place("al", asked(kind=OrderType.MARKET, quantity="5"), depth(), AT)
    told = exchange.take_announcements()
    assert events(told)[-2:] == ["order:cancelled", "balance:updated"]
    assert [order.status, order.filled, order.cancelled_at] == ["cancelled", 3, AT]
    assert told[-2].data["reason"] == "The book has no more at its price"


def test_a_limit_order_rests_and_is_filled_at_its_own_price(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(quantity="2", price="100"), depth(), AT)
    assert events(exchange.take_announcements()) == [
        "order:created",
        "order:submitted",
        "balance:updated",
    ]
    assert order.status == "open"
    assert balance(exchange)["USDT"] == ("9799.8", "200.2")
    exchange.match(SYMBOL, depth(asks=((100.5, 9.0),)), AT)
    assert exchange.take_announcements() == [], "the book does not reach it"
    exchange.match(SYMBOL, depth(asks=((99.5, 0.5),)), AT)
    told = exchange.take_announcements()
    assert events(told) == [
        "trade:executed",
        "order:partially-filled",
        "position:opened",
        "balance:updated",
    ]
    assert last(told, "trade:executed")["price"] == "100"
    assert balance(exchange)["USDT"] == ("9799.8", "150.15")
    exchange.match(SYMBOL, depth(asks=((99.5, 5.0),)), AT)
    assert "order:filled" in events(exchange.take_announcements())
    assert balance(exchange) == {"USDT": ("9799.8", "0"), "BTC": ("7", "0")}
    assert not list(exchange.waiting_symbols)


def test_a_limit_order_that_crosses_trades_at_the_books_prices(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(quantity="2", price="101.5"), depth(), AT)
    assert [order.filled, order.value, order.status] == [1, 101, "partially_filled"]
    exchange.cancel("al", order.id, AT)
    assert [order.status, order.reserved] == ["cancelled", 0]
    assert balance(exchange)["USDT"] == ("9898.899", "0")


@pytest.mark.parametrize(
    ("in_force", "status", "filled"),
    [(TimeInForce.IOC, "cancelled", 1), (TimeInForce.FOK, "cancelled", 0)],
)
def test_an_order_that_does_not_wait_is_cancelled(
    exchange: PaperExchange, in_force: TimeInForce, status: str, filled: int
) -> None:
    request = asked(quantity="2", price="101", in_force=in_force)
    order = exchange.place("al", request, depth(), AT)
    assert [order.status, order.filled] == [status, filled]
    assert not list(exchange.waiting_symbols)


def test_an_order_that_is_filled_whole_or_not_at_all_is_filled_whole(
    exchange: PaperExchange,
) -> None:
    request = asked(quantity="3", price="102", in_force=TimeInForce.FOK)
    assert exchange.place("al", request, depth(), AT).status == "filled"


def test_orders_share_what_a_book_offers(exchange: PaperExchange) -> None:
    book = depth()
    for user, price in (("al", "100"), ("bo", "100.5"), ("cy", "100")):
        exchange.place(user, asked(price=price), Depth((), ()), AT)
    exchange.take_announcements()
    exchange.match(SYMBOL, depth(asks=((99.0, 1.5),)), AT)
    told = exchange.take_announcements()
    filled = [(one.user_id, one.event) for one in told if one.event.startswith("order:")]
    assert filled == [("bo", "order:filled"), ("al", "order:partially-filled")], "price, then time"
    first = exchange.place("dy", asked(kind=OrderType.MARKET), book, AT)
    second = exchange.place("ed", asked(kind=OrderType.MARKET), book, AT)
    assert [first.value, second.value] == [101, 102], "the first level is gone"


@pytest.mark.parametrize(
    ("side", "stop", "before", "after", "price"),
    [
        (Side.BUY, "105", (101.0, 102.0), (105.0, 106.0), "106"),
        (Side.SELL, "95", (98.0, 99.0), (95.0, 96.0), "95"),
    ],
)
def test_a_stop_order_waits_for_its_price(
    exchange: PaperExchange,
    side: Side,
    stop: str,
    before: tuple[float, float],
    after: tuple[float, float],
    price: str,
) -> None:
    def book(prices: tuple[float, float]) -> Depth:
        return depth(bids=((prices[0], 3.0),), asks=((prices[1], 3.0),))

    order = exchange.place("al", asked(side, OrderType.STOP, stop=stop), book(before), AT)
    assert (order.status, order.is_active) == ("open", False)
    exchange.match(SYMBOL, book(before), AT)
    assert order.status == "open"
    exchange.match(SYMBOL, book(after), AT)
    assert (order.status, order.value) == ("filled", Decimal(price))
    assert all(reserved == "0" for _, reserved in balance(exchange).values())


def test_a_stop_limit_order_rests_at_its_limit_after_its_stop(exchange: PaperExchange) -> None:
    request = asked(kind=OrderType.STOP_LIMIT, price="103", stop="105")
    order = exchange.place("al", request, depth(), AT)
    exchange.match(SYMBOL, depth(asks=((105.0, 1.0),)), AT)
    assert (order.status, order.is_active) == ("open", True)
    exchange.match(SYMBOL, depth(asks=((102.0, 1.0),)), AT)
    assert [order.status, order.value] == ["filled", 103]


def test_a_stop_price_that_the_book_has_passed_triggers_at_once(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(kind=OrderType.STOP, stop="100"), depth(), AT)
    assert order.status == "filled"


def test_a_stop_order_that_became_too_dear_is_rejected(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(kind=OrderType.STOP, quantity="90", stop="110"), depth(), AT)
    exchange.match(SYMBOL, depth(asks=((120.0, 90.0),)), AT)
    assert order.reject_reason == "Needs 10810.8 USDT, available are 10000"
    assert (order.status, balance(exchange)["USDT"]) == ("rejected", ("10000", "0"))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked(quantity="100", price="100"), "Needs 10010 USDT, available are 10000"),
        (asked(Side.SELL, quantity="6", price="90"), "Needs 6 BTC, available are 5"),
        (asked(kind=OrderType.STOP, quantity="90", stop="120"), "Needs 10810.8 USDT"),
    ],
)
def test_an_order_that_its_owner_cannot_pay_is_rejected(
    exchange: PaperExchange, request_: OrderRequest, reason: str
) -> None:
    order = exchange.place("al", request_, depth(), AT)
    assert order.reject_reason is not None
    assert order.reject_reason.startswith(reason)
    assert events(exchange.take_announcements()) == ["order:created", "order:rejected"]
    assert balance(exchange) == {"USDT": ("10000", "0"), "BTC": ("5", "0")}


def test_a_market_order_without_a_price_is_rejected(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(kind=OrderType.MARKET), Depth((), ()), AT)
    assert order.reject_reason == "The market source has no price of BTC/USDT now"


def test_a_user_has_a_number_of_open_orders(exchange: PaperExchange) -> None:
    orders = [exchange.place("al", asked(price="1"), depth(), AT) for _ in range(4)]
    assert [order.status for order in orders] == ["open", "open", "open", "rejected"]
    assert exchange.place("bo", asked(price="1"), depth(), AT).status == "open"
    exchange.cancel("al", orders[0].id, AT)
    assert exchange.place("al", asked(price="1"), depth(), AT).status == "open"


def test_an_order_of_one_name_is_placed_once(exchange: PaperExchange) -> None:
    first = exchange.place("al", asked(price="1", name="a"), depth(), AT)
    exchange.take_announcements()
    assert exchange.place("al", asked(price="1", name="a"), depth(), AT) is first
    assert exchange.take_announcements() == []
    assert exchange.place("bo", asked(price="1", name="a"), depth(), AT) is not first


def test_done_orders_are_forgotten_one_by_one(exchange: PaperExchange) -> None:
    for number in range(6):
        exchange.place("al", asked(kind=OrderType.MARKET, name=str(number)), depth(), AT)
    portfolio = exchange.portfolio("al")
    names = [order.request.client_order_id for order in portfolio.done_orders]
    assert names == ["2", "3", "4", "5"]
    assert portfolio.find_by_client_id("1") is None
    assert portfolio.find_by_client_id("2") is not None


def test_nobody_cancels_the_order_of_another(exchange: PaperExchange) -> None:
    order = exchange.place("al", asked(price="1"), depth(), AT)
    assert exchange.cancel("bo", order.id, AT) is None
    assert order.status == "open"
    cancelled = exchange.cancel("al", order.id, AT)
    assert cancelled is order
    exchange.take_announcements()
    assert exchange.cancel("al", order.id, AT) is order, "a second time changes nothing"
    assert exchange.take_announcements() == []


def test_a_position_turns_from_long_to_short(exchange: PaperExchange) -> None:
    exchange.place("al", asked(kind=OrderType.MARKET), depth(), AT)
    exchange.take_announcements()
    exchange.place("al", asked(Side.SELL, OrderType.MARKET, "3"), depth(), AT)
    told = exchange.take_announcements()
    assert [event for event in events(told) if event.startswith("position")] == [
        "position:closed",
        "position:opened",
    ]
    closed = last(told, "position:closed")
    assert (closed["quantity"], closed["status"], closed["realizedPnL"]) == ("0", "closed", "-2")
    assert (closed["entryPrice"], closed["closedAt"]) == ("101", AT)
    opened = last(told, "position:opened")
    assert (opened["side"], opened["quantity"], opened["entryPrice"]) == ("short", "2", "98")
    assert opened["unrealizedPnL"] == "-4", "worth 100 a piece, sold for 98"


def test_only_so_many_users_have_a_portfolio(
    exchange: PaperExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_exchange, "MOST_PORTFOLIOS", 1)
    assert exchange.has_room_for("al")
    exchange.place("al", asked(price="1"), depth(), AT)
    assert (exchange.has_room_for("al"), exchange.has_room_for("bo")) == (True, False)


def test_a_symbol_without_a_second_currency_is_paid_in_the_main_one() -> None:
    assert TERMS.currencies("AAPL") == ("AAPL", "USDT")
    assert TERMS.currencies("BTC/EUR") == ("BTC", "EUR")


def test_an_unkept_portfolio_shows_the_starting_funds(exchange: PaperExchange) -> None:
    assert balance(exchange, "nobody") == {"USDT": ("10000", "0"), "BTC": ("5", "0")}
    assert exchange.portfolio("nobody") is not exchange.portfolio("nobody")
