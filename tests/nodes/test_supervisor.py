"""``serve --processes N``: its nodes start again, drain in turn, and never outlive it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from blackbox.client import RawClient
from blackbox.forked import run_gateway
from blackbox.process import ROOT
from blackbox.target import Target
from deadlines import DEADLINE_S, until

from tests.nodes.conftest import COMMAND, SharedPortGateway

POLLING = "/socket.io/?EIO=4&transport=polling"
SECRET = "kS9vT2xQ7mL4pR8wZ1cN6bH3jF5dG0aY"
SOURCES = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_EXCHANGE": "paper",
    "REDIS_URL": "redis://127.0.0.1",
}
TLS = {"GATEWAY_TLS_CERTIFICATE": "/certificate", "GATEWAY_TLS_KEY": "/key"}
ENDED = "node ended; it starts again"
StartShared = Callable[..., SharedPortGateway]


class Pair(NamedTuple):
    """Two nodes and the file with their secret."""

    gateway: SharedPortGateway
    secret: Path


def events_of(gateway: SharedPortGateway, event: str) -> list[dict[str, Any]]:
    return [line for line in gateway.log_events() if line["event"] == event]


def client_of(gateway: Target, node: str) -> RawClient:
    """Return a connected client of a node."""
    for _ in range(200):
        client = RawClient(gateway)
        welcome = client.connect({"token": gateway.token()})
        if welcome["clientId"].startswith(f"{node}."):
            return client
        client.close()
    raise AssertionError(f"none of 200 connections came to {node}")


def nodes_up(gateway: Target) -> dict[str, str]:
    lines = gateway.get("/metrics").text.splitlines()
    ups = [line for line in lines if line.startswith("tidegate_node_up{")]
    return {line.split('"')[1]: line.rpartition(" ")[2] for line in ups}


def wait_until_listening(gateway: SharedPortGateway) -> None:
    until(lambda: len(gateway.nodes()) == gateway.count, "every node has a process")
    until(lambda: set(nodes_up(gateway).values()) == {"1.0"}, "every node answers", 4 * DEADLINE_S)


@pytest.fixture
def pair(pair_of_module: Pair) -> Pair:
    """Return the two nodes of the module, both of them ready."""
    wait_until_listening(pair_of_module.gateway)
    return pair_of_module


@pytest.fixture(scope="module")
def pair_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes that read their secret from a file."""
    folder = tmp_path_factory.mktemp("pair")
    secret = folder / "secret"
    secret.write_text(SECRET)
    gateway = SharedPortGateway(folder / "gateway.log", 2, JWT_SECRET=None, JWT_SECRET_FILE=secret)
    gateway.secret = SECRET
    try:
        yield Pair(gateway, secret)
        assert gateway.stop() == 0, gateway.log.read_text()
    finally:
        gateway.kill()


def test_a_killed_node_starts_again_later_each_time_and_its_clients_go_elsewhere(
    pair: Pair,
) -> None:
    gateway, _ = pair
    before = len(events_of(gateway, ENDED))
    with closing(client_of(gateway, "n-0")) as client:
        killed = gateway.nodes()["n-0"]
        killed.kill()
        client.wait_until_closed()
        until(lambda: not killed.is_running(), "the kernel has closed its listener")
        with closing(RawClient(gateway)) as again:
            assert again.connect({"token": gateway.token()})["clientId"].startswith("n-1.")
        assert nodes_up(gateway) == {"n-0": "0.0", "n-1": "1.0"}
        assert gateway.get(f"{POLLING}&sid=n-0.AAAA").json["code"] == 1
    until(lambda: "n-0" in gateway.nodes(), "the node has started again")
    gateway.nodes()["n-0"].kill()
    wait_until_listening(gateway)
    ends = events_of(gateway, ENDED)[before:]
    assert [(line["ended"], line["by"]) for line in ends] == [("n-0", "SIGKILL")] * 2
    assert ends[1]["restart_seconds"] == 2 * ends[0]["restart_seconds"]


def test_a_leaving_node_gives_its_kept_connections_to_another(pair: Pair) -> None:
    gateway, _ = pair
    with closing(client_of(gateway, "n-0")) as client, closing(kept_by(gateway, "n-0")) as kept:
        leaving = gateway.nodes()["n-0"]
        leaving.send_signal(signal.SIGTERM)
        client.expect("server:draining")
        kept.request("GET", POLLING)
        answer = kept.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read()[1:])["sid"].startswith("n-1.")
        kept.request("GET", "/health/ready")
        assert kept.getresponse().status == 200
    until(lambda: not leaving.is_running(), "it has ended")


def kept_by(gateway: Target, node: str) -> http.client.HTTPConnection:
    """Return a kept connection to a node."""
    for _ in range(200):
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=DEADLINE_S)
        connection.request("GET", POLLING)
        if connection.getresponse().read().startswith(f'0{{"sid":"{node}.'.encode()):
            return connection
        connection.close()
    raise AssertionError(f"none of 200 connections came to {node}")


def test_a_rolling_restart_replaces_every_node_and_refuses_no_client(pair: Pair) -> None:
    gateway, secret = pair
    before = gateway.nodes()
    statuses: list[int] = []
    done = threading.Event()

    def connect_again_and_again() -> None:
        while not done.is_set():
            try:
                statuses.append(gateway.get(POLLING).status)
            except OSError:
                statuses.append(0)
            time.sleep(0.02)  # between two clients, not for a state

    with closing(client_of(gateway, "n-0")) as first, closing(client_of(gateway, "n-1")) as second:
        coming = threading.Thread(target=connect_again_and_again)
        coming.start()
        try:
            gateway.process.send_signal(signal.SIGHUP)
            for client in (first, second):
                client.expect("server:draining", 4 * DEADLINE_S)
                client.wait_until_closed()
            until(lambda: events_of(gateway, "rolling restart done"), "", 8 * DEADLINE_S)
        finally:
            done.set()
            coming.join()
    assert set(statuses) == {200}, f"{len(statuses)} handshakes"
    after = gateway.nodes()
    assert before.keys() == after.keys()
    assert all(before[name].pid != after[name].pid for name in before)
    replaced = events_of(gateway, "node replaced")
    assert [line["replaced"] for line in replaced] == ["n-0", "n-1"]
    secret.write_text("short")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: events_of(gateway, "SIGHUP: nothing changed"))
    secret.write_text(SECRET)
    assert gateway.nodes() == after


def test_a_second_supervisor_finds_the_port_in_use(pair: Pair) -> None:
    port = pair.gateway.port
    code, told = refused(*COMMAND, "--processes", "2", PORT=str(port))
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in told


def test_sigterm_drains_the_nodes_in_turn_within_the_shutdown_time(
    start_shared: StartShared,
) -> None:
    gateway = start_shared(2, GATEWAY_SHUTDOWN_SECONDS=8)
    held = gateway.nodes()
    with closing(client_of(gateway, "n-0")) as first, closing(client_of(gateway, "n-1")) as second:
        gateway.process.send_signal(signal.SIGTERM)
        first.expect("server:draining")
        first.wait_until_closed()
        until(lambda: not held["n-0"].is_running(), "the first node has ended")
        second.expect("server:draining")
        second.wait_until_closed()
    assert gateway.process.wait(2 * DEADLINE_S) == 0
    assert not any(node.is_running() for node in held.values())
    assert events_of(gateway, "node killed: it did not end in time") == []


def test_sigint_ends_every_node_at_once(start_shared: StartShared) -> None:
    gateway = start_shared(2, GATEWAY_SHUTDOWN_SECONDS=3_600)
    held = gateway.nodes()
    with closing(client_of(gateway, "n-0")):
        held["n-1"].suspend()  # one that hangs does not hold up the end
        assert gateway.stop(signal.SIGINT) == 0
    psutil.wait_procs(held.values(), DEADLINE_S)
    assert not any(node.is_running() for node in held.values())


def test_no_node_outlives_a_killed_supervisor(start_shared: StartShared) -> None:
    gateway = start_shared(2)
    held = gateway.nodes()
    held["n-1"].suspend()
    gateway.process.kill()
    gateway.process.wait()
    psutil.wait_procs(held.values(), DEADLINE_S)
    assert not any(node.is_running() for node in held.values())


@pytest.mark.parametrize(
    ("count", "settings", "problem"),
    [
        ("0", {}, "--processes: must be a whole number from 1 to 64"),
        ("2x", {}, "--processes: must be a whole number from 1 to 64"),
        ("2", TLS, "GATEWAY_TLS_CERTIFICATE: a connection with TLS cannot be passed"),
        ("2", SOURCES, "GATEWAY_MARKET: a source on each of several nodes"),
        ("2", SOURCES, "GATEWAY_EXCHANGE: the paper exchange keeps"),
        ("2", {"GATEWAY_NODE": "a" * 32}, "GATEWAY_NODE: too long for 2 processes"),
        ("2", {"GATEWAY_NODE": "A.b"}, "GATEWAY_NODE: must have 1 to 32 letters a–z"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(
    count: str, settings: dict[str, str], problem: str
) -> None:
    ended = run_gateway("--processes", count, environment=development(**settings))
    assert ended.returncode == 2
    assert problem in ended.stderr


def test_several_processes_need_redis() -> None:
    code, told = refused(COMMAND[0], "-m", "gateway", "--processes", "2")
    assert code == 2
    assert told.startswith("--processes: several processes need a log that they share; set REDIS")


def development(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "NODE_ENV": "development", "PORT": "0"} | settings


def refused(*command: str, **settings: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=development(**settings),
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr
