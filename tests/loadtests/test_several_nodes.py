"""Runs over several nodes, with real gateways, a real Redis and a real Locust."""

from __future__ import annotations

import io
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from deadlines import DEADLINE_S, RUN_S
from rich.console import Console
from supervised import ANY_HEALTH, SupervisedRun

from loadtests.endpoints import fetch
from loadtests.results import ExitCode, Series
from loadtests.supervision import supervisor
from loadtests.supervision.embedded_nodes import EmbeddedNodes
from loadtests.supervision.request import RunRefused, RunRequest
from loadtests.supervision.supervisor import run_supervised

SECRET = secrets.token_urlsafe(48)
FOLDERS = "tidegate-run-*"
COUNTS = ("lost", "duplicate", "reordered", "leaked", "late")
SCENARIO = """# Do two nodes serve as one gateway?
name = "two"
seed = 7
nodes = 2
budgets = [
    "delivery.lost == 0",
    "delivery.duplicate == 0",
    "delivery.reordered == 0",
    "delivery.leaked == 0",
    "delivery.altered == 0",
    "return.lost == 0",
    "return.doubled == 0",
    "errors == 0",
]
[phases]
spawn_rate = 50.0
warm_up = "1 s"
steady = "STEADY"
drain = "10 s"
[market]
symbols = 3
zipf = 0.0
[users.subscriber]
count = 6
symbols = 2
[users.trader]
count = 4
symbols = 1
request_every = "2 s"
[users.returner]
count = 4
symbols = 1
stay = "STAY"
[[publish]]
event = "price:update"
rate = 20.0
[[publish]]
event = "order:created"
rate = 10.0
[[publish]]
event = "balance:updated"
rate = 10.0
"""
SCENARIO += ANY_HEALTH
RESTARTS = """
[[commands]]
at = "2 s"
do = "restart"
node = 1
[[commands]]
at = "9 s"
do = "restart"
node = 2
"""
QUICK_END = "[gateway]\nGATEWAY_SHUTDOWN_SECONDS = 2\n"
NEEDS_REDIS = pytest.mark.real_part("redis-server")


def scenario(steady: str = "5 s", stay: str = "1 s", more: str = "") -> str:
    return SCENARIO.replace("STEADY", steady).replace("STAY", stay) + more


@pytest.fixture
def start(tmp_path: Path) -> Iterator[list[SupervisedRun]]:
    started: list[SupervisedRun] = []
    yield started
    for run in started:
        run.kill()


def rows(run: Path, table: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(run / f"{table}.parquet").to_pylist()
    return found


def assert_accounted(run: Path) -> None:
    """Check that the users of both nodes got all that they were owed, once and in order."""
    ledger = rows(run, "ledger")
    assert sum(int(str(row["owed"])) for row in ledger) > 0
    assert [row for row in ledger if any(row[count] for count in COUNTS)] == []
    families = {row["family"] for row in rows(run, "hist") if row["series"] == Series.NODE_PUSH}
    assert families == {"node-1", "node-2"}
    assert {row["node"] for row in rows(run, "nodes")} == families


@NEEDS_REDIS
def test_embedded_nodes_serve_as_one_gateway_and_leave_nothing_behind(
    tmp_path: Path, start: list[SupervisedRun]
) -> None:
    start.append(run := SupervisedRun(tmp_path, scenario(), environment={"TMPDIR": str(tmp_path)}))
    code, words = run.end()
    assert code == ExitCode.PASS, words
    assert_accounted(run.directory)
    assert list(tmp_path.glob(FOLDERS)) == []
    first, second = run.manifest()["nodes"]
    assert run.manifest()["target"]["url"] == f"{first['url']},{second['url']}"
    assert "node-2  clients " in words
    summary = (run.directory / "summary.md").read_text()
    assert "| node-1 | " in summary
    assert "| node-2 | " in summary


@NEEDS_REDIS
def test_nodes_that_restart_one_after_the_other_lose_nothing_private(
    tmp_path: Path, start: list[SupervisedRun]
) -> None:
    text = scenario("16 s", "60 s", RESTARTS).replace("[market]", QUICK_END + "[market]")
    start.append(run := SupervisedRun(tmp_path, text))
    code, words = run.end()
    assert code == ExitCode.PASS, words
    assert_accounted(run.directory)
    assert len(run.manifest()["gateway"]["exits"]) == 2
    drained = [row for row in rows(run.directory, "events") if row["outcome"] == "drained"]
    assert len({row["user"] for row in drained}) == 14, "the users of both nodes lost their node"


@NEEDS_REDIS
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_redis_and_nodes_end_with_a_run_that_is_killed(
    tmp_path: Path, start: list[SupervisedRun]
) -> None:
    start.append(
        run := SupervisedRun(tmp_path, scenario("60 s"), environment={"TMPDIR": str(tmp_path)})
    )
    run.wait_until_steady()
    left = psutil.Process(run.process.pid).children(recursive=True)
    assert any("redis-server" in " ".join(child.cmdline()) for child in left)
    run.process.kill()
    _, alive = psutil.wait_procs(left, timeout=RUN_S)
    assert alive == []
    assert list(tmp_path.glob(FOLDERS)) == []


@NEEDS_REDIS
def test_a_redis_that_dies_ends_the_run_and_is_named(
    tmp_path: Path, start: list[SupervisedRun]
) -> None:
    start.append(run := SupervisedRun(tmp_path, scenario("60 s")))
    run.wait_until_steady()
    for child in psutil.Process(run.process.pid).children():
        if "redis-server" in " ".join(child.cmdline()):
            child.kill()
    code, words = run.end()
    assert code == ExitCode.GATEWAY_FAILED
    assert "redis-server died with exit code -9" in words


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[str]:
    """Two nodes that run already, as ``URL,URL``."""
    logs = tmp_path / "nodes"
    logs.mkdir()
    environment = {
        **os.environ,
        "GATEWAY_ENV": "production",
        "JWT_SECRET": SECRET,
        "HOST": "127.0.0.1",
        "CLIENT_URL": "http://localhost",
    }
    running = EmbeddedNodes((sys.executable, "-m", "gateway"), environment, logs, None, 2)
    try:
        yield running.await_addresses(RUN_S)
        assert running.stop(DEADLINE_S)
    finally:
        running.end_group()


@NEEDS_REDIS
def test_nodes_that_run_already_are_a_target(
    tmp_path: Path, nodes: str, start: list[SupervisedRun]
) -> None:
    environment = {"JWT_SECRET": SECRET}
    more = ["--target", nodes, "--processes", "2"]
    start.append(run := SupervisedRun(tmp_path, scenario(), more, environment=environment))
    code, words = run.end()
    assert code == ExitCode.PASS, words
    assert_accounted(run.directory)
    told = run.manifest()
    assert [node["pid"] for node in told["nodes"]] == [None, None]
    assert not told["target"]["embedded"]
    for url in nodes.split(","):
        assert fetch(f"{url}/health/live", timeout_s=DEADLINE_S)


def refusal(request: RunRequest, environment: dict[str, str]) -> str:
    with pytest.raises(RunRefused) as refused:
        run_supervised(request, environment, Console(file=io.StringIO()))
    return str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(scenario("16 s", more=RESTARTS))
    return path


def test_without_redis_server_several_nodes_are_refused_in_one_line(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "is_installed", lambda: False)
    words = refusal(RunRequest(scenario=file, runs=tmp_path / "runs"), {})
    assert "redis-server is not installed; install the package redis-server" in words
    assert "\n" not in words
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"nodes": 1}, "--nodes 1: a command of two ends node 2; write at least --nodes 2"),
        ({"nodes": 2, "target": "http://127.0.0.1:1"}, "leave out one of them"),
        ({"target": "http://127.0.0.1:1,http://127.0.0.1:1/"}, "leave out --target"),
    ],
    ids=["too few for a command", "nodes and target", "ends an external node"],
)
def test_a_request_that_contradicts_itself_is_refused(
    file: Path, tmp_path: Path, more: dict[str, object], words: str
) -> None:
    request = RunRequest(scenario=file, runs=tmp_path, **more)  # type: ignore[arg-type]  # of each case
    assert words in refusal(request, {"JWT_SECRET": SECRET})


def test_a_url_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(scenario())
    twice = "http://127.0.0.1:1,http://127.0.0.1:1/"
    request = RunRequest(scenario=path, runs=tmp_path, target=twice)
    assert "each once" in refusal(request, {"JWT_SECRET": SECRET})


@NEEDS_REDIS
def test_a_node_that_does_not_start_leaves_no_redis_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        EmbeddedNodes((str(tmp_path / "no-gateway"),), {}, tmp_path, None, 2)
    assert list(tmp_path.glob(FOLDERS)) == []
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "redis-server" in child.name()
    ]
