"""Runs the demonstration: starts the gateway and the page's server, and keeps the gateway alive."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway.contract import LISTENING_LINE
from loadtests.demo.page_server import PageSettings, page_origins
from loadtests.processes import child_environment, own_command
from loadtests.results import ExitCode
from loadtests.supervision.children import Child

SYMBOLS: Final = tuple(
    f"{name}/USDT"
    for name in (
        "BTC", "ETH", "SOL", "BNB", "ADA", "LINK", "UNI", "BCH", "SUI", "ZEC", "FIL", "CRV",
    )
)  # fmt: skip
_SEED: Final = 36_161
"""A seed whose simulated prices begin near those that the symbols have had."""
USER: Final = "demo"
PROVIDER: Final = "scripted"
_SOURCES: Final = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_MARKET_SYMBOLS": ",".join(SYMBOLS),
    "GATEWAY_MARKET_SEED": str(_SEED),
    "GATEWAY_EXCHANGE": "paper",
    "GATEWAY_EXCHANGE_BALANCES": "USDT=1000000",
    "GATEWAY_SCRIPTED": "1",
    "GATEWAY_SCRIPTED_TOKENS": "120",
    "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": "10",
}
_VITE: Final = "http://localhost:5173"  # `npm run dev` in examples/web
_OWN: Final = ("GATEWAY_", "JWT_", "NODE_ENV", "CLIENT_URL", "PORT", "HOST", "REDIS_URL")
_START_S: Final = 30.0
_STOP_S: Final = 10.0
_POLL_S: Final = 0.2
_SHORTEST_LIFE_S: Final = 5.0

Say = Callable[[str], None]


class Demonstration:
    """A gateway with simulated sources, and a page that shows them.

    A gateway that ends is started again at the same address, so that a viewer may kill it and see
    the page come back.

    Args:
        folder: takes the logs and the page's settings.
        environment: of the caller. Settings of a gateway in it are not used.
        say: prints one line.
        port: of the page; 0 picks a free one.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], say: Say, port: int) -> None:
        self._folder = folder
        self._say = say
        self._wanted_port = port
        kept = {k: v for k, v in environment.items() if not k.startswith(_OWN)}
        self._environment = child_environment(kept) | {"JWT_SECRET": secrets.token_urlsafe(48)}
        self._settings = folder / "page.json"
        self._page: Child | None = None
        self._gateway: Child | None = None
        self._started_s = 0.0

    def start(self) -> None:
        """Start both processes and say where the page is.

        Raises:
            ChildFailed: one of them did not begin.
        """
        log = self._folder / "page.log"
        words = own_command(
            "loadtests.demo.page_server", str(self._wanted_port), str(self._settings)
        )
        self._page = Child("page's server", words, log=log, environment=self._environment)
        url = self._page.wait_for_line(LISTENING_LINE, _START_S)
        self._environment |= _SOURCES | {
            "GATEWAY_ENV": "development",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "CLIENT_URL": ",".join((*page_origins(_port(url)), _VITE)),
        }
        gateway = self._start_gateway()
        self._environment["PORT"] = str(_port(gateway))
        PageSettings(gateway=gateway, user=USER, symbols=SYMBOLS, provider=PROVIDER).write(
            self._settings
        )
        self._say(f"the page is on {url}")
        self._say(f"the gateway is on {gateway}; its log is {self._folder / 'gateway.log'}")

    def watch(self) -> ExitCode:
        """Start the gateway again whenever it ends, until it ends too soon or the page's server.

        Returns:
            The exit code of a demonstration that cannot go on.

        Raises:
            ChildFailed: the new gateway did not begin.
        """
        while True:
            time.sleep(_POLL_S)
            if self._page is not None and self._page.exit_code is not None:
                self._say(f"the page's server ended with exit code {self._page.exit_code}")
                return ExitCode.GATEWAY_FAILED
            if self._gateway is None or self._gateway.exit_code is None:
                continue
            ended = f"the gateway ended with exit code {self._gateway.exit_code}"
            if time.monotonic() - self._started_s < _SHORTEST_LIFE_S:
                self._say(f"{ended} after less than {_SHORTEST_LIFE_S:g} s")
                self._say(self._gateway.last_lines())
                return ExitCode.GATEWAY_FAILED
            self._say(f"{ended}; starting it again")
            self._start_gateway()

    def stop(self) -> None:
        """End both processes."""
        for child in (self._gateway, self._page):
            if child is not None:
                child.stop(_STOP_S)

    def _start_gateway(self) -> str:
        log = self._folder / "gateway.log"
        log.unlink(missing_ok=True)
        self._started_s = time.monotonic()
        self._gateway = Child(
            "gateway", own_command("gateway"), log=log, environment=self._environment
        )
        url = self._gateway.wait_for_line(LISTENING_LINE, _START_S)
        self._say(f"the gateway is process {self._gateway.pid}: end it, and see the page return")
        return url


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].rstrip("/"))
