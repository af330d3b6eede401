"""``SimulatedFeed``: delivers the ticks of a simulation at a steady rate."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from gateway.server.clock import Clock
from gateway.sources.feeds.failures import log_failure
from gateway.sources.market.book import MarketRecord
from gateway.sources.market.feed import Deliver, MarkStale
from gateway.sources.market.simulation import Simulation

_SLICE_S: Final = 0.01  # symbols are spread over the time of a tick, so that they make no burst
_MOST_A_SLICE: Final = 25  # symbols between two yields: a few ms of work


class SimulatedFeed:
    """Moves every symbol ``rate`` times a second, and delivers those that are taken.

    The walks of symbols that nobody holds go on, so what a tick brings depends on the seed and the
    number of ticks alone. A feed that is late skips no tick, and does not hurry either.

    Args:
        symbols: the symbols, in the simulation's order.
        simulation: makes the ticks.
        rate: ticks a second.
        clock: the clock of the records' times.
    """

    def __init__(
        self, symbols: Sequence[str], simulation: Simulation, rate: float, clock: Clock
    ) -> None:
        self.symbols = tuple(symbols)
        self._simulation = simulation
        self._tick_s = 1 / rate
        self._clock = clock
        self._taken: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        slices = max(1, min(len(self.symbols), math.floor(self._tick_s / _SLICE_S)))
        self._slice_symbols = min(_MOST_A_SLICE, math.ceil(len(self.symbols) / slices))
        self._slices = math.ceil(len(self.symbols) / self._slice_symbols)

    async def start(self, deliver: Deliver, mark_stale: MarkStale) -> None:  # noqa: ARG002 - never
        """Begin to tick."""
        self._task = asyncio.create_task(self._run(deliver), name="simulated market")
        self._task.add_done_callback(log_failure)

    def take(self, symbol: str) -> None:
        """Deliver a symbol from its next tick on."""
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

    async def _run(self, deliver: Deliver) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            records: list[MarketRecord] = []
            for number, walk in enumerate(self._simulation.tick(), 1):
                if walk.symbol in self._taken:
                    records += walk.records(round(self._clock.unix_s() * 1_000))
                if number % self._slice_symbols == 0 or number == len(self.symbols):
                    deliver(records)
                    records = []
                    due_s = max(due_s + self._tick_s / self._slices, loop.time() - self._tick_s)
                    await asyncio.sleep(due_s - loop.time())
