"""``ReplayFeed`` delivers a recorded session again; ``RecordingFeed`` records one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.server.clock import Clock
from gateway.sources.feeds.failures import log_failure
from gateway.sources.feeds.session_file import SessionReader, SessionWriter
from gateway.sources.market.book import Book, LastPrice, MarketRecord, Ticker
from gateway.sources.market.feed import Deliver, Feed, MarkStale

_MOST_A_STEP: Final = 50  # records between two yields: a few ms of work
_US_PER_S: Final = 1e6
_BETWEEN_S: Final = 0.1  # between the end of a session and its new beginning


class ReplayFeed:
    """Delivers the records of a session with their distances in time.

    A feed that is late skips nothing. At the end of the session it begins again, or marks every
    symbol stale.

    Args:
        session: the recorded session.
        speed: how many seconds of the session pass in a second.
        is_endless: whether it begins again at its end.
    """

    def __init__(self, session: SessionReader, *, speed: float, is_endless: bool) -> None:
        self.symbols = session.symbols
        self._session = session
        self._speed = speed
        self._is_endless = is_endless
        self._taken: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self, deliver: Deliver, mark_stale: MarkStale) -> None:
        """Begin the session."""
        self._task = asyncio.create_task(self._run(deliver, mark_stale), name="market replay")
        self._task.add_done_callback(log_failure)

    def take(self, symbol: str) -> None:
        """Deliver a symbol from now on."""
        self._taken.add(symbol)

    def release(self, symbol: str) -> None:
        """Deliver a symbol no longer."""
        self._taken.discard(symbol)

    async def stop(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self, deliver: Deliver, mark_stale: MarkStale) -> None:
        while True:
            await self._play(deliver)
            if not self._is_endless:
                break
            await asyncio.sleep(_BETWEEN_S)
        for symbol in self.symbols:
            mark_stale(symbol, (LastPrice, Ticker, Book))

    async def _play(self, deliver: Deliver) -> None:
        loop = asyncio.get_running_loop()
        began_s, now_us, due = loop.time(), 0, list[MarketRecord]()
        for at_us, record in self._session:
            if at_us > now_us or len(due) >= _MOST_A_STEP:
                deliver(due)
                due, now_us = [], at_us
                await asyncio.sleep(began_s + at_us / _US_PER_S / self._speed - loop.time())
            if record.symbol in self._taken:
                due.append(record)
        deliver(due)


class RecordingFeed:
    """Delivers another feed's records, and writes all of them. So it takes every symbol.

    Args:
        feed: the other feed.
        writer: writes the session.
        clock: the clock of the session's times.
    """

    def __init__(self, feed: Feed, writer: SessionWriter, clock: Clock) -> None:
        self.symbols = feed.symbols
        self._feed = feed
        self._writer = writer
        self._clock = clock
        self._began_ns = 0
        self._taken: set[str] = set()

    async def start(self, deliver: Deliver, mark_stale: MarkStale) -> None:
        """Begin to record."""
        self._began_ns = self._clock.monotonic_ns()

        def write(records: Sequence[MarketRecord]) -> None:
            at_us = (self._clock.monotonic_ns() - self._began_ns) // 1_000
            self._writer.add(at_us, records)
            deliver([record for record in records if record.symbol in self._taken])

        await self._feed.start(write, mark_stale)
        for symbol in self.symbols:
            self._feed.take(symbol)

    def take(self, symbol: str) -> None:
        """Deliver a symbol from now on."""
        self._taken.add(symbol)

    def release(self, symbol: str) -> None:
        """Deliver a symbol no longer. It is recorded all the same."""
        self._taken.discard(symbol)

    async def stop(self) -> None:
        """Stop the feed, and complete the file."""
        await self._feed.stop()
        await asyncio.to_thread(self._writer.close)


def open_replay(path: str, *, speed: float, is_endless: bool) -> ReplayFeed:
    """Return the feed of a recorded session.

    Args:
        path: the file.
        speed: how many seconds of the session pass in a second.
        is_endless: whether it begins again at its end.

    Raises:
        SourceFailed: the file cannot be read, or is no recorded session.
    """
    return ReplayFeed(SessionReader(Path(path)), speed=speed, is_endless=is_endless)


def recording(feed: Feed, path: str, clock: Clock) -> RecordingFeed:
    """Return a feed that also records what another delivers.

    Args:
        feed: the other feed.
        path: the file, which must not exist.
        clock: the clock of the session's times.

    Raises:
        SourceFailed: the file exists, or cannot be made.
    """
    return RecordingFeed(feed, SessionWriter(Path(path)), clock)
