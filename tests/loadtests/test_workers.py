"""Runs of several Locust processes: their records are one record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S, RUN_S

from loadtests.endpoints import unused_port
from loadtests.record.finisher import finish_run
from loadtests.record.histogram import BUCKETS, Histogram
from loadtests.record.segments import read_batches

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ("clients", "owed", "received", "conflated", "lost", "duplicate", "reordered", "late")

# Nobody's subscriptions change while events are published: then counts are exact.
LISTENERS = """# Do two processes count what one counts?
name = "listeners"
seed = 7
budgets = ["errors == 0"]

[phases]
spawn_rate = 60.0
arrivals = "poisson"
warm_up = "300 ms"
steady = "3 s"
drain = "3 s"

[market]
symbols = 5
zipf = 1.0

[users.subscriber]
count = 13
symbols = 2

[users.trader]
count = 5
symbols = 1
request_every = "1000 s"

[[publish]]
event = "price:update"
rate = 40.0
arrivals = "poisson"

[[publish]]
event = "order:created"
rate = 20.0
arrivals = "burst"
burst_size = 5
payload = "2048 B"
"""

StartLocust = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def listeners(tmp_path: Path) -> Path:
    path = tmp_path / "listeners.toml"
    path.write_text(LISTENERS)
    return path


@pytest.fixture
def ports() -> list[str]:
    port = str(unused_port())
    at = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return [*at, "--master-host", "127.0.0.1", "--master-port", port]


@pytest.fixture
def start_locust(tmp_path: Path) -> Iterator[StartLocust]:
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, secret: str | None, descriptors: int | None = None
    ) -> subprocess.Popen[str]:
        environment: Mapping[str, str] = {
            k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "JWT_"))
        } | ({} if secret is None else {"JWT_SECRET": secret})
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py")]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        with (tmp_path / f"locust-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--headless", "--only-summary", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # its workers are in its own group
        except ProcessLookupError:
            continue
        finally:
            process.wait()


def end_of(process: subprocess.Popen[str], tmp_path: Path) -> int:
    code = process.wait(RUN_S)
    for log in sorted(tmp_path.glob("locust-*.log")):
        assert "Traceback" not in log.read_text(), log.read_text()
    return code


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + RUN_S
    while not is_so():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.05)


def phase_of(run: Path) -> str:
    try:
        return str(json.loads((run / "logs" / "live.json").read_text())["phase"])
    except FileNotFoundError:
        return ""


def table(run: Path, name: str) -> list[dict[str, Any]]:
    return list(pq.read_table(run / f"{name}.parquet").to_pylist())


def has_reported(run: Path, worker: str) -> bool:
    """Return whether the master of a run that goes on has rows of a worker."""
    segment = run / "segments" / f"hist.{worker}.arrow"
    return segment.exists() and any(True for _ in read_batches(segment, []))


def ledger_of(run: Path) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for row in table(run, "ledger"):
        for column in LEDGER:
            found[row["stream"], row["group"], column] += row[column]
    return +found


def pushes_by_user(run: Path) -> dict[tuple[str, int], int]:
    """Return how many pushes each user got in the steady phase, by name and place."""
    rows = table(run, "clients")
    assert all(row["connects"] == 1 and row["welcome_ns"] > 0 for row in rows)
    return {(row["user"], row["place"]): row["pushes"] for row in rows}


def histogram_of(run: Path, series: str) -> Histogram:
    whole = Histogram()
    assert len(whole.counts) == BUCKETS
    for row in table(run, "hist"):
        if row["series"] == series:
            whole.counts[row["bucket"]] += row["count"]
    return whole


def manifest_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return content


def test_one_process_and_two_workers_count_the_same(
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    runs = {}
    for name, more in (("one", []), ("two", ["--processes", "2", *ports])):
        gateway = start_gateway()
        runs[name] = tmp_path / name
        arguments = ["--scenario", str(listeners), "-H", gateway.url, *more]
        process = start_locust(
            *arguments, "--no-report", "--run-dir", str(runs[name]), secret=gateway.secret
        )
        assert end_of(process, tmp_path) == 0
        assert finish_run(runs[name]) == []
    one, two = runs["one"], runs["two"]
    assert manifest_of(one)["status"] == manifest_of(two)["status"] == "complete"
    assert len(manifest_of(two)["workers"]["names"]) == 2

    alone = ledger_of(one)
    assert alone == ledger_of(two)
    published = json.loads((two / "logs" / "publisher.json").read_text())
    for stream, count in published["counts"].items():
        if not stream.startswith("user:"):
            columns = {
                c: sum(n for (s, _, k), n in alone.items() if (s, k) == (stream, c)) for c in LEDGER
            }
            assert count * columns["clients"] == columns["received"] + columns["conflated"]
            assert columns["lost"] == columns["duplicate"] == columns["reordered"] == 0

    for series in ("connect", "session", "session_delay"):
        assert histogram_of(one, series).total == histogram_of(two, series).total == 18
    pushes = [histogram_of(run, "push") for run in (one, two)]
    assert pushes[0].total == pushes[1].total > 500
    # Which push is the first of the steady phase is a matter of milliseconds; who there is, not.
    assert pushes_by_user(one).keys() == pushes_by_user(two).keys()
    assert all(sum(pushes_by_user(run).values()) > 0 for run in (one, two))
    accepted = [histogram_of(run, "accept").total for run in (one, two)]
    assert accepted[0] == accepted[1] == published["published"]
    skewed = [histogram_of(run, "fanout_skew").total for run in (one, two)]
    assert 0 < skewed[1] <= 2 * skewed[0]  # in two processes a publication may count twice
    families = {row["family"] for row in table(two, "hist") if row["series"] == "push"}
    assert families == {"price", "trading", "user"}
    median = [push.quantile_ns(0.5) or 0 for push in pushes]
    assert 1 / 50 < median[0] / median[1] < 50  # a wrong unit is a factor of 1,000
    users = {row["user"] for row in table(two, "events") if row["event"] == "connect"}
    assert users == {row["user"] for row in table(one, "events") if row["event"] == "connect"}
    assert len(users) == 18


def start_two_workers(
    start_locust: StartLocust, gateway: GatewayProcess, scenario: Path, run: Path, ports: list[str]
) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    process = start_locust(
        *(
            "--scenario",
            str(scenario),
            "-H",
            gateway.url,
            "--no-report",
            "--run-dir",
            str(run),
            "-t",
            f"{RUN_S:.0f}s",
        ),
        *("--processes", "2", *ports),
        secret=gateway.secret,
    )
    wait_for(lambda: phase_of(run) == "steady", "steady phase")
    children = psutil.Process(process.pid).children()
    others = {"loadtests.publication.publisher", "loadtests.health.server_watch_process"}
    workers = [child for child in children if not others.intersection(child.cmdline())]
    assert len(workers) == 2
    return process, workers


@pytest.mark.parametrize(
    ("how", "has_ledger"),
    [
        pytest.param(signal.SIGKILL, False, id="killed"),
        pytest.param(signal.SIGSTOP, False, id="frozen", marks=pytest.mark.proof),
        pytest.param(signal.SIGTERM, True, id="asked to end", marks=pytest.mark.proof),
    ],
)
def test_a_lost_worker_is_seen_and_said_and_what_the_others_counted_still_counts(
    how: signal.Signals,
    has_ledger: bool,
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    process, workers = start_two_workers(start_locust, start_gateway(), listeners, run, ports)
    # The lost worker shall leave something behind: it has reported.
    for worker in ("worker-0", "worker-1"):
        wait_for(partial(has_reported, run, worker), f"rows of {worker}")
    workers[0].send_signal(how)
    assert end_of(process, tmp_path) == 4
    finish_run(run)
    manifest = manifest_of(run)
    assert manifest["status"] == "aborted"
    (lost,) = manifest["workers"]["lost"]
    assert any(lost in words and "was lost" in words for words in manifest["problems"])
    assert [row["event"] for row in table(run, "events")].count("lost-process") == 1
    (other,) = set(manifest["workers"]["names"]) - {lost}
    with_ledger = {row["worker"] for row in table(run, "ledger")}
    assert with_ledger == ({lost, other} if has_ledger else {other})
    assert {row["worker"] for row in table(run, "hist")} >= {lost, other}
    assert sum(row["lost"] for row in table(run, "ledger")) == 0


def test_an_interrupted_master_closes_its_workers_in_order_and_ends_with_130(
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    process, workers = start_two_workers(start_locust, start_gateway(), listeners, run, ports)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: master and workers
    assert end_of(process, tmp_path) == 130
    _, left = psutil.wait_procs(workers, timeout=DEADLINE_S)
    assert left == []
    finish_run(run)
    manifest = manifest_of(run)
    assert (manifest["status"], manifest["workers"]["lost"]) == ("interrupted", [])
    assert len({row["worker"] for row in table(run, "ledger")}) == 2


def test_workers_of_another_machine_need_the_secret_and_nothing_else(
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    gateway = start_gateway()
    run = tmp_path / "run"
    bind, reach = ports[:4], ports[4:]
    master = start_locust(
        *("--master", "--expect-workers", "2", *bind, "--scenario", str(listeners)),
        *("-H", gateway.url, "--no-report", "--run-dir", str(run)),
        secret=gateway.secret,
    )
    workers = [start_locust("--worker", *reach, secret=gateway.secret) for _ in range(2)]
    assert end_of(master, tmp_path) == 0
    assert [worker.wait(RUN_S) for worker in workers] == [0, 0]
    finish_run(run)
    assert len({row["worker"] for row in table(run, "ledger")}) == 2
    assert manifest_of(run)["status"] == "complete"


def test_a_worker_that_joins_during_a_run_gets_no_users_and_is_noted(
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    gateway, run = start_gateway(), tmp_path / "run"
    bind, reach = ports[:4], ports[4:]
    master = start_locust(
        *("--master", "--expect-workers", "1", *bind, "--scenario", str(listeners)),
        *("-H", gateway.url, "--no-report", "--run-dir", str(run), "-t", f"{RUN_S:.0f}s"),
        secret=gateway.secret,
    )
    start_locust("--worker", *reach, secret=gateway.secret)
    wait_for(lambda: phase_of(run) == "steady", "steady phase")
    late = start_locust("--worker", *reach, secret=gateway.secret)
    noted = "worker-1 joined during the run and waits for the next one"
    wait_for(lambda: noted in manifest_of(run)["problems"], "note")
    master.send_signal(signal.SIGINT)
    assert end_of(master, tmp_path) == 130
    assert late.wait(RUN_S) == 0
    finish_run(run)
    assert {row["worker"] for row in table(run, "clients")} == {"worker-0"}
    assert len(pushes_by_user(run)) == 18
    assert manifest_of(run)["workers"] == {
        **manifest_of(run)["workers"], "names": ["worker-0"], "lost": [],
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit may be raised again")
def test_a_worker_that_may_open_too_few_descriptors_makes_the_run_invalid(
    start_gateway: Callable[..., GatewayProcess],
    start_locust: StartLocust,
    listeners: Path,
    ports: list[str],
    tmp_path: Path,
) -> None:
    gateway, run = start_gateway(), tmp_path / "run"
    master = start_locust(
        *("--master", "--expect-workers", "1", *ports[:4], "--scenario", str(listeners)),
        *("-H", gateway.url, "--no-report", "--run-dir", str(run)),
        secret=gateway.secret,
    )
    start_locust("--worker", *ports[4:], secret=gateway.secret, descriptors=72)
    assert end_of(master, tmp_path) == 4
    finish_run(run)
    lost = [row["detail"] for row in table(run, "events") if row["event"] == "lost-process"]
    assert any("needs 82 descriptors for 18 clients and may open 72" in words for words in lost)


def test_a_worker_without_the_secret_ends_with_2_and_says_so(
    start_locust: StartLocust, listeners: Path, ports: list[str], tmp_path: Path
) -> None:
    asked = ["--master", "--expect-workers", "1", *ports[:4], "--scenario", str(listeners)]
    start_locust(*asked, "-H", "http://127.0.0.1:1", secret="a secret of more than 32 bytes")
    worker = start_locust("--worker", *ports[4:], secret=None)
    assert end_of(worker, tmp_path) == 2
    assert "JWT_SECRET is not set" in (tmp_path / "locust-1.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has open")
def test_nothing_is_open_before_the_workers_are_forked(tmp_path: Path) -> None:
    program = """
import os, sys
import gevent  # Locust's own loop, which gevent.fork makes anew in the child
gevent.get_hub()
before = set(os.listdir("/proc/self/fd"))
from locust.util.load_locustfile import load_locustfile
load_locustfile(sys.argv[1])
assert len(os.listdir("/proc/self/task")) == 1, os.listdir("/proc/self/task")
kinds = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
         if fd not in before and os.path.exists(f"/proc/self/fd/{fd}")}
assert not any("socket" in kind or "eventpoll" in kind for kind in kinds), kinds
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "loadtests" / "locustfile.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
