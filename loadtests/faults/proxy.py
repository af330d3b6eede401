"""The fault proxy: listens on the loopback, passes bytes to one server and applies toxics.

Both sides must be on the loopback, so that it can only disturb this machine.

ValueError
└── NotLoopback      an address outside this machine
"""

from __future__ import annotations

import asyncio
import ipaddress
import statistics
import time
from collections.abc import Iterable
from typing import Any

from loadtests.faults.link import ProxiedConnection, ProxyState
from loadtests.faults.messages import DropCount
from loadtests.faults.toxics import Drop, Toxic


class NotLoopback(ValueError):  # noqa: N818 - what the address is
    """The address is outside this machine."""


class FaultProxy(ProxyState):
    """One proxy in front of one server.

    Args:
        host: the server's loopback address.
        port: the server's port.
        seed: decides jitter, slices, and the connections affected by a toxicity below 1.

    Attributes:
        opened: connections accepted so far.

    Raises:
        NotLoopback: the host is not on the loopback.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        _require_loopback(host)
        super().__init__()
        self.opened = 0
        self._upstream = host, port
        self._seed = seed
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; return the URL to use in place of the server's.

        Raises:
            NotLoopback: the host is not on the loopback.
            OSError: the address is in use.
        """
        _require_loopback(host)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self.open().client_side(), host, port)
        address = self._server.sockets[0].getsockname()
        return f"http://{address[0]}:{address[1]}"

    async def stop(self) -> None:
        """Close the listener and every connection; idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for link in list(self.links):
            link.abort()
        if server is not None:
            await server.wait_closed()

    def set(self, toxics: Iterable[Toxic]) -> int:
        """Replace the toxics, for open connections too; return when (monotonic ns).

        A ``Drop`` that stays set keeps its counts.
        """
        self.toxics = tuple(toxics)
        self.late_ns.clear()
        for toxic in self.toxics:
            if isinstance(toxic, Drop) and toxic not in self.drops:
                self.drops[toxic] = DropCount(toxic)
        for link in list(self.links):
            link.update()
        return time.monotonic_ns()

    def figures(self) -> dict[str, Any]:
        """Return all counts as JSON values."""
        return {
            "connections": len(self.links),
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
        """Return the proxied connection for a new client."""
        self.opened += 1
        link = ProxiedConnection(self, self.opened, self._upstream, self._seed)
        self.links.add(link)
        return link


def _require_loopback(host: str) -> None:
    try:
        is_ours = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise NotLoopback(f"{host} is not on the loopback; use 127.0.0.0/8 or ::1")
