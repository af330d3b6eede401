"""What holds after any orders, cancellations and books, checked against the told events alone."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import ORDER_STEPS, OrderStatus, OrderType, Side, TimeInForce
from gateway.sources.exchange.depth import Depth, is_beyond
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.settlement import Announcement, ExchangeTerms

SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/ETH")
USERS = ("al", "bo")
AT = "2026-01-02T03:04:05.678Z"
STARTING = {"USDT": Decimal(2_000), "BTC": Decimal("3.5"), "ETH": Decimal(40)}
TERMS = ExchangeTerms(starting=STARTING, fee_rate=Decimal("0.00123"), most_open=8, most_done=5)

sizes = st.integers(1, 500_000_000).map(lambda number: number / 1e8)
amounts = sizes.map(lambda size: Decimal(repr(size)).quantize(Decimal("1e-8")))
prices = st.integers(8_000, 12_000).map(lambda number: Decimal(number) / 100)


@st.composite
def books(draw: st.DrawFn) -> Depth:
    """Draw a book that does not cross, with gaps, of up to three levels a side."""
    middle = draw(st.integers(85, 115))
    levels = st.lists(sizes, max_size=3)
    bids = [(middle - 0.5 - level, size) for level, size in enumerate(draw(levels))]
    asks = [(middle + 0.5 + level, size) for level, size in enumerate(draw(levels))]
    return Depth(bids, asks)


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    kind = draw(st.sampled_from(OrderType))
    has_price = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    has_stop = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    return OrderRequest(
        symbol=draw(st.sampled_from(SYMBOLS)),
        side=draw(st.sampled_from(Side)),
        type=kind,
        quantity=draw(amounts),
        price=draw(prices) if has_price else None,
        stop_price=draw(prices) if has_stop else None,
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )


steps = st.one_of(
    st.tuples(st.just("place"), st.sampled_from(USERS), requests()),
    st.tuples(st.just("cancel"), st.sampled_from(USERS), st.integers(0, 7)),
    st.tuples(st.just("book"), st.sampled_from(SYMBOLS), books()),
)


class World:
    """An exchange, its present books, and all that it has told."""

    def __init__(self) -> None:
        self.exchange = PaperExchange(TERMS, "t")
        self.books = dict.fromkeys(SYMBOLS, Depth((), ()))
        self.told: list[Announcement] = []

    def do(self, kind: str, who: str, what: Any) -> list[Announcement]:
        if kind == "place":
            self.exchange.place(who, what, self.books[what.symbol], AT)
        elif kind == "cancel":
            orders = list(self.exchange.portfolio(who).open_orders)
            if orders:
                self.exchange.cancel(who, orders[what % len(orders)].id, AT)
        else:
            self.books[who] = what
            self.exchange.match(who, what, AT)
        fresh = self.exchange.take_announcements()
        self.told += fresh
        return fresh

    def of(self, subject: str, user: str | None = None) -> list[dict[str, Any]]:
        return [
            one.data[subject]
            for one in self.told
            if subject in one.data and user in (None, one.user_id)
        ]


def run(actions: list[tuple[str, str, Any]]) -> World:
    world = World()
    for action in actions:
        world.do(*action)
        check_reservations(world)
    return world


def check_reservations(world: World) -> None:
    for user in USERS:
        portfolio = world.exchange.portfolio(user)
        reserved: dict[str, Decimal] = defaultdict(Decimal)
        for order in portfolio.open_orders:
            base, quote = TERMS.currencies(order.request.symbol)
            reserved[quote if order.request.side is Side.BUY else base] += order.reserved
        for currency in portfolio.funds.currencies():
            assert portfolio.funds.available(currency) >= 0
            assert portfolio.funds.reserved(currency) == reserved[currency] >= 0


actions = st.lists(steps, min_size=1, max_size=40)


@given(actions)
def test_every_unit_of_a_currency_comes_from_a_trade_and_goes_into_one(
    actions: list[tuple[str, str, Any]],
) -> None:
    world = run(actions)
    for user in USERS:
        owned = dict(STARTING)
        for trade in world.of("trade", user):
            base, quote = TERMS.currencies(trade["symbol"])
            sign = 1 if trade["side"] == "buy" else -1
            assert Decimal(trade["quantity"]) * Decimal(trade["price"]) == Decimal(trade["value"])
            owned[base] += sign * Decimal(trade["quantity"])
            owned[quote] -= sign * Decimal(trade["value"]) + Decimal(trade["fee"])
        funds = world.exchange.portfolio(user).funds
        assert {currency: funds.total(currency) for currency in STARTING} == owned


@given(actions)
def test_cash_and_positions_at_cost_change_by_profit_and_fees_alone(
    actions: list[tuple[str, str, Any]],
) -> None:
    world = run(actions)
    for user in USERS:
        paid: dict[str, Decimal] = defaultdict(Decimal)
        for trade in world.of("trade", user):
            sign = 1 if trade["side"] == "buy" else -1
            paid[trade["symbol"]] += sign * Decimal(trade["value"])
        positions = world.exchange.portfolio(user).positions
        closed: dict[str, Decimal] = defaultdict(Decimal)
        for position in world.of("position", user):
            if position["status"] == "closed":
                closed[position["symbol"]] += Decimal(position["realizedPnL"])
        for symbol in SYMBOLS:
            held = positions.get(symbol)
            cost = realized = Decimal(0)
            if held is not None:
                cost = held.cost if held.side is Side.BUY else -held.cost
                realized = held.realized
            # The told profit has 8 decimals: of each closed position the rest is less than half.
            off = abs(paid[symbol] - cost + realized + closed[symbol])
            assert off <= Decimal("0.5e-8") * len(world.of("position", user))


@given(actions)
def test_orders_are_filled_by_their_trades_and_never_beyond(
    actions: list[tuple[str, str, Any]],
) -> None:
    world = run(actions)
    trades: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for trade in world.of("trade"):
        trades[trade["orderId"]].append(trade)
    latest = {order["id"]: order for order in world.of("order")}
    for order_id, order in latest.items():
        own = trades.pop(order_id, [])
        filled = sum((Fraction(trade["quantity"]) for trade in own), Fraction(0))
        value = sum((Fraction(trade["value"]) for trade in own), Fraction(0))
        assert filled == Fraction(order["filledQuantity"]) <= Fraction(order["quantity"])
        assert (order["averagePrice"] is None) == (filled == 0)
        if filled:
            assert abs(value / filled - Fraction(order["averagePrice"])) <= Fraction(1, 10**8)
        if order["price"] is not None:
            side, limit = Side(order["side"]), Decimal(order["price"])
            assert not any(is_beyond(side, Decimal(trade["price"]), limit) for trade in own)
        is_whole = order["timeInForce"] != "FOK" or filled in (0, Fraction(order["quantity"]))
        assert is_whole
    assert not trades, "every trade has an order"


@given(actions)
def test_an_order_takes_no_step_that_the_contract_does_not_have(
    actions: list[tuple[str, str, Any]],
) -> None:
    states: dict[str, OrderStatus] = {}
    for one in run(actions).told:
        if not one.event.startswith("order:"):
            continue
        order_id, status = one.data["order"]["id"], OrderStatus(one.data["order"]["status"])
        before = states.get(order_id)
        assert one.event == "order:created" if before is None else status in ORDER_STEPS[before]
        states[order_id] = status


@given(actions)
def test_a_book_sells_no_more_than_it_has(actions: list[tuple[str, str, Any]]) -> None:
    world = World()
    sizes: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for kind, who, what in actions:
        if kind == "book":
            for side in Side:
                offers = what.offers(side, Decimal(10**9), None)
                sizes[who, side] = sum((offer.quantity for offer in offers), Decimal(0))
        for one in world.do(kind, who, what):
            if one.event == "trade:executed":
                trade = one.data["trade"]
                sizes[trade["symbol"], trade["side"]] -= Decimal(trade["quantity"])
    assert all(left >= 0 for left in sizes.values())


@given(actions)
def test_what_a_user_is_told_is_about_its_own_orders(actions: list[tuple[str, str, Any]]) -> None:
    world = run(actions)
    owners: dict[str, str] = {}
    for one in world.told:
        if one.event == "order:created":
            owners[one.data["order"]["id"]] = one.user_id
    for one in world.told:
        named = one.data.get("order", {}).get("id") or one.data.get("trade", {}).get("orderId")
        assert named is None or owners[named] == one.user_id
    for user in USERS:
        rows = [one.data for one in world.told if one.event == "balance:updated"]
        assert all(set(row) == {"balance", "currency", "balances"} for row in rows)
        told = [one.data for one in world.told if one[:2] == ("balance:updated", user)]
        if told:
            assert told[-1] == world.exchange.portfolio(user).funds.payload()
