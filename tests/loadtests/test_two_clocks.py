"""A run against a gateway on another clock: in a time namespace of its own, an hour ahead."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from blackbox.process import GatewayProcess

from loadtests.endpoints import unused_port
from loadtests.record.finisher import finish_run
from loadtests.results import bucket_range

RunLocust = Callable[..., "subprocess.CompletedProcess[str]"]
AHEAD_S: Final = 3_600
LONGEST_S: Final = 5.0
APART: Final = ("unshare", "--time", "--monotonic", str(AHEAD_S), "--fork", "--kill-child=SIGTERM")


def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not can_unshare(), reason="this machine gives us no time namespace (unshare --time)"
)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    command = (*APART, sys.executable, "-m", "gateway")
    gateway = GatewayProcess(tmp_path / "gateway.log", {}, command=command)
    yield gateway
    gateway.kill()  # unshare itself takes no SIGTERM; its end is one for the gateway


@pytest.fixture
def master_address() -> list[str]:
    port = str(unused_port())
    at = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return [*at, "--master-host", "127.0.0.1", "--master-port", port]


@pytest.mark.parametrize(
    "processes",
    [
        pytest.param(None, id="one process"),
        pytest.param(2, id="two workers", marks=pytest.mark.proof),
    ],
)
def test_one_way_times_are_measured_between_two_clocks_and_bounded(
    gateway: GatewayProcess,
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    master_address: list[str],
    tmp_path: Path,
    processes: int | None,
) -> None:
    run = tmp_path / "run"
    arguments = [
        "-f",
        locustfile,
        "--headless",
        "-H",
        gateway.url,
        "--run-dir",
        str(run),
        "--no-report",
    ]
    arguments += ["--scenario", str(small_scenario)]
    if processes is not None:
        arguments += ["--processes", str(processes), *master_address]
    done = run_locust(*arguments, environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 0, done.stderr + done.stdout
    finish_run(run)
    clock = json.loads((run / "manifest.json").read_text())["clock"]
    assert clock["same"] is False
    assert abs(clock["offset_ns"] - AHEAD_S * 10**9) <= clock["error_ns"]
    assert 0 < clock["error_ns"] < LONGEST_S * 1e9
    assert len(clock["estimates"]) >= 2
    counts, longest_ns = measured(run)
    for series in ("push", "push_service", "accept", "staleness", "kernel"):
        assert counts[series] > 0, series
        assert longest_ns[series] < LONGEST_S * 1e9, series
    assert sum(row["errors"] for row in rows(run, "timeline")) == 0


def measured(run: Path) -> tuple[Counter[str], dict[str, int]]:
    """Return of each series how many values there are, and the largest in ns."""
    counts: Counter[str] = Counter()
    longest_ns: dict[str, int] = {}
    for row in rows(run, "hist"):
        counts[row["series"]] += row["count"]
        most_ns = bucket_range(row["bucket"])[1]
        longest_ns[row["series"]] = max(most_ns, longest_ns.get(row["series"], 0))
    return counts, longest_ns


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(run / f"{table}.parquet").to_pylist()
    return found
