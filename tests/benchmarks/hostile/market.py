"""The gateway under attack, the laboratory's publisher, and the laboratory's clients on it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.pool import Pool

from gateway.contract import STREAMS_PATH, TICKER_EVENT, Channel, ClientEvent, ServerEvent
from loadtests.connection.client import Client
from loadtests.errors import ClientError
from loadtests.plan.addresses import source_address
from loadtests.plan.publish_plan import PublishPlan
from loadtests.publication.publishing import PublisherProcess
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake, place_of
from loadtests.results import LOGS
from loadtests.tokens import mint
from scenarios.schema import Arrivals, Publish
from tests.benchmarks.transport.crowd import PeerFailed
from tests.benchmarks.transport.peers import ROOT, Peer, Running, start

NS_PER_S: Final = 1_000_000_000
HOST: Final = "127.0.0.1"
SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
SUBSCRIPTION: Final = {"channel": Channel.MARKET_DATA, "symbols": list(SYMBOLS)}
NARROW_BYTES: Final = 4_096  # receive buffer of a client that does not read
TICK_BYTES: Final = 331
_DATA_BYTES: Final = 216  # of a tick; the event around them makes TICK_BYTES
_HEARTBEAT_S: Final = 30.0
_HOUR_S: Final = 3_600
_AT_ONCE: Final = 64
_SETTLE_S: Final = 0.3


class Market(Running):
    """A running gateway whose symbols are published.

    Attributes:
        folder: for the publisher's files.
    """

    folder: Path

    def token(self, user_id: str, lifetime_s: int = _HOUR_S) -> str:
        return mint(self.secret, user_id, lifetime_s=lifetime_s)

    def open_sockets(self) -> int:
        """Return how many sockets the gateway's process holds."""
        count, folder = 0, f"/proc/{self.process.pid}/fd"
        for entry in os.listdir(folder):  # noqa: PTH208 - Path.iterdir builds a path for each
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"{folder}/{entry}").startswith("socket:")  # noqa: PTH115
        return count

    def newest(self) -> dict[str, int]:
        """Return the number of every symbol's last tick."""
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=5)) as asked:
            asked.request("GET", STREAMS_PATH, headers={"Authorization": f"Bearer {self._token}"})
            streams: dict[str, int] = json.loads(asked.getresponse().read())["streams"]
        start = "ticker:"
        return {n.removeprefix(start): seq for n, seq in streams.items() if n.startswith(start)}

    @contextlib.contextmanager
    def publishing(self, ticks_per_s: float, seconds: float | None = None) -> Iterator[None]:
        """Publish ticks at due times, for a while or until the block ends, from when it begins.

        Raises:
            PeerFailed: the publisher ended, or a tick was refused.
        """
        directory = Path(tempfile.mkdtemp(dir=self.folder))
        (directory / LOGS).mkdir()
        process = PublisherProcess(directory)
        begin_ns = process.ready_ns
        end_ns = None if seconds is None else begin_ns + round(seconds * NS_PER_S)
        event, arrivals = TICKER_EVENT, Arrivals()
        tick = Publish(event=event, rate=ticks_per_s, arrivals=arrivals, payload_bytes=_DATA_BYTES)
        plan = PublishPlan(
            directory=directory,
            url=f"http://{HOST}:{self.port}",
            token=self._token,
            publish=(tick,),
            symbols=SYMBOLS,
            weights=(1.0,) * len(SYMBOLS),
            seed=1,
            user_ids=(),
            t0_ns=begin_ns,
            first_ns=begin_ns,
            steady_ns=begin_ns,
            end_ns=end_ns,
            late_ns=NS_PER_S,
            clock_offset_ns=0,
        )
        try:
            process.begin(asdict(plan) | {"directory": str(directory)})
            gevent.sleep(max(0, begin_ns - time.monotonic_ns()) / NS_PER_S)
            yield
        finally:
            # In a thread: the readers answer pings meanwhile.
            gevent.get_hub().threadpool.apply(process.stop)
        ledger = process.ledger()
        if process.is_lost or ledger["failed"]:
            raise PeerFailed(f"the publisher is {process.status}: {ledger}")

    def publish(self, ticks_per_s: float, seconds: float) -> None:
        """Publish for a while, and wait until that is read. Raises PeerFailed."""
        with self.publishing(ticks_per_s, seconds):
            gevent.sleep(seconds + _SETTLE_S)
        gevent.sleep(_SETTLE_S)


class Reader:
    """One of the laboratory's clients, subscribed to every symbol.

    Attributes:
        told_ms: how long the gateway asked it to wait before it returns.
        problem: what a client that behaves well must not meet; None while all is well.
    """

    def __init__(self, market: Market, intake: Intake, owner: int = 0, **options: Any) -> None:
        self.fast_path = FastPath(intake, owner)
        self.fast_path.is_timed = True
        url = f"http://{HOST}:{market.port}"
        self.client = Client(url, self, fast_path=self.fast_path, **options)
        self.told_ms: list[int] = []
        self.problem: Exception | None = None

    def join(self, token: str) -> Reader:
        """Connect and subscribe. Raises PeerFailed."""
        try:
            self.client.connect({"token": token})
            self.client.call(ClientEvent.SUBSCRIBE, SUBSCRIPTION)
        except ClientError as error:
            raise PeerFailed(f"a client could not join: {error}") from error
        return self

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        payload = arguments[0] if arguments else {}
        if name == TICKER_EVENT and "snapshot" not in payload:
            self.fast_path.intake.take(stamp_ns, self.fast_path.owner, name, payload)
            self.take(payload)
        elif name == ServerEvent.SERVER_DRAINING:
            self.told_ms.append(payload["reconnectAfter"])
        elif name == ServerEvent.ERROR:
            self.problem = PeerFailed(f"the gateway said {payload}")

    def take(self, tick: Mapping[str, Any]) -> None:
        """Take a tick that does not continue what came before it: the first of its stream."""
        place = place_of(TICKER_EVENT, tick)
        assert place is not None
        if self.fast_path.last_of(place.stream) is not None:
            self.problem = PeerFailed(f"a tick is missing before {place}")
        self.fast_path.follow(place.stream, place.number)

    def on_end(self, _stamp_ns: int, error: Exception) -> None:
        self.problem = self.problem or PeerFailed(f"a client was closed: {error}")

    def on_left_open(self, _stamp_ns: int) -> None:
        """Part of ``loadtests.connection.client.Listener``."""


class Readers:
    """Clients that behave well, and what they read in one intake."""

    def __init__(self, market: Market, count: int) -> None:
        self.intake = Intake()
        self.intake.offset_ns = 0
        self.all = [
            Reader(market, self.intake, number, source_address=source_address(HOST, number))
            for number in range(count)
        ]
        for _ in Pool(_AT_ONCE).imap(Reader.join, self.all, market.tokens(count)):
            pass  # an error is raised here

    def check(self) -> None:
        """Raise PeerFailed where one was closed, or lacks a tick."""
        for reader in self.all:
            if reader.problem is not None:
                raise reader.problem

    def close(self) -> None:
        for reader in self.all:
            # A plain end of the connection: no farewell as of `close`, no reset as of `drop`.
            reader.client._drop_link()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where the gateways of one run are started: on one core, with logs in a folder."""

    core: int
    folder: Path

    @contextlib.contextmanager
    def serve(
        self, name: str, settings: Mapping[str, str] | None = None, command: str = "gateway"
    ) -> Iterator[Market]:
        """Run a gateway, or a probed module; its log is ``NAME.log``. Raises PeerFailed."""
        peer = Peer(
            key="tidegate",
            title="Tidegate",
            command=(sys.executable, "-m", *command.split()),
            folder=ROOT,
            environ=tuple((settings or {}).items()),
        )
        with start(peer, self.core, _HEARTBEAT_S, self.log(name)) as running:
            market = Market(running.peer, running.process, running.port, running.secret)
            market.folder = self.folder
            yield market

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextlib.contextmanager
    def crowded(
        self,
        name: str,
        count: int,
        settings: Mapping[str, str] | None = None,
        command: str = "gateway",
    ) -> Iterator[tuple[Market, Readers]]:
        """Run a gateway with that many readers. Raises PeerFailed."""
        with self.serve(name, settings, command) as market:
            readers = Readers(market, count)
            try:
                yield market, readers
            finally:
                readers.close()
