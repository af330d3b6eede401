"""One generator under test, as a process: so many virtual users of one kind against the blaster.

Commands come by lines on standard input, each answered by a line of JSON:
``ready`` (when everybody has subscribed), ``begin``, ``end EXPECTED``, ``quit``.
"""

from __future__ import annotations

# Locust patches the process, so it comes first.
from locust import task  # isort: skip
from locust.contrib import socketio as contrib  # isort: skip
from locust.env import Environment  # isort: skip

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.socket

from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.subscriber import Subscriber
from loadtests.connection.reactor import Reactor
from loadtests.health.pulse import BREATH_S
from loadtests.health.server_probe import read_pss_anon
from loadtests.record.histogram import Histogram
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import Series
from loadtests.tokens import SignedTokens
from loadtests.user import SocketIOUser
from scenarios.schema import parse_scenario

DEADLINE_S: Final = 120.0
MS: Final = 1_000_000
QUANTILES: Final = {"p50": 0.5, "p99": 0.99}
SCENARIO: Final = """# What does the generator cost?
name = "generator"
seed = 1
budgets = ["errors == 0"]

[phases]
spawn_rate = 100.0
warm_up = "1 s"
steady = "4 s"
drain = "1 s"

[market]
symbols = 50
zipf = 1.0

[users.subscriber]
count = 1
symbols = 1

[[publish]]
event = "price:update"
rate = 20.0

[policy]
inconclusive = "fail"
"""


def symbols_of(index: int, options: argparse.Namespace) -> list[str]:
    """Return a user's symbols: neighbours overlap, and all symbols have as many users."""
    step = max(1, options.symbols // options.each)
    return [f"S{(index + k * step) % options.symbols}" for k in range(options.each)]


class Listener(Subscriber):
    """Tidegate's: each push timed, and accounted for by its stream's numbers."""

    bench: argparse.Namespace

    def subscribe_all(self) -> None:
        symbols = symbols_of(self.index, self.bench)
        self.request("subscribe", {"channel": "market-data", "symbols": symbols})
        Tally.subscribed += 1


class Plain(SocketIOUser):
    """The face for Locust files: each push timed, no ledger."""

    bench: argparse.Namespace

    @task
    def listen(self) -> None:
        self.connect({"token": "t"})
        symbols = symbols_of(self.number, self.bench)
        self.call("subscribe", {"channel": "market-data", "symbols": symbols})
        Tally.subscribed += 1
        gevent.sleep(10 * DEADLINE_S)


class Tally:
    """What the Locust user counts by itself."""

    subscribed = 0
    received = 0
    gaps = 0
    latencies_ns: Final[list[int]] = []


class Contributed(contrib.SocketIOUser):
    """Locust's own, with the same work: timed by ``ts``, accounted for by ``seq``."""

    bench: argparse.Namespace
    entered = 0

    @task
    def listen(self) -> None:
        index = type(self).entered
        type(self).entered += 1
        self.last: dict[str, int] = {}
        self.sio.on("price:update", self.price)
        sio: Any = self.sio
        sio.connect(self.host, transports=["websocket"], auth={"token": "t"})
        symbols = symbols_of(index, self.bench)
        payload = {"channel": "market-data", "symbols": symbols}
        sio.call("subscribe", payload)
        Tally.subscribed += 1
        gevent.sleep(10 * DEADLINE_S)

    def price(self, payload: dict[str, Any]) -> None:
        latency_ns = time.monotonic_ns() - payload["ts"] * 1_000
        symbol, number = payload["symbol"], payload["seq"]
        Tally.gaps += self.last.get(symbol, payload["prevSeq"]) != payload["prevSeq"]
        self.last[symbol] = number
        Tally.received += 1
        Tally.latencies_ns.append(latency_ns)
        self.environment.events.request.fire(
            request_type="PUSH",
            name="price:update",
            response_time=latency_ns / MS,
            response_length=0,
            exception=None,
            context={},
        )


CLIENTS: Final = {"tidegate": Listener, "plain": Plain, "locust": Contributed}


class Side:
    """The process: users, the recorder's second, a greenlet that notices how long it is held."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.histograms: dict[Series, Histogram] = {}
        self.held_ns = 0
        now_ns = time.monotonic_ns()
        self.recorder = Recorder(folder, worker="bench", t0_ns=now_ns, phases=PhaseTimes(now_ns))
        scenario = parse_scenario(SCENARIO, path="generator.toml")
        self.run_context = RunContext(
            scenario=scenario, tokens=SignedTokens("b" * 32), recorder=self.recorder
        )
        Listener.run_context = self.run_context
        user_class: Any = CLIENTS[options.client]
        user_class.bench, user_class.host = options, options.url
        self.environment = Environment(user_classes=[user_class])
        self.rss_before = read_pss_anon(os.getpid()) or 0
        runner = self.environment.create_local_runner()
        runner.start(options.users, spawn_rate=options.spawn_rate)
        gevent.spawn(self._flush_each_second)
        gevent.spawn(self._notice_holds)

    def ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while Tally.subscribed < self.options.users:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{Tally.subscribed} of {self.options.users} subscribed")
            gevent.sleep(0.1)
        gevent.sleep(1.0)
        gc.collect()
        gc.freeze()
        rss = read_pss_anon(os.getpid()) or 0
        return {
            "users": Tally.subscribed,
            "bytes_a_user": (rss - self.rss_before) / Tally.subscribed,
        }

    def begin(self) -> dict[str, Any]:
        self._flush()
        self.histograms.clear()
        Tally.latencies_ns.clear()
        self.held_ns = 0
        Reactor.of_hub().longest_turn_ns = 0
        self.received_before = self._received()
        self.began = time.monotonic(), time.process_time()
        return {}

    def end(self, expected: int) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while self._received() - self.received_before < expected and time.monotonic() < deadline:
            gevent.sleep(0.01)
            self._flush()
        wall_s = time.monotonic() - self.began[0]
        cpu_s = time.process_time() - self.began[1]
        received = self._received() - self.received_before
        return {
            "received": received,
            "lost": expected - received,
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "errors": self.recorder.totals["errors"],
            "gaps": Tally.gaps,
            "held_ms": self.held_ns / MS,
            "turn_ms": Reactor.of_hub().longest_turn_ns / MS,
            "push": self._quantiles(Series.PUSH_SERVICE),
            "share": self._quantiles(Series.GENERATOR_SHARE),
        }

    def _quantiles(self, series: Series) -> dict[str, float]:
        found = self.histograms.get(series)
        if self.options.client == "locust" and series is Series.PUSH_SERVICE:
            found = Histogram.of(Tally.latencies_ns)
        if found is None or not found.total:
            return {}
        return {name: (found.quantile_ns(q) or 0) / MS for name, q in QUANTILES.items()}

    def _received(self) -> int:
        if self.options.client == "locust":
            return Tally.received
        if self.options.client == "plain":
            return self.environment.stats.get("price:update", "PUSH").num_requests
        return self.recorder.totals["received"]

    def _flush(self) -> None:
        self._keep(self.recorder.flush(time.monotonic_ns()))

    def _keep(self, seen: SecondSeen) -> None:
        for series in (Series.PUSH_SERVICE, Series.GENERATOR_SHARE):
            part = seen.histogram(series)
            self.histograms[series] = Histogram.merged(
                [self.histograms.get(series, Histogram()), part]
            )

    def _flush_each_second(self) -> None:
        while True:
            gevent.sleep(1.0)
            seen = self.recorder.begin_flush(time.monotonic_ns())
            while self.recorder.flush_step():
                gevent.sleep(BREATH_S)  # as in a run
            self._keep(seen)

    def _notice_holds(self) -> None:
        while True:
            due_ns = time.monotonic_ns() + MS
            gevent.sleep(0.001)
            self.held_ns = max(self.held_ns, time.monotonic_ns() - due_ns)


def commands() -> Any:
    """Give each line of standard input, and let the hub run meanwhile."""
    rest = b""
    while True:
        gevent.socket.wait_read(0)
        data = os.read(0, 4_096)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode().split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--spawn-rate", type=float, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        side = Side(options, Path(folder) / "run")
        for command, *arguments in commands():
            if command == "quit":
                break
            answer = getattr(side, command)(*map(int, arguments))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            side.recorder.close(time.monotonic_ns())
    os._exit(0)  # thousands of users need not be stopped one by one


if __name__ == "__main__":
    main()
