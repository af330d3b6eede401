"""``Drain``: tells all clients that the gateway takes no more, and closes them in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.log import get_logger

_CLIENTS_PER_TURN: Final = 100
_PACE_S: Final = 0.1  # between two closes of a drain
_PACED_SHARE: Final = 0.4  # share of the shutdown time for all closes together

log = get_logger(__name__)


class Drain:
    """Empties a gateway that refuses new clients, before its end or without one.

    Args:
        context: the parts of the gateway.
        connections: tells the clients.
    """

    def __init__(self, context: Context, connections: Connections) -> None:
        self._context = context
        self._connections = connections
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to close all clients, unless it has begun. The gateway goes on without them."""
        if self._task is None:
            self._task = asyncio.create_task(self._empty(), name="drain")

    async def finish(self) -> None:
        """Close all clients that are left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._tell_and_close()

    async def _empty(self) -> None:
        log.info("draining")
        try:
            # A session that was opened before the drain may send its CONNECT now.
            while self._context.transport.engine.sockets:
                await self._tell_and_close()
                await asyncio.sleep(_PACE_S)
        except Exception:
            log.exception("drain failed")
            raise
        log.info("drained")

    async def _tell_and_close(self) -> None:
        sessions = list(self._context.sessions)
        for position, session in enumerate(sessions, start=1):
            self._connections.tell_draining(session)
            if not position % _CLIENTS_PER_TURN:
                await asyncio.sleep(0)
        await self._close_in_turn([session.sid for session in sessions])

    async def _close_in_turn(self, sids: Sequence[str]) -> None:
        """Close clients one after the other, so that they do not all reconnect at once."""
        shutdown_s = self._context.settings.shutdown_seconds
        pace_s = min(_PACE_S, _PACED_SHARE * shutdown_s / max(1, len(sids)))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for position, sid in enumerate(sids):
            ahead_s = began_s + position * pace_s - loop.time()
            if ahead_s > 0 or not position % _CLIENTS_PER_TURN:
                await asyncio.sleep(max(0.0, ahead_s))
            self._context.transport.close_transport(sid, "draining")
