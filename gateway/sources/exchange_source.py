"""``ExchangeSource``: the paper exchange on the event loop. Books come in, events go out."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from gateway.contract import EVENTS, Audience, iso_timestamp
from gateway.errors import PublicationRejected
from gateway.publication import Publication
from gateway.server.clock import Clock
from gateway.sources.exchange.depth import Depth
from gateway.sources.exchange.money import exactly
from gateway.sources.exchange.order import PaperOrder
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.portfolio import Portfolio
from gateway.sources.exchange.request import OrderRequest
from gateway.sources.exchange.settlement import Announcement
from gateway.sources.market.book import Book, Books

_PRICE_WAIT_S: Final = 2.0
_MOST_A_BATCH: Final = 200  # publications in one step; a few ms of work
_BUSY_STATUS: Final = 503
_RETRY_S: Final = 1.0

Publish = Callable[[Sequence[Publication]], Any]


class BookSource(Protocol):
    """What the exchange needs of the market source.

    Attributes:
        books: the last book of each symbol, and who listens to them.
    """

    books: Books

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the market has."""
        ...

    def hold(self, symbol: str) -> None:
        """Have a symbol delivered until ``let_go``."""

    def let_go(self, symbol: str) -> None:
        """End one ``hold`` of a symbol."""


class Placement(NamedTuple):
    """An order, and whether it was placed by this request."""

    order: PaperOrder
    is_new: bool


class ExchangeSource:
    """Takes orders, matches them with each new book, and publishes what happens.

    A symbol is held at the market source while an order of it rests. While the gateway cannot
    keep up with publishing, the exchange stands still: nothing happens that is not told.

    Args:
        exchange: decides.
        market: delivers the books.
        publish: publishes a batch.
        clock: the clock of the orders' times.
    """

    name = "exchange"

    def __init__(
        self, exchange: PaperExchange, market: BookSource, publish: Publish, clock: Clock
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._publish = publish
        self._clock = clock
        self._symbols: frozenset[str] = frozenset()
        self._depths: dict[str, tuple[Book, Depth]] = {}
        self._held: set[str] = set()
        self._due: set[str] = set()  # symbols to match in the loop's next iteration
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._outbox: deque[Publication] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._is_running = False

    @property
    def is_busy(self) -> bool:
        """Whether it takes no orders now: it is stopped, or has events that wait."""
        return not self._is_running or bool(self._outbox)

    async def start(self) -> None:
        """Listen to the books. The market source has started."""
        self._is_running = True
        self._symbols = frozenset(self._market.symbols)
        self._market.books.listen(self._take_book)

    async def stop(self) -> None:
        """Do nothing more. All orders end with the process."""
        self._is_running = False
        if self._retry is not None:
            self._retry.cancel()

    def trades(self, symbol: str) -> bool:
        """Return whether the market has a symbol."""
        return symbol in self._symbols

    def has_room_for(self, user_id: str) -> bool:
        """Return whether a user may have a portfolio."""
        return self._exchange.has_room_for(user_id)

    def portfolio(self, user_id: str) -> Portfolio:
        """Return what the exchange holds of a user."""
        return self._exchange.portfolio(user_id)

    async def place(self, user_id: str, request: OrderRequest) -> Placement | None:
        """Place an order, once its symbol has a price or has had time to get one.

        Args:
            user_id: its owner.
            request: what the owner asks for.

        Returns:
            The order, which may be the known one of the same ``clientOrderId``; None when the
            exchange has become busy meanwhile.
        """
        symbol = request.symbol
        self._market.hold(symbol)
        try:
            await self._wait_for_price(symbol)
            known = self.portfolio(user_id).find_by_client_id(request.client_order_id)
            if known is not None:
                return Placement(known, is_new=False)
            if self.is_busy:
                return None
            order = self._exchange.place(user_id, request, self._depth(symbol), self._now())
            self._tell()
            self._hold_waiting(symbol)
        finally:
            self._market.let_go(symbol)
        return Placement(order, is_new=True)

    def cancel(self, user_id: str, order_id: str) -> PaperOrder | None:
        """Cancel an order of a user if it is open.

        Args:
            user_id: the user.
            order_id: the order.

        Returns:
            The order; None when the user has none of this id.
        """
        order = self._exchange.cancel(user_id, order_id, self._now())
        self._tell()
        if order is not None:
            self._hold_waiting(order.request.symbol)
        return order

    @exactly
    def statement(self, user_id: str) -> dict[str, Any]:
        """Return ``{orders, closed, positions, balance, currency, balances}`` of a user.

        Positions are valued at the present books; one without a book at its entry price.
        """
        portfolio = self._exchange.portfolio(user_id)
        positions = portfolio.positions.values()
        return {
            "orders": [order.payload() for order in portfolio.open_orders],
            "closed": [order.payload() for order in portfolio.done_orders],
            "positions": [
                position.payload(self._depth(position.symbol).middle or position.entry_price)
                for position in positions
            ],
            **portfolio.funds.payload(),
        }

    def _now(self) -> str:
        return iso_timestamp(self._clock.unix_s())

    def _depth(self, symbol: str) -> Depth:
        """Return what is left of a symbol's present book; nothing without a fresh one."""
        book = self._market.books.book(symbol)
        if book is None or book.is_stale:
            return Depth((), ())
        known = self._depths.get(symbol)
        if known is None or known[0] is not book:
            bids, asks = (
                [(level.price, level.size) for level in side] for side in (book.bids, book.asks)
            )
            known = self._depths[symbol] = book, Depth(bids, asks)
        return known[1]

    async def _wait_for_price(self, symbol: str) -> None:
        book = self._market.books.book(symbol)
        if book is not None and not book.is_stale:
            return
        arrived = asyncio.Event()
        self._waiters[symbol].add(arrived)
        try:
            async with asyncio.timeout(_PRICE_WAIT_S):
                await arrived.wait()
        except TimeoutError:
            pass  # the order is placed without a price, and the exchange says so
        finally:
            self._waiters[symbol].discard(arrived)
            if not self._waiters[symbol]:
                del self._waiters[symbol]

    def _take_book(self, book: Book) -> None:
        """Note a new book. The feed goes on at once; orders are matched after it."""
        if not self._is_running or book.is_stale:
            return
        symbol = book.symbol
        for arrived in self._waiters.get(symbol, ()):
            arrived.set()
        if symbol in self._exchange.waiting_symbols and symbol not in self._due:
            self._due.add(symbol)
            asyncio.get_running_loop().call_soon(self._match, symbol)

    def _match(self, symbol: str) -> None:
        self._due.discard(symbol)
        if self.is_busy:
            return  # the next book finds the orders again
        self._exchange.match(symbol, self._depth(symbol), self._now())
        self._tell()
        self._hold_waiting(symbol)

    def _hold_waiting(self, symbol: str) -> None:
        """Hold a symbol that has resting orders, and let go of one that has none."""
        is_waiting = symbol in self._exchange.waiting_symbols
        if is_waiting and symbol not in self._held:
            self._held.add(symbol)
            self._market.hold(symbol)
        elif not is_waiting and symbol in self._held:
            self._held.discard(symbol)
            self._market.let_go(symbol)

    def _tell(self) -> None:
        self._outbox.extend(map(_publication_of, self._exchange.take_announcements()))
        self._flush()

    def _flush(self) -> None:
        """Publish what waits, in order. A gateway that cannot keep up is asked again later."""
        self._retry = None
        while self._outbox:
            batch = list(islice(self._outbox, _MOST_A_BATCH))
            try:
                self._publish(batch)
            except PublicationRejected as error:
                if error.status != _BUSY_STATUS:
                    raise
                delay_s = error.retry_after_s or _RETRY_S
                self._retry = asyncio.get_running_loop().call_later(delay_s, self._flush)
                return
            for _ in batch:
                self._outbox.popleft()


def _publication_of(announcement: Announcement) -> Publication:
    """Return the owner's form and the public one in one publication, where the event has both."""
    row = EVENTS[announcement.event]
    has_public = row.audience is Audience.OWNER_AND_PUBLIC
    return Publication(
        event=announcement.event,
        row=row,
        data=announcement.data,
        rooms=(row.channel,) if has_public else (),
        user_id=announcement.user_id,
        client_id=None,
        src_ts=None,
    )
