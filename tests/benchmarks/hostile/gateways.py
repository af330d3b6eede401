"""The gateway under attack: as it is served, or with a probe of its loop beside it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.tokens import mint
from tests.benchmarks.transport import wire
from tests.benchmarks.transport.crowd import Crowd
from tests.benchmarks.transport.peers import ROOT, Peer, Running, start

SYMBOLS: Final = (wire.SYMBOL, "ETH/USDT", "SOL/USDT", "XRP/USDT")
SUBSCRIBE: Final = wire.event("subscribe", {"channel": "market-data", "symbols": list(SYMBOLS)})
_HEARTBEAT_S: Final = 30.0
_HOUR_S: Final = 3_600
_ANSWER_S: Final = 30.0


class Market(Running):
    """A running gateway that is given ticks of four symbols in turn."""

    @classmethod
    def of(cls, running: Running) -> Market:
        """Return the same gateway, with more symbols."""
        return cls(running.peer, running.process, running.port, running.secret)

    def publish_request(self, due_us: int) -> bytes:
        """Return a request that publishes one tick of the next symbol, due then."""
        self._turn = (self._turn + 1) % len(SYMBOLS)
        request = super().publish_request(due_us)
        # All symbols are as long: neither Content-Length nor the cost changes.
        return request.replace(wire.SYMBOL.encode(), SYMBOLS[self._turn].encode())

    _turn = 0

    def token(self, user_id: str, lifetime_s: int = _HOUR_S) -> str:
        """Return one user's token."""
        return mint(self.secret, user_id, lifetime_s=lifetime_s)

    def open_sockets(self) -> int:
        """Return how many sockets its process holds.

        Raises:
            OSError: it has ended.
        """
        count = 0
        folder = f"/proc/{self.process.pid}/fd"
        for entry in os.listdir(folder):  # noqa: PTH208 - Path.iterdir builds a path for each
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"{folder}/{entry}").startswith(  # noqa: PTH115 - no path
                    "socket:"
                )
        return count


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how the gateways of one run are started.

    Attributes:
        core: the only one that a gateway may use.
        folder: for logs.
    """

    core: int
    folder: Path

    @contextlib.contextmanager
    def serve(
        self, name: str, settings: Mapping[str, str] | None = None, *, command: str = "gateway"
    ) -> Iterator[Market]:
        """Run a gateway; its log is ``NAME.log``.

        Args:
            name: of the log.
            settings: of its environment, beside a secret and the address.
            command: ``gateway``, or what a probed module is given.

        Raises:
            PeerFailed: it did not start.
        """
        peer = Peer(
            key="tidegate",
            title="Tidegate",
            command=(sys.executable, "-m", *command.split()),
            folder=ROOT,
            environ=tuple((settings or {}).items()),
        )
        with start(peer, self.core, _HEARTBEAT_S, self.log(name)) as running:
            yield Market.of(running)

    def log(self, name: str) -> Path:
        """Return where that gateway's log is."""
        return self.folder / f"{name}.log"

    @contextlib.contextmanager
    def crowded(
        self, name: str, count: int, settings: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Market, Crowd]]:
        """Run a gateway with so many clients, each subscribed to every symbol.

        Raises:
            PeerFailed: it did not start, or not all were connected.
        """
        with self.serve(name, settings) as market:
            crowd = Crowd(market.port, market.tokens(count))
            try:
                crowd.connect(count, _ANSWER_S)
                crowd.ask(SUBSCRIBE, "subscribed", _ANSWER_S)
                yield market, crowd
            finally:
                crowd.close()
