"""``SharedPort``: a gateway as one of several processes on one port.

It serves the connections that the others pass to it, answers for all of them where one port has
one answer, and leaves the port without losing connections that wait in its queue.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.exposition import merge_expositions
from gateway.metrics import GatewayMetrics
from gateway.server.listening_socket import connect_accepted
from gateway.server.log import get_logger
from gateway.transport import Door, Siblings, accept_waiting, ask

METRICS: Final = b"m"
"""Asks for the metrics; the data is the header ``Accept``."""
DRAIN: Final = b"d"
"""Asks a node to drain, without its end."""
READY: Final = b"r"
"""Asks whether a node accepts clients."""
YES: Final = b"1"
NO: Final = b"0"
_ANSWER_S: Final = 1.0  # a scraper waits 10 s, and a node that takes longer is not well

log = get_logger(__name__)

MakeDoor = Callable[[bytes, bool], Door]
"""Makes a passed connection's door from the bytes read of it, and whether it was given away."""


class SharedPort:
    """What a gateway does as one of several processes on one port.

    Args:
        siblings: the processes.
        metrics: those of this process.
        drain: begins to drain this process.
        accepts_clients: returns whether this process accepts new clients.
    """

    def __init__(
        self,
        siblings: Siblings,
        metrics: GatewayMetrics,
        drain: Callable[[], None],
        accepts_clients: Callable[[], bool],
    ) -> None:
        self._siblings = siblings
        siblings.is_open = self._is_open
        self._was_ready = False
        self._is_leaving = False
        self._metrics = metrics
        metrics.watch_siblings(lambda: siblings.passed)
        self._drain = drain
        self._accepts_clients = accepts_clients
        self._make_door: MakeDoor | None = None
        self._is_closed = False
        self._tasks: set[asyncio.Task[object]] = set()

    def open(self, make_door: MakeDoor) -> None:
        """Serve passed connections, and answer the other processes.

        Args:
            make_door: makes the door of a passed connection.

        Raises:
            OSError: the Unix socket cannot be made.
        """
        self._make_door = make_door
        self._siblings.listen(
            self._serve,
            {METRICS: self._own_metrics, DRAIN: self._drain_too, READY: self._is_ready},
        )

    def leave(self, listener: socket.socket) -> None:
        """Give new connections to the other processes, and those that wait in the queue too.

        Args:
            listener: the listening socket. The caller closes it at once after this.
        """
        self._is_leaving = True
        for accepted in accept_waiting(listener):
            self._serve(accepted, b"", False)

    def close(self) -> None:
        """Serve no more passed connections."""
        self._is_closed = True
        self._siblings.close()

    async def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all processes, each series with its node, and the content type.

        Args:
            accept: the scraper's header ``Accept``.
        """
        others = self._siblings.others
        answers = await asyncio.gather(
            *(ask(path, METRICS, accept.encode(), _ANSWER_S) for path in others.values())
        )
        absent = [name for name, answer in zip(others, answers, strict=True) if answer is None]
        own, content_type = self._metrics.expose(accept, has_node=True)
        told = [own, *(answer for answer in answers if answer is not None)]
        return merge_expositions(told, absent), content_type

    def drain_others(self) -> None:
        """Have the other processes drain, without their end."""
        for name, path in self._siblings.others.items():
            self._spawn(_ask_to_drain(name, path))

    def _is_open(self) -> bool:
        """Return whether this process has been ready, and does not leave."""
        self._was_ready = self._was_ready or self._accepts_clients()
        return self._was_ready and not self._is_leaving

    def _own_metrics(self, accept: bytes) -> bytes:
        return self._metrics.expose(accept.decode(), has_node=True)[0]

    def _drain_too(self, _data: bytes) -> bytes:
        self._drain()
        return YES

    def _is_ready(self, _data: bytes) -> bytes:
        return YES if self._accepts_clients() else NO

    def _serve(self, accepted: socket.socket, data: bytes, was_given: bool) -> None:
        make_door = self._make_door
        if make_door is None or self._is_closed:
            accepted.close()
        else:
            accepted.setblocking(False)
            self._spawn(connect_accepted(accepted, partial(make_door, data, was_given)))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _ask_to_drain(name: str, path: Path) -> None:
    if await ask(path, DRAIN, b"", _ANSWER_S) is None:
        log.warning("a node does not answer the order to drain", other=name)
