"""The fault proxy: listens on the loopback, passes bytes to one server, and does what it is told.

Loopback only, on both sides: it is made to hurt what we own.

ValueError
└── NotLoopback      an address that is not this machine's own
"""

from __future__ import annotations

import asyncio
import ipaddress
import statistics
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from loadtests.faults.link import ClientSide, ProxiedConnection
from loadtests.faults.messages import DropCount
from loadtests.faults.toxics import Drop, Stream, Toxic

KEPT_LATENESSES: Final = 10_000


class NotLoopback(ValueError):  # noqa: N818 - what the address is
    """An address outside this machine."""


class FaultProxy:
    """One proxy in front of one server.

    Args:
        host: the server's address, a loopback one.
        port: the server's port.
        seed: decides who suffers when a toxicity is below 1, and jitter and slices.

    Attributes:
        toxics: what is done now.
        opened: connections taken so far.
        passed_bytes: what went through, by direction.
        late_ns: how late the last pieces went out that had to wait, since the last ``set``.
        drops: what each ``Drop`` that ever was set has seen and taken.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        _require_loopback(host)
        self.toxics: tuple[Toxic, ...] = ()
        self.opened = 0
        self.passed_bytes = dict.fromkeys(Stream, 0)
        self.late_ns: deque[int] = deque(maxlen=KEPT_LATENESSES)
        self.drops: dict[Drop, DropCount] = {}
        self._upstream = host, port
        self._seed = seed
        self._links: set[ProxiedConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the URL to use in place of the server's."""
        _require_loopback(host)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ClientSide(self.open()), host, port)
        address = self._server.sockets[0].getsockname()
        return f"http://{address[0]}:{address[1]}"

    async def stop(self) -> None:
        """Close the listener and every connection; idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for link in list(self._links):
            link.abort()
        if server is not None:
            await server.wait_closed()

    def set(self, toxics: Iterable[Toxic]) -> int:
        """Do this from now on, to connections that are there too; returns when (monotonic ns).

        A ``Drop`` that is set again while it goes on keeps its counts.
        """
        self.toxics = tuple(toxics)
        self.late_ns.clear()
        for toxic in self.toxics:
            if isinstance(toxic, Drop) and toxic not in self.drops:
                self.drops[toxic] = DropCount(toxic)
        for link in list(self._links):
            link.update()
        return time.monotonic_ns()

    def figures(self) -> dict[str, Any]:
        """Return what was counted, as JSON can hold it."""
        return {
            "connections": len(self._links),
            "opened": self.opened,
            "passed_bytes": {str(stream): n for stream, n in self.passed_bytes.items()},
            "late_p50_ns": statistics.median(self.late_ns) if self.late_ns else None,
            "seen": sum(count.seen for count in self.drops.values()),
            "dropped": sum(count.dropped for count in self.drops.values()),
            "drops": {
                drop.name: {"seen": count.seen, "dropped": count.dropped}
                for drop, count in self.drops.items()
            },
        }

    def open(self) -> ProxiedConnection:
        """Make the link of a connection that has just come."""
        self.opened += 1
        link = ProxiedConnection(self, self.opened, self._upstream, self._seed)
        self._links.add(link)
        return link

    def forget(self, link: ProxiedConnection) -> None:
        """Drop a link that is over."""
        self._links.discard(link)


def _require_loopback(host: str) -> None:
    try:
        is_ours = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise NotLoopback(f"{host} is not on the loopback; the proxy serves 127.0.0.0/8 and ::1")
