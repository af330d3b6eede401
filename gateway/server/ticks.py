"""What happens by itself: heartbeats, the connection count, expiries, sweeps, loop lag."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.contract import ServerEvent
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.log import get_logger

log = get_logger(__name__)

_LAG_PROBE_S: Final = 0.1
_EXPIRY_S: Final = 0.1  # a look at the wall clock, and no more while no second has passed
_SWEEP_S: Final = 10.0
_COLLECT_S: Final = 1.0


class Ticks:
    """The gateway's own timers, each a loop with absolute deadlines, none for a client.

    Args:
        context: the gateway's state.
        connections: watches the expiries.
    """

    def __init__(self, context: Context, connections: Connections) -> None:
        self._context = context
        self._connections = connections
        self._heartbeats = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, collect: Callable[[], None]) -> None:
        """Start every timer on the running loop.

        Args:
            collect: looks whether it is time to collect garbage.
        """
        settings = self._context.settings
        self._every(settings.heartbeat_seconds, self.beat)
        if settings.connection_count_seconds > 0:
            self._every(settings.connection_count_seconds, self.tell_count)
        self._every(_EXPIRY_S, self._connections.watch_expiries)
        self._every(_SWEEP_S, self._sweep)
        self._every(_COLLECT_S, collect)
        self._tasks.append(asyncio.create_task(self._probe_lag(), name="loop lag"))

    async def stop(self) -> None:
        """Stop them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def beat(self) -> None:
        """Send one heartbeat to every client: one counter, one encoding."""
        self._heartbeats += 1
        broadcaster = self._context.broadcaster
        broadcaster.to_everyone(
            ServerEvent.HEARTBEAT,
            {
                "timestamp": broadcaster.timestamp(),
                "ts": broadcaster.ts_us(),
                "seq": self._heartbeats,
            },
        )

    def tell_count(self) -> None:
        """Tell every client how many there are, when that changed since it was last told."""
        context = self._context
        if not context.count_changed:
            return
        context.count_changed = False
        context.broadcaster.to_everyone(
            ServerEvent.CONNECTION_COUNT,
            {"count": len(context.sessions), "timestamp": context.broadcaster.timestamp()},
        )

    def _sweep(self) -> None:
        self._context.sweep()

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        name = getattr(action, "__name__", "tick")
        self._tasks.append(asyncio.create_task(self._repeat(seconds, action, name), name=name))

    async def _repeat(self, seconds: float, action: Callable[[], None], name: str) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        while True:
            await asyncio.sleep(due - loop.time())
            try:
                action()
            except Exception:  # one bad tick must not end all later ones
                log.exception("tick failed", tick=name)
            # A deadline that has passed already is skipped, not made up for in a burst.
            missed = max(0, int((loop.time() - due) // seconds))
            due += seconds * (missed + 1)

    async def _probe_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_PROBE_S
            await asyncio.sleep(_LAG_PROBE_S)
            self._context.metrics.loop_lagged(max(0.0, loop.time() - due))
