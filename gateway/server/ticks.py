"""``Ticks``: periodic tasks: heartbeat, connection count, expiries, sweeps, loop lag."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.contract import ServerEvent
from gateway.metrics import MAXIMUM_WINDOW_S
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.log import get_logger

log = get_logger(__name__)

_LAG_PROBE_S: Final = 0.1
_EXPIRY_S: Final = 0.1  # cheap: it only reads the wall clock until a token is due
_SWEEP_S: Final = 1.0
_COLLECT_S: Final = 1.0
_NS_PER_S: Final = 1e9


class Ticks:
    """The gateway's periodic tasks, each with absolute deadlines; none belongs to one client.

    Args:
        context: the parts of the gateway.
        connections: handles expiring tokens.
    """

    def __init__(self, context: Context, connections: Connections) -> None:
        self._context = context
        self._connections = connections
        self._heartbeats = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, collect: Callable[[], None]) -> None:
        """Start all tasks on the running event loop.

        Args:
            collect: the tick of the garbage collection.
        """
        settings = self._context.settings
        self._every(settings.heartbeat_seconds, self.beat)
        if settings.connection_count_seconds > 0:
            self._every(settings.connection_count_seconds, self.tell_count)
        self._every(_EXPIRY_S, self._connections.watch_expiries)
        self._every(_SWEEP_S, self._context.sweep)
        self._every(_COLLECT_S, collect)
        self._every(MAXIMUM_WINDOW_S, self._context.metrics.turn_window)
        self._tasks.append(asyncio.create_task(self._probe_lag(), name="loop lag"))

    async def stop(self) -> None:
        """Stop all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def beat(self) -> None:
        """Send one heartbeat to every client, encoded once."""
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
        """Send the number of clients to every client, if it has changed."""
        context = self._context
        if not context.count_changed:
            return
        context.count_changed = False
        context.broadcaster.to_everyone(
            ServerEvent.CONNECTION_COUNT,
            {"count": context.client_count(), "timestamp": context.broadcaster.timestamp()},
        )

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
            except Exception:  # one failing tick must not stop the later ones
                log.exception("tick failed", tick=name)
            # Skip deadlines that have passed, so that they do not run in a burst.
            missed = max(0, int((loop.time() - due) // seconds))
            due += seconds * (missed + 1)

    async def _probe_lag(self) -> None:
        loop, metrics = asyncio.get_running_loop(), self._context.metrics
        fanout = self._context.transport.fanout
        while True:
            due = loop.time() + _LAG_PROBE_S
            await asyncio.sleep(_LAG_PROBE_S)
            metrics.loop_lagged(max(0.0, loop.time() - due))
            metrics.fanout_held(fanout.longest_hold_ns / _NS_PER_S)
            fanout.longest_hold_ns = 0
