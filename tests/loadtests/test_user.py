from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from blackbox.process import ROOT, GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S, RUN_S, until
from locust.env import Environment

from loadtests.errors import ClientError, ConnectRefused, NotConnected
from loadtests.user import SocketIOUser


class Watcher(SocketIOUser):
    pass


@pytest.fixture
def fired() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def watcher(gateway: Target, fired: list[dict[str, Any]]) -> Iterator[Watcher]:
    Watcher.host = gateway.url
    environment = Environment(user_classes=[Watcher])
    environment.events.request.add_listener(lambda **facts: fired.append(facts))  # type: ignore[no-untyped-call]  # Locust's own gap
    user = Watcher(environment)
    yield user
    user.close()
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap


RunUntil = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_until(gateway: Target, tmp_path: Path) -> RunUntil:
    """Run a Locust file until words stand in its log; return exit code, output and log."""

    def run(path: Path, users: int, *words: str, **environment: str) -> tuple[int, str, str]:
        command = [str(Path(sys.executable).with_name("locust")), "-f", str(path), "--headless"]
        command += ["-u", str(users), "-r", str(users), "-H", gateway.url]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "JWT_"))}
        output, log = tmp_path / "locust.out", tmp_path / "locust.err"
        with output.open("w") as stdout, log.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**inherited, **environment},
                stdout=stdout,
                stderr=stderr,
            )
            try:
                until(lambda: all(word in log.read_text() for word in words), "words", RUN_S)
                process.terminate()
                code = process.wait(RUN_S)
            finally:
                process.kill()
        return code, output.read_text(), log.read_text()

    return run


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.005)


def test_a_connect_and_a_call_are_lines_in_locusts_table(
    watcher: Watcher, gateway: Target, fired: list[dict[str, Any]]
) -> None:
    welcome = watcher.connect({"token": gateway.token("vu-1")})
    assert welcome["userId"] == "vu-1"
    assert watcher.call("get-subscriptions").payload["count"] == 0
    assert [(row["request_type"], row["name"]) for row in fired] == [
        ("CONNECT", "connect"),
        ("ACK", "get-subscriptions"),
    ]
    assert all(row["response_time"] > 0 for row in fired)
    assert all(row["exception"] is None for row in fired)


def test_a_failure_is_a_line_without_a_time(watcher: Watcher, fired: list[dict[str, Any]]) -> None:
    with pytest.raises(ConnectRefused):
        watcher.connect({"token": "wrong"})
    (row,) = fired
    assert row["response_time"] is None
    assert isinstance(row["exception"], ConnectRefused)


def test_a_verb_before_connecting_says_so(watcher: Watcher) -> None:
    with pytest.raises(NotConnected):
        watcher.call("ping")
    with pytest.raises(NotConnected):
        watcher.emit("ping")


def test_a_handler_hears_its_event_and_the_push_is_timed(watcher: Watcher, gateway: Target) -> None:
    heard: list[tuple[int, Any]] = []
    watcher.on("price:update", lambda stamp_ns, payload: heard.append((stamp_ns, payload)))
    watcher.connect({"token": gateway.token()})
    watcher.call("subscribe", {"channel": "market-data", "symbols": ["FAC/E"]})
    data = {"symbol": "FAC/E", "price": 1}
    gateway.publish({"room": "market-data:FAC/E", "event": "price:update", "data": data})
    wait_until(lambda: heard)
    assert heard[0][1]["price"] == 1
    watcher._pushes.flush()
    entry = watcher.environment.stats.get("price:update", "PUSH")
    assert entry.num_requests == 1
    assert (entry.min_response_time or 0) >= 1


@pytest.mark.parametrize("mark", ["snapshot", "replayed"])
def test_what_is_no_push_is_never_timed(watcher: Watcher, gateway: Target, mark: str) -> None:
    watcher.connect({"token": gateway.token()})
    watcher.on_event(time.monotonic_ns(), "price:update", ({"ts": 1, mark: True},))
    watcher._pushes.flush()
    assert watcher.environment.stats.get("price:update", "PUSH").num_requests == 0


def test_on_another_clock_a_push_is_unmeasured(watcher: Watcher) -> None:
    welcome = {"clock": "another", "userSeq": 0}
    watcher.on_event(time.monotonic_ns(), "connected", (welcome,))
    watcher.on_event(time.monotonic_ns(), "price:update", ({"ts": 1},))
    watcher._pushes.flush()
    assert watcher.environment.stats.get("price:update", "PUSH").num_requests == 0


def test_a_user_may_come_back(watcher: Watcher, gateway: Target) -> None:
    first = watcher.connect({"token": gateway.token("vu-1")})
    watcher.close()
    with pytest.raises(ClientError):
        watcher.emit("ping")
    second = watcher.connect({"token": gateway.token("vu-1")})
    assert first["clientId"] != second["clientId"]


STRANGERS_FILE = """
import gevent, psutil
from locust import events, task
from loadtests.user import SocketIOUser
from loadtests.connection.reactor import Reactor

class Clumsy(SocketIOUser):
    def on_start(self):
        self.connect({"token": TOKEN})
        raise RuntimeError("clumsy")

class Content(SocketIOUser):
    def on_start(self):
        self.connect({"token": TOKEN})

    @task
    def look(self):
        self.call("get-subscriptions")
        gevent.sleep(0.2)

@events.quitting.add_listener
def count(environment, **_):
    environment.runner.stop()
    gevent.sleep(0.1)
    left = [c for c in psutil.Process().net_connections() if c.raddr and c.raddr.port == PORT]
    users = [g for g in __import__("gc").get_objects()
             if isinstance(g, gevent.Greenlet) and not g.dead and "run_user" in repr(g)]
    print("LEFT", len(left), len(users), Reactor.of_hub().is_idle)
    environment.process_exit_code = 0
"""


def test_neither_a_raising_on_start_nor_a_stop_leaves_a_socket_or_a_greenlet(
    gateway: Target, run_until: RunUntil, tmp_path: Path
) -> None:
    path = tmp_path / "strangers.py"
    constants = f"TOKEN = {gateway.token('vu-9')!r}\nPORT = {gateway.port}\n"
    path.write_text(constants + STRANGERS_FILE)
    code, output, log = run_until(path, 6, "clumsy", "get-subscriptions")
    assert code == 0, log
    assert "LEFT 0 0 True" in output


def test_pushes_that_nobody_waits_for_are_timed_without_an_event(
    watcher: Watcher, gateway: Target
) -> None:
    watcher.connect({"token": gateway.token()})
    watcher.call("subscribe", {"channel": "market-data", "symbols": ["LA/NE"]})
    decoded: list[str] = []
    watcher.received = lambda stamp_ns, name, payload: decoded.append(name)  # type: ignore[method-assign]
    for price in range(5):
        data = {"symbol": "LA/NE", "price": price}
        gateway.publish({"room": "market-data:LA/NE", "event": "price:update", "data": data})
    entry = watcher.environment.stats.get("price:update", "PUSH")

    def all_came() -> bool:
        watcher._pushes.flush()
        return bool(entry.num_requests == 5)

    wait_until(all_came)
    # The first tells where the stream is; what continues it takes the fast path.
    assert decoded.count("price:update") == 1


def test_a_loss_is_a_line_of_its_own(
    start_gateway: Callable[..., GatewayProcess], fired: list[dict[str, Any]], watcher: Watcher
) -> None:
    process = start_gateway()
    watcher.host = process.url
    watcher.connect({"token": process.token()})
    process.kill()
    wait_until(lambda: any(row["name"] == "lost" for row in fired))
    assert watcher.ended.ready()
    with pytest.raises(ClientError):
        watcher.call("ping")


def test_the_example_runs_as_it_stands(gateway: Target, run_until: RunUntil) -> None:
    path = ROOT / "examples" / "locustfile.py"
    code, _, log = run_until(path, 5, "get-subscriptions", TOKEN=gateway.token("example"))
    assert code == 0, log
    assert re.search(r"Aggregated +\d+ +0\(0\.00%\)", log), log
