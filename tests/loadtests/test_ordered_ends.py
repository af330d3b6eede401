"""A gateway that the scenario tells to end, in a whole run: its end is no death."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deadlines import DEADLINE_S
from rich.console import Console
from supervised import ANY_HEALTH, SupervisedRun, wait_for

from loadtests.endpoints import fetch
from loadtests.record.gateway_orders import OrderedGateway, read_exits
from loadtests.record.manifest import read_json
from loadtests.results import ExitCode
from loadtests.supervision.embedded import EmbeddedGateway
from loadtests.supervision.request import RunRefused, RunRequest
from loadtests.supervision.supervisor import run_supervised

ORDERED = """# Is an ordered end no death?
name = "ordered"
seed = 7
budgets = ["errors == 0", "drain.unannounced == 0", "delivery.lost == 0", "delivery.leaked == 0"]
[phases]
spawn_rate = 50.0
warm_up = "200 ms"
steady = "24 s"
drain = "1 s"
[market]
symbols = 3
zipf = 1.0
[users.subscriber]
count = 8
symbols = 2
[[commands]]
at = "500 ms"
do = "DEED"
[[publish]]
event = "price:update"
rate = 20.0
"""
ORDERED += ANY_HEALTH
SECRET = "a secret of more than 32 bytes for tests"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], SupervisedRun]]:
    started: list[SupervisedRun] = []

    def start(deed: str) -> SupervisedRun:
        started.append(SupervisedRun(tmp_path, ORDERED.replace("DEED", deed)))
        return started[-1]

    yield start
    for run in started:
        run.kill()


@pytest.mark.parametrize(
    ("deed", "welcomes"), [pytest.param("terminate", 1, marks=pytest.mark.proof), ("restart", 2)]
)
def test_an_ordered_end_is_no_death_and_the_run_goes_on(
    supervise: Callable[[str], SupervisedRun], deed: str, welcomes: int
) -> None:
    run = supervise(deed)
    code, words = run.end()
    assert code == ExitCode.PASS, words
    manifest = run.manifest()
    assert manifest["status"] == "complete"
    assert manifest["problems"] == []
    assert manifest["gateway"]["status"] == "ok"
    (told,) = manifest["gateway"]["exits"]
    assert told["exit_code"] == 0
    assert 0 < told["exited_s"] - told["asked_s"] < DEADLINE_S
    events = pq.read_table(run.directory / "events.parquet").to_pylist()
    seen = Counter((row["event"], row["outcome"]) for row in events)
    assert seen["command", deed] == 1
    assert seen["disconnect", "drained"] == seen["draining", ""] == 8
    assert seen["connect", ""] + seen["reconnect", ""] == 8 * welcomes
    assert (seen["attempt", "welcome"] == 8) == (deed == "restart")


def test_a_scenario_that_terminates_its_gateway_is_refused_for_another(tmp_path: Path) -> None:
    path = tmp_path / "ordered.toml"
    path.write_text(ORDERED.replace("DEED", "terminate"))
    request = RunRequest(scenario=path, runs=tmp_path, target="http://127.0.0.1:1")
    with pytest.raises(RunRefused, match="must be embedded"):
        run_supervised(request, {"JWT_SECRET": SECRET}, Console(file=io.StringIO()))


def test_a_duration_that_ends_before_a_command_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ordered.toml"
    path.write_text(ORDERED.replace("500 ms", "5 s").replace("DEED", "terminate"))
    request = RunRequest(scenario=path, runs=tmp_path, duration_s=2.0)
    with pytest.raises(RunRefused, match="after the steady phase"):
        run_supervised(request, {}, Console(file=io.StringIO()))


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedGateway]:
    environment = {
        **os.environ,
        "GATEWAY_ENV": "production",
        "JWT_SECRET": SECRET,
        "HOST": "127.0.0.1",
        "CLIENT_URL": "http://localhost",
    }
    command = (sys.executable, "-m", "gateway")
    gateway = EmbeddedGateway(command, environment, tmp_path, None)
    yield gateway
    gateway.stop(DEADLINE_S)
    gateway.end_group()


def await_another(embedded: EmbeddedGateway, first: int) -> None:
    def has_come() -> bool:
        embedded.tend()
        return embedded.pid != first

    wait_for(has_come)


def test_a_restarted_gateway_is_another_process_at_the_same_address(
    embedded: EmbeddedGateway, tmp_path: Path
) -> None:
    url, first = embedded.await_address(DEADLINE_S), embedded.pid
    run = OrderedGateway(tmp_path, first)
    assert run.order("restart", 5)
    await_another(embedded, first)
    assert not embedded.has_died
    assert run.follow() == embedded.pid
    assert run.follow() is None  # told once
    assert embedded.await_address(DEADLINE_S) == url
    assert fetch(url + "/health/live", timeout_s=DEADLINE_S)
    _, (told,) = read_exits(tmp_path)
    assert (told.asked_ns, told.exit_code) == (5, 0)


def test_an_end_that_nobody_ordered_is_a_death(embedded: EmbeddedGateway, tmp_path: Path) -> None:
    embedded.await_address(DEADLINE_S)
    os.kill(embedded.pid, signal.SIGKILL)
    wait_for(lambda: embedded.exit_code is not None)
    embedded.tend()
    assert embedded.has_died
    assert read_exits(tmp_path) == (None, [])
    assert read_json(tmp_path / "gateway-exits.json") is None


def test_a_gateway_that_dies_after_its_restart_has_died(
    embedded: EmbeddedGateway, tmp_path: Path
) -> None:
    embedded.await_address(DEADLINE_S)
    first = embedded.pid
    OrderedGateway(tmp_path, first).order("restart", 0)
    await_another(embedded, first)
    embedded.await_address(DEADLINE_S)
    os.kill(embedded.pid, signal.SIGKILL)
    wait_for(lambda: embedded.has_died)
