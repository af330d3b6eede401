from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pyarrow.parquet as pq
import pytest
from blackbox.target import Target
from deadlines import DEADLINE_S, PROMPT_S

from loadtests.conducting.run import Run
from loadtests.health.clock_id import read_clock_id
from loadtests.record.finisher import finish_run
from loadtests.record.manifest import create_run_directory, describe_run, read_json
from loadtests.record.recording import SECOND_NS
from loadtests.results import MANIFEST, Phase, RunStatus
from loadtests.tokens import SignedTokens
from scenarios.schema import Scenario, parse_scenario

SCENARIO = """# Does a run keep its record?
name = "tiny"
seed = 7
budgets = ["errors == 0"]
[phases]
spawn_rate = 50.0
warm_up = "300 ms"
steady = "1 s"
drain = "300 ms"
[market]
symbols = 3
zipf = 1.0
[users.trader]
count = 2
symbols = 1
request_every = "1 s"
[[publish]]
event = "price:update"
rate = 100.0
[[publish]]
event = "order:created"
rate = 50.0
"""


@dataclass
class Row:
    """A row of a ledger, as the run takes it."""

    stream: str = "trading"
    group: str = "trader"
    clients: int = 1
    owed: int = 4
    received: int = 3
    conflated: int = 0
    lost: int = 1
    duplicate: int = 0
    reordered: int = 0
    late: int = 0
    leaked: int = 0


@pytest.fixture
def scenario() -> Scenario:
    return parse_scenario(SCENARIO, path="tiny.toml")


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def run(tmp_path: Path, gateway: Target, scenario: Scenario, lost: list[str]) -> Iterator[Run]:
    unix_s = time.time()
    directory = create_run_directory(tmp_path, scenario, unix_s, name=tmp_path / "run")
    facts = describe_run(
        scenario,
        directory=directory,
        target_url=gateway.url,
        welcome={"clock": read_clock_id(), "limits": {}, "heartbeatInterval": 5_000},
        users={"trader": 2},
        spawn_rate=50.0,
        load_s=1.4,
        command=["locust"],
        embedded_pid=os.getpid(),
        clock_id=read_clock_id(),
        unix_s=unix_s,
    )
    run = Run(
        scenario,
        directory,
        facts,
        tokens=SignedTokens(gateway.secret),
        metrics_token=None,
        user_ids=lambda: ["vu-1", "vu-2"],
        on_lost=lost.append,
    )
    run.start()
    yield run
    run.finish([], status=RunStatus.ABORTED, problems=[])


def wait_for(is_so: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        gevent.sleep(0.02)


def manifest_of(run: Run) -> dict[str, Any]:
    found = read_json(run.directory / MANIFEST)
    assert found is not None
    return found


def published(run: Run) -> int:
    ledger = read_json(run.directory / "logs" / "publisher.json") or {}
    return int(ledger.get("published", 0))


def test_a_run_publishes_drains_and_leaves_a_record_that_reads(run: Run) -> None:
    begun_s = (time.monotonic_ns() - run.t0_ns) // SECOND_NS
    assert run.phases.at(time.monotonic_ns()) is Phase.RAMP
    run.spawning_complete()
    assert run.phases.phases == [Phase.RAMP, Phase.WARM_UP, Phase.STEADY]
    wait_for(lambda: run.phases.at(time.monotonic_ns()) is Phase.STEADY and published(run) > 100)
    asked: list[Mapping[str, int]] = []

    def is_settled(last_numbers: Mapping[str, int]) -> bool:
        asked.append(last_numbers)
        return len(asked) == 3

    last_numbers = run.drain(is_settled)
    assert len(asked) == 3
    assert last_numbers["price:SYM000/USDT"] > 0
    assert last_numbers["trading"] > 0
    assert last_numbers["user:vu-1"] > 0
    run.finish([Row()], status=RunStatus.COMPLETE, problems=["one problem"])
    finish_run(run.directory)

    manifest = manifest_of(run)
    assert manifest["status"] == "complete"
    assert manifest["problems"] == ["one problem"]
    assert manifest["publisher"]["status"] == "complete"
    assert manifest["publisher"]["published"] == published(run)
    assert [p["phase"] for p in manifest["phases"]] == ["ramp", "warm-up", "steady", "drain"]
    assert manifest["clock"]["same"] is True
    assert manifest["clock"]["error_ns"] == 0

    def rows(table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pq.read_table(run.directory / f"{table}.parquet").to_pylist()
        return found

    assert [row["lost"] for row in rows("ledger")] == [1]
    assert [r["outcome"] for r in rows("events") if r["event"] == "phase"] == [
        "ramp",
        "warm-up",
        "steady",
        "drain",
    ]
    series = {row["series"] for row in rows("hist")}
    assert {"publish_delay", "publish_ack", "loop_lag", "gateway_lag"} <= series
    assert all(row["rss_bytes"] > 0 for row in rows("server"))
    assert all(row["cpu_ns"] > 0 for row in rows("generator"))
    seconds = [row["t_s"] for row in rows("timeline") if row["worker"] == "locust"]
    assert seconds[0] == 0
    # A row has the second of its flush: on a busy host a late flush shares the next one's. While
    # its processes start, and while the host lets it stand still, a run leaves out flushes.
    later = [second for second in seconds if second > begun_s]
    stood_still = any((row["loop_lag_max_ns"] or 0) > SECOND_NS / 2 for row in rows("generator"))
    assert later == sorted(later)
    assert len(later) == later[-1] - begun_s or stood_still


def test_no_token_stands_in_the_publishers_command_line_or_in_the_run_directory(
    run: Run, gateway: Target
) -> None:
    run.spawning_complete()
    wait_for(lambda: published(run) > 0)
    held = run.publisher.process
    assert held is not None
    words = Path(f"/proc/{held.pid}/cmdline").read_bytes().decode()
    assert "eyJ" not in words
    assert gateway.secret not in words
    for path in run.directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"eyJ" not in content
            assert gateway.secret.encode() not in content


def test_a_publisher_that_is_killed_ends_the_run_and_is_told(run: Run, lost: list[str]) -> None:
    run.spawning_complete()
    wait_for(lambda: published(run) > 0)
    held = run.publisher.process
    assert held is not None
    os.kill(held.pid, signal.SIGKILL)
    wait_for(lambda: lost)
    assert "the publisher was lost" in lost[0]
    assert run.publisher.is_lost
    run.drain(lambda _: True)
    run.finish([], status=RunStatus.ABORTED, problems=[])
    finish_run(run.directory)
    assert manifest_of(run)["publisher"]["status"] == "lost"
    events = pq.read_table(run.directory / "events.parquet").to_pylist()
    assert [row["event"] for row in events if row["event"] == "lost-process"] == ["lost-process"]


def test_a_drain_ends_when_its_time_is_over(run: Run) -> None:
    run.spawning_complete()
    before_s = time.monotonic()
    run.drain(lambda _: False)
    assert 0.3 <= time.monotonic() - before_s < DEADLINE_S


def test_a_gateway_that_is_gone_leaves_the_publishers_numbers_and_a_problem(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.spawning_complete()
    wait_for(lambda: published(run) > 50)
    monkeypatch.setattr(run.publisher, "url", "http://127.0.0.1:1")
    last_numbers = run.drain(lambda _: True)
    assert last_numbers["trading"] > 0
    assert any("does not tell its last numbers" in p for p in manifest_of(run)["problems"])


def test_a_second_spawning_complete_and_a_second_finish_change_nothing(run: Run) -> None:
    run.spawning_complete()
    starts_ns = list(run.phases.starts_ns)
    run.spawning_complete()
    assert run.phases.starts_ns == starts_ns
    run.drain(lambda _: True)
    run.finish([], status=RunStatus.COMPLETE, problems=[])
    run.finish([], status=RunStatus.ABORTED, problems=["late"])
    assert manifest_of(run)["status"] == "complete"


def test_what_watches_the_run_finds_its_newest_second(run: Run) -> None:
    run.recorder.clients(2)
    path = run.directory / "logs" / "live.json"
    wait_for(path.exists)
    live = read_json(path)
    assert live is not None
    assert live["clients"] == 2
    assert live["push_p99_ns"] is None
    assert live["t_s"] == pytest.approx((time.monotonic_ns() - run.t0_ns) / SECOND_NS, abs=PROMPT_S)
