"""``Sources``: the sources that the settings name, started and stopped with the gateway."""

from __future__ import annotations

import secrets

from gateway.server.context import Context
from gateway.server.log import get_logger
from gateway.sources.exchange.paper_exchange import PaperExchange
from gateway.sources.exchange.settlement import ExchangeTerms
from gateway.sources.exchange_source import ExchangeSource
from gateway.sources.feeds.choice import make_feed
from gateway.sources.feeds.market import MarketSource

log = get_logger(__name__)


class Sources:
    """The sources of one gateway, in the order in which they start.

    Args:
        context: the parts of the gateway. Sources publish by its broadcaster.

    Attributes:
        market: the market source, ``None`` where it is off.
        exchange: the paper exchange, ``None`` where it is off.
    """

    def __init__(self, context: Context) -> None:
        self._started: list[MarketSource | ExchangeSource] = []
        self.market = _market(context)
        if self.market is not None:
            context.subscriptions.watch(self.market.room_entered, self.market.room_left)
        self.exchange = _exchange(context, self.market)

    def _configured(self) -> list[MarketSource | ExchangeSource]:
        return [source for source in (self.market, self.exchange) if source is not None]

    async def start(self) -> None:
        """Start every configured source.

        Raises:
            SourceFailed: one cannot begin. The others are stopped.
        """
        for source in self._configured():
            try:
                await source.start()
            except BaseException:
                await self.stop()
                raise
            self._started.append(source)
            log.info("source started", source=source.name)

    async def stop(self) -> None:
        """Stop the sources, the last one first: it may use one that started before it."""
        while self._started:
            source = self._started.pop()
            try:
                await source.stop()
            except Exception:  # the gateway must close its clients all the same
                log.exception("source failed to stop", source=source.name)


def _market(context: Context) -> MarketSource | None:
    settings = context.settings
    feed = make_feed(settings, context.clock)
    if feed is None:
        return None
    return MarketSource(
        feed,
        context.broadcaster.publish,
        context.clock,
        context.metrics,
        most_per_second=settings.market_most_per_second,
        release_seconds=settings.market_release_seconds,
    )


def _exchange(context: Context, market: MarketSource | None) -> ExchangeSource | None:
    settings = context.settings
    if settings.exchange == "off" or market is None:  # the settings refuse one without a market
        return None
    terms = ExchangeTerms(
        starting=dict(settings.exchange_balances),
        fee_rate=settings.exchange_fee,
        most_open=settings.exchange_max_open_orders,
    )
    exchange = PaperExchange(terms, secrets.token_hex(4))
    return ExchangeSource(exchange, market, context.broadcaster.publish, context.clock)
