"""``Feed``: what the market source needs of a feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.sources.market.book import MarketRecord

Deliver = Callable[[Sequence[MarketRecord]], None]
"""Takes records in their order, those of a symbol oldest first."""
Kinds = tuple[type[MarketRecord], ...]
MarkStale = Callable[[str, Kinds], None]
"""Takes a symbol, and the kinds of its records that are no longer those of the exchange."""


class Feed(Protocol):
    """Delivers the records of the symbols that are taken.

    Attributes:
        symbols: the symbols that it has.
    """

    symbols: tuple[str, ...]

    async def start(self, deliver: Deliver, mark_stale: MarkStale) -> None:
        """Begin, without a symbol.

        Raises:
            SourceFailed: it cannot begin. The message says what to change.
        """

    def take(self, symbol: str) -> None:
        """Begin to deliver a symbol, which is not taken."""

    def release(self, symbol: str) -> None:
        """Deliver nothing more of a symbol, which is taken."""

    async def stop(self) -> None:
        """End every task and close every connection."""
