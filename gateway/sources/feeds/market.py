"""``MarketSource``: publishes what a feed delivers of the symbols that somebody holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.channels import is_symbol_room
from gateway.contract import CHANNELS
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.publication import Publication
from gateway.server.clock import Clock
from gateway.sources.market.book import Book, Books, LastPrice, MarketRecord, Ticker
from gateway.sources.market.events import event_of, publication_of
from gateway.sources.market.feed import Feed, Kinds
from gateway.sources.market.interest import Interest
from gateway.sources.market.throttle import Throttle

Publish = Callable[[Sequence[Publication]], Any]

_WHOLE_MARKET: Final = {row.name.value for row in CHANNELS.values() if row.takes_symbols}
_KINDS: Final[Kinds] = (LastPrice, Ticker, Book)
_MOST_A_STEP: Final = 100  # publications; a few ms of work
_BUSY_NS: Final = 100_000_000
_BUSY_STATUS: Final = 503
_NS_PER_S: Final = 1e9


class MarketSource:
    """Takes symbols from a feed for those who hold them, and publishes their records.

    Args:
        feed: delivers the records.
        publish: publishes a batch.
        clock: the clock of the limits and delays.
        metrics: counts records.
        most_per_second: publications of a symbol and event in a second; 0 for no limit.
        release_seconds: how long a symbol stays taken after its last holder has left.

    Attributes:
        books: the last book and price of each symbol, and who listens to them.
    """

    name = "market"

    def __init__(
        self,
        feed: Feed,
        publish: Publish,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        most_per_second: float,
        release_seconds: float,
    ) -> None:
        self.books = Books()
        self._feed = feed
        self._publish = publish
        self._clock = clock
        self._metrics = metrics
        self._interest = Interest(feed.symbols, round(release_seconds * _NS_PER_S))
        self._throttle: Throttle[MarketRecord] = Throttle(most_per_second)
        self._last: dict[tuple[type[MarketRecord], str], MarketRecord] = {}
        self._stale: set[tuple[type[MarketRecord], str]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = 0
        self._is_running = False
        metrics.watch_market(
            replaced=lambda: self._throttle.replaced,
            taken=lambda: len(self._interest),
            stale=lambda: len({symbol for _, symbol in self._stale}),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the market has."""
        return self._feed.symbols

    async def start(self) -> None:
        """Start the feed."""
        self._is_running = True
        await self._feed.start(self._deliver, self._mark_stale)

    async def stop(self) -> None:
        """Stop the feed. What still waits is not published."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._feed.stop()

    def room_entered(self, room: str) -> None:
        """Note that a room has its first client."""
        if is_symbol_room(room):
            self.hold(room.partition(":")[2])
        elif room in _WHOLE_MARKET:
            self._take(self._interest.hold_all())

    def room_left(self, room: str) -> None:
        """Note that the last client has left a room."""
        if is_symbol_room(room):
            self.let_go(room.partition(":")[2])
        elif room in _WHOLE_MARKET:
            self._interest.let_all_go(self._clock.monotonic_ns())
            self._arm()

    def hold(self, symbol: str) -> None:
        """Have a symbol delivered until ``let_go``, whoever subscribes to it."""
        self._take(self._interest.hold(symbol))

    def let_go(self, symbol: str) -> None:
        """End one ``hold`` of a symbol."""
        self._interest.let_go(symbol, self._clock.monotonic_ns())
        self._arm()

    def _take(self, symbols: Sequence[str]) -> None:
        if self._is_running:
            for symbol in symbols:
                self._feed.take(symbol)

    def _deliver(self, records: Sequence[MarketRecord]) -> None:
        taken = [record for record in records if self._interest.is_taken(record.symbol)]
        for record in taken:
            self._metrics.market_delivered(event_of(record))
        self._pass_on(taken)

    def _pass_on(self, records: Sequence[MarketRecord]) -> None:
        if not self._is_running:
            return
        ready = []
        now_ns = self._clock.monotonic_ns()
        for record in records:
            key = _key(record)
            self._last[key] = record
            (self._stale.add if record.is_stale else self._stale.discard)(key)
            self.books.put(record)
            if self._throttle.offer(key, record, now_ns):
                ready.append(record)
        self._send(ready, now_ns)
        self._arm()

    def _mark_stale(self, symbol: str, kinds: Kinds) -> None:
        """Publish a symbol's last values again, marked stale, unless they are stale already."""
        last = [self._last.get((kind, symbol)) for kind in kinds]
        self._pass_on(
            [
                replace(record, is_stale=True)
                for record in last
                if record is not None and not record.is_stale
            ]
        )

    def _send(self, records: Sequence[MarketRecord], now_ns: int) -> None:
        if not records:
            return
        try:
            self._publish([publication_of(record) for record in records])
        except PublicationRejected as error:
            if error.status != _BUSY_STATUS:
                raise
            for record in records:  # the gateway cannot keep up: only the newest remain
                self._throttle.put_back(_key(record), record, now_ns + _BUSY_NS)

    def _arm(self) -> None:
        """Set the timer for what is due next."""
        dues = [self._throttle.next_due_ns(), self._interest.next_due_ns()]
        due_ns = min((due for due in dues if due is not None), default=None)
        if due_ns is None or not self._is_running:
            return
        if self._timer is not None:
            if self._timer_due_ns <= due_ns:
                return
            self._timer.cancel()
        delay_s = max(0, due_ns - self._clock.monotonic_ns()) / _NS_PER_S
        self._timer_due_ns = due_ns
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now_ns = self._clock.monotonic_ns()
        try:
            self._send(self._throttle.take_due(now_ns, _MOST_A_STEP), now_ns)
            for symbol in self._interest.take_due(now_ns):
                self._release(symbol)
        finally:
            self._arm()

    def _release(self, symbol: str) -> None:
        """Release a symbol upstream. Its last values stay for snapshots, marked stale."""
        self._feed.release(symbol)
        self._mark_stale(symbol, _KINDS)
        self._stale.difference_update({(kind, symbol) for kind in _KINDS})


def _key(record: MarketRecord) -> tuple[type[MarketRecord], str]:
    return type(record), record.symbol
