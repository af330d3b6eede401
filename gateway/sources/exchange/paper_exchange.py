"""``PaperExchange``: orders of users against the books of a market. Pure: no clock, no socket.

Orders meet the book alone, never each other. What an order takes from a book is gone for later
orders until the next book. Each method returns after everything has happened that it causes;
``take_announcements`` then returns the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from gateway.contract import OrderStatus, Side, TimeInForce
from gateway.sources.exchange.depth import Depth, Lot
from gateway.sources.exchange.money import exactly, text
from gateway.sources.exchange.order import PaperOrder
from gateway.sources.exchange.portfolio import Portfolio
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.resting import RestingOrders, is_reached
from gateway.sources.exchange.settlement import Announcement, ExchangeTerms, Settlement

MOST_PORTFOLIOS: Final = 10_000
"""Users whose funds are kept: nothing of a user who has traded can be forgotten."""


class PaperExchange:
    """All portfolios, and the resting orders of each symbol.

    Args:
        terms: fee, starting funds and limits.
        prefix: begins every id, so that ids of two processes differ.
    """

    def __init__(self, terms: ExchangeTerms, prefix: str) -> None:
        self._terms = terms
        self._prefix = prefix
        self._number = 0
        self._portfolios: dict[str, Portfolio] = {}
        self._resting: dict[str, RestingOrders] = {}
        self._announced: list[Announcement] = []
        self._touched: dict[str, Portfolio] = {}

    @property
    def waiting_symbols(self) -> Iterable[str]:
        """The symbols that have resting orders."""
        return self._resting.keys()

    def has_room_for(self, user_id: str) -> bool:
        """Return whether the funds of a user are kept, or can be."""
        return user_id in self._portfolios or len(self._portfolios) < MOST_PORTFOLIOS

    def portfolio(self, user_id: str) -> Portfolio:
        """Return the portfolio of a user, a new one that is not kept if there is none."""
        terms = self._terms
        known = self._portfolios.get(user_id)
        return known or Portfolio(user_id, terms.starting, terms.most_done)

    def take_announcements(self) -> list[Announcement]:
        """Return the events of what happened since the last call, in their order."""
        taken, self._announced = self._announced, []
        return taken

    @exactly
    def place(self, user_id: str, request: OrderRequest, depth: Depth, at: str) -> PaperOrder:
        """Place an order, unless one with its ``clientOrderId`` is known, and return it.

        Args:
            user_id: its owner.
            request: what the owner asks for.
            depth: the present one of its symbol; empty when there is none.
            at: the time, ISO 8601.
        """
        portfolio = self._portfolios.setdefault(user_id, self.portfolio(user_id))
        known = portfolio.find_by_client_id(request.client_order_id)
        if known is not None:
            return known
        order = PaperOrder(
            id=self._new_id("order"),
            user_id=user_id,
            number=self._number,
            request=request,
            created_at=at,
        )
        order.is_active = order.is_active or is_reached(order, depth.best_for(request.side))
        refusal = self._refusal(portfolio, order, depth)
        portfolio.add(order)
        self._announce("order:created", order)
        if refusal is not None:
            self._reject(portfolio, order, refusal)
            return order
        order.exchange_order_id, order.submitted_at = self._new_id("paper"), at
        order.step(OrderStatus.SUBMITTED)
        self._announce("order:submitted", order)
        if order.is_active:
            self._execute(portfolio, order, depth, at)
        else:
            self._rest(portfolio, order)
        self._tell_balances()
        return order

    @exactly
    def cancel(self, user_id: str, order_id: str, at: str) -> PaperOrder | None:
        """Cancel an order of a user if it is open.

        Args:
            user_id: the user.
            order_id: the order.
            at: the time, ISO 8601.

        Returns:
            The order; None when the user has none of this id.
        """
        portfolio = self.portfolio(user_id)
        order = portfolio.find(order_id)
        if order is not None and not order.is_done:
            self._stop_resting(order)
            self._forget_if_empty(order.request.symbol)
            self._cancel(portfolio, order, "Cancelled by its owner", at)
            self._tell_balances()
        return order

    @exactly
    def match(self, symbol: str, depth: Depth, at: str) -> None:
        """Fill the resting orders of a symbol that a new book fills, and trigger stop orders.

        Args:
            symbol: of the book.
            depth: what the book offers.
            at: the time, ISO 8601.
        """
        resting = self._resting.get(symbol)
        if resting is None:
            return
        for side in Side:
            for order in resting.matched(side, depth):
                offers = depth.offers(side, order.remaining, order.request.price)
                if not offers:
                    break
                self._stop_resting(order)
                self._execute(self._portfolios[order.user_id], order, depth, at, is_maker=True)
        for side in Side:
            for order in resting.triggered(side, depth):
                self._trigger(order, depth, at)
        self._forget_if_empty(symbol)
        self._tell_balances()

    def _new_id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._prefix}-{self._number}"

    def _refusal(self, portfolio: Portfolio, order: PaperOrder, depth: Depth) -> str | None:
        """Return why an order is rejected, None when it is not."""
        request = order.request
        if len(portfolio.open_orders) >= self._terms.most_open:
            return f"At most {self._terms.most_open} open orders a user; cancel one"
        if order.is_active and not order.can_rest and depth.best_for(request.side) is None:
            return f"The market source has no price of {request.symbol} now"
        return self._shortage(portfolio, order, self._need(order, depth))

    def _shortage(self, portfolio: Portfolio, order: PaperOrder, need: Decimal) -> str | None:
        currency = self._paid_in(order)
        available = portfolio.funds.available(currency)
        if need <= available:
            return None
        return f"Needs {text(need)} {currency}, available are {text(available)}"

    def _paid_in(self, order: PaperOrder) -> str:
        base, quote = self._terms.currencies(order.request.symbol)
        return quote if order.request.side is Side.BUY else base

    def _need(self, order: PaperOrder, depth: Depth) -> Decimal:
        """Return the amount that the rest of an order may cost at most, in what it is paid in."""
        request = order.request
        if request.side is Side.SELL:
            return order.remaining
        price = request.price or (None if order.is_active else request.stop_price)
        if price is not None:
            return self._terms.with_fee(order.remaining * price)
        offers = depth.offers(request.side, order.remaining, None)
        return self._terms.with_fee(sum((offer.value for offer in offers), Decimal(0)))

    def _execute(
        self,
        portfolio: Portfolio,
        order: PaperOrder,
        depth: Depth,
        at: str,
        *,
        is_maker: bool = False,
    ) -> None:
        """Fill an active order as far as the book does; rest or cancel what remains.

        A maker, an order that rested, trades at its own price: the market came to it.
        """
        request = order.request
        offers = depth.offers(request.side, order.remaining, request.price)
        found = sum((offer.quantity for offer in offers), Decimal(0))
        if request.time_in_force is TimeInForce.FOK and found < order.remaining:
            self._cancel(portfolio, order, "The book cannot fill it whole", at)
            return
        self._release(portfolio, order)
        for offer in offers:
            own_price = request.price if is_maker else None
            price = offer.price if own_price is None else own_price
            settlement = Settlement(
                portfolio=portfolio,
                order=order,
                terms=self._terms,
                price=depth.middle or price,
                new_id=self._new_id,
                at=at,
            )
            self._announced.extend(settlement.settle(Lot(price, offer.quantity)))
        depth.take(request.side, found)
        self._touched[portfolio.user_id] = portfolio
        if order.is_done:
            portfolio.finish(order)
        elif order.can_rest and request.time_in_force is TimeInForce.GTC:
            self._rest(portfolio, order)
        else:
            self._cancel(portfolio, order, "The book has no more at its price", at)

    def _trigger(self, order: PaperOrder, depth: Depth, at: str) -> None:
        """Make a stop order active, if its owner can still pay for it, and fill it."""
        portfolio = self._portfolios[order.user_id]
        order.is_active = True
        self._release(portfolio, order)
        shortage = self._shortage(portfolio, order, self._need(order, depth))
        if shortage is None:
            self._execute(portfolio, order, depth, at)
        else:
            self._reject(portfolio, order, shortage)

    def _rest(self, portfolio: Portfolio, order: PaperOrder) -> None:
        """Let an order wait, with what it may cost reserved."""
        if order.status is OrderStatus.SUBMITTED:
            order.step(OrderStatus.OPEN)
        order.reserved = self._need(order, Depth((), ()))
        portfolio.funds.reserve(self._paid_in(order), order.reserved)
        self._touched[portfolio.user_id] = portfolio
        self._resting.setdefault(order.request.symbol, RestingOrders()).add(order)

    def _release(self, portfolio: Portfolio, order: PaperOrder) -> None:
        """Return what an order has reserved to its owner."""
        if order.reserved:
            portfolio.funds.release(self._paid_in(order), order.reserved)
            order.reserved = Decimal(0)
            self._touched[portfolio.user_id] = portfolio

    def _stop_resting(self, order: PaperOrder) -> None:
        self._resting[order.request.symbol].remove(order)

    def _forget_if_empty(self, symbol: str) -> None:
        if symbol in self._resting and not self._resting[symbol]:
            del self._resting[symbol]

    def _cancel(self, portfolio: Portfolio, order: PaperOrder, reason: str, at: str) -> None:
        self._release(portfolio, order)
        order.step(OrderStatus.CANCELLED)
        order.cancelled_at = at
        portfolio.finish(order)
        self._announce("order:cancelled", order, reason=reason)

    def _reject(self, portfolio: Portfolio, order: PaperOrder, reason: str) -> None:
        self._release(portfolio, order)
        order.step(OrderStatus.REJECTED)
        order.reject_reason = reason
        portfolio.finish(order)
        self._announce("order:rejected", order, reason=reason)

    def _announce(self, event: str, order: PaperOrder, **more: Any) -> None:
        data = {"order": order.payload(), **more}
        self._announced.append(Announcement(event, order.user_id, data))

    def _tell_balances(self) -> None:
        touched, self._touched = self._touched, {}
        for portfolio in touched.values():
            data = portfolio.funds.payload()
            self._announced.append(Announcement("balance:updated", portfolio.user_id, data))
