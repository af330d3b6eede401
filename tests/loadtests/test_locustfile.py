from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blackbox.process import GatewayProcess
from deadlines import PROMPT_S, RUN_S

from loadtests.results import REPORT, VERDICT
from scenarios.groups import GROUPS

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of more than 32 bytes for tests"
RunLocust = Callable[..., "subprocess.CompletedProcess[str]"]


def rows(run: Path, table: str, writer: str = "locust") -> list[dict[str, Any]]:
    with pa.OSFile(str(run / "segments" / f"{table}.{writer}.arrow")) as file:
        return list(pa.ipc.open_stream(file).read_all().to_pylist())


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_a_small_run_accounts_for_everything(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    run_directory: Path,
) -> None:
    gateway = start_gateway()
    arguments = ["-f", locustfile, "--headless", "--scenario", str(small_scenario)]
    arguments += ["-H", gateway.url, "--run-dir", str(run_directory), "--csv", "table"]
    done = run_locust(*arguments, environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 0, done.stderr + done.stdout
    assert "● PASS   errors == 0" in done.stdout
    assert json.loads((run_directory / VERDICT).read_text())["verdict"] == "PASS"
    assert (run_directory / REPORT).exists()
    assert pq.read_metadata(run_directory / "hist.parquet").num_rows > 0
    assert "Traceback" not in done.stderr + done.stdout
    assert gateway.secret not in done.stderr + done.stdout

    manifest = json.loads((run_directory / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["users"] == {"subscriber": 8, "trader": 5, "abuser": 1}
    assert [p["phase"] for p in manifest["phases"]] == ["ramp", "warm-up", "steady", "drain"]
    assert manifest["problems"] == []

    ledger = rows(run_directory, "ledger")
    assert {row["group"] for row in ledger} == {"subscriber", "trader", "abuser"}
    for row in ledger:
        assert row["owed"] == row["received"], row
        assert (row["lost"], row["duplicate"], row["reordered"], row["leaked"]) == (0, 0, 0, 0)
    owed = Counter[str]()
    for row in ledger:
        owed[row["stream"].partition(":")[0]] += row["owed"]
    assert min(owed["price"], owed["trading"], owed["user"]) > 0

    events = rows(run_directory, "events")
    seen = Counter((row["event"], row["group"]) for row in events)
    assert seen["connect", "subscriber"] == 8
    assert seen["error", "subscriber"] == seen["error", "trader"] == 0
    limits = Counter(row["outcome"] for row in events if row["event"] == "limit")
    assert limits["accepted"] == 60
    assert limits["refused"] >= 5 + 3
    assert set(limits) == {"accepted", "refused"}

    series = Counter[str]()
    for row in rows(run_directory, "hist"):
        series[row["series"]] += row["count"]
    assert series["connect"] == 14
    assert series["push"] == series["push_service"] == sum(owed.values()) - owed["user"]
    assert series["ack"] == series["ack_service"] == series["schedule_delay"] > 8 + 2 * 5
    assert series["heartbeat_gap"] == series["heartbeat_error"] > 14 * 10

    timeline = rows(run_directory, "timeline")
    assert sum(row["errors"] for row in timeline) == 0
    assert max(row["clients"] for row in timeline) == 14
    table = (run_directory.parent / "table_stats.csv").read_text()
    assert "PUSH,price:update" in table
    assert "CONNECT,connect" in table


def start_headless(
    gateway: GatewayProcess, locustfile: str, scenario: Path, run: Path, *more: str
) -> subprocess.Popen[bytes]:
    arguments = ["-f", locustfile, "--headless", "--scenario", str(scenario), *more]
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("locust")),
            *arguments,
            *("-H", gateway.url, "--run-dir", str(run), "-t", f"{RUN_S:.0f}s", "--no-report"),
        ],
        cwd=run.parent,
        env={**os.environ, "JWT_SECRET": gateway.secret},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_phase(run: Path, phase: str) -> None:
    deadline = time.monotonic() + RUN_S
    while True:
        try:
            if json.loads((run / "logs" / "live.json").read_text())["phase"] == phase:
                return
        except FileNotFoundError:
            pass
        assert time.monotonic() < deadline, f"no {phase}"
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_is_kept_and_ends_with_130(
    how: signal.Signals,
    start_gateway: Callable[..., GatewayProcess],
    locustfile: str,
    small_scenario: Path,
    run_directory: Path,
) -> None:
    process = start_headless(start_gateway(), locustfile, small_scenario, run_directory)
    try:
        wait_for_phase(run_directory, "steady")
        process.send_signal(how)
        assert process.wait(RUN_S) == 130
    finally:
        process.kill()
    manifest = json.loads((run_directory / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert rows(run_directory, "ledger")


def test_a_lost_publisher_ends_the_run_with_4(
    start_gateway: Callable[..., GatewayProcess],
    locustfile: str,
    small_scenario: Path,
    run_directory: Path,
) -> None:
    import psutil

    process = start_headless(start_gateway(), locustfile, small_scenario, run_directory)
    try:
        wait_for_phase(run_directory, "steady")
        (publisher,) = [
            child
            for child in psutil.Process(process.pid).children()
            if "loadtests.publication.publisher" in child.cmdline()
        ]
        publisher.kill()
        assert process.wait(RUN_S) == 4
    finally:
        process.kill()
    manifest = json.loads((run_directory / "manifest.json").read_text())
    assert manifest["publisher"]["status"] == "lost"


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        pytest.param([], {"JWT_SECRET": SECRET}, "--scenario is missing", id="no scenario"),
        pytest.param(
            ["--scenario", "nowhere.toml"], {"JWT_SECRET": SECRET}, "nowhere.toml", id="no file"
        ),
        pytest.param(["--scenario", "SMALL"], {}, "JWT_SECRET is not set", id="no secret"),
        pytest.param(["--scenario", "BROKEN"], {"JWT_SECRET": SECRET}, "sede", id="a misspelt key"),
        pytest.param(
            ["--scenario", "SMALL", "--master", "--master-bind-port", "0"],
            {},
            "JWT_SECRET is not set",
            id="no secret for a master",
        ),
    ],
)
def test_bad_usage_ends_with_2_and_one_clear_line(
    arguments: list[str],
    environment: dict[str, str],
    words: str,
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(small_scenario.read_text().replace("seed", "sede"))
    paths = {"SMALL": str(small_scenario), "BROKEN": str(broken)}
    given = [paths.get(argument, argument) for argument in arguments]
    done = run_locust(
        "-f", locustfile, "--headless", "-H", "http://127.0.0.1:1", *given, environment=environment
    )
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "tidegate:" in line]) == 1


@pytest.mark.parametrize(
    ("host", "words"),
    [
        pytest.param("http://127.0.0.1:1", "unreachable", id="nobody there"),
        pytest.param("gateway", "is not a valid target", id="no url"),
    ],
)
def test_a_target_without_a_welcome_ends_with_2(
    host: str, words: str, run_locust: RunLocust, locustfile: str, small_scenario: Path
) -> None:
    arguments = ["-f", locustfile, "--headless", "-H", host, "--scenario", str(small_scenario)]
    done = run_locust(*arguments, environment={"JWT_SECRET": SECRET})
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scenario_above_the_targets_limits_ends_with_2_and_names_the_limit(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
) -> None:
    gateway = start_gateway(GATEWAY_RATE_LIMIT=5)
    arguments = ["-f", locustfile, "--headless", "-H", gateway.url]
    arguments += ["--scenario", str(small_scenario)]
    done = run_locust(*arguments, environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 2, done.stderr
    assert "events.connection: the target allows 5" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process is Linux's")
def test_a_generator_that_may_open_too_few_descriptors_ends_with_2_and_the_number(
    start_gateway: Callable[..., GatewayProcess], locustfile: str, small_scenario: Path
) -> None:
    gateway = start_gateway()
    words = ["-f", locustfile, "--headless", "-H", gateway.url, "-u", "100"]
    locust = [str(Path(sys.executable).with_name("locust")), *words]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *locust, "--scenario", str(small_scenario)],
        env={**os.environ, "JWT_SECRET": gateway.secret},
        cwd=small_scenario.parent,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "needs 164 descriptors for 100 clients and may open 128" in done.stderr
    assert not (small_scenario.parent / "runs").exists()


def test_the_secret_is_no_argument(run_locust: RunLocust, locustfile: str) -> None:
    done = run_locust("-f", locustfile, "--secret", SECRET)
    assert done.returncode == 2
    assert "unrecognized arguments: --secret" in done.stderr


def test_the_scenario_may_come_from_a_variable(
    run_locust: RunLocust, locustfile: str, small_scenario: Path
) -> None:
    done = run_locust("-f", locustfile, environment={"LOCUST_SCENARIO": str(small_scenario)})
    assert done.returncode == 2
    assert "JWT_SECRET is not set" in done.stderr


@pytest.mark.parametrize("folder", [ROOT, ROOT / "loadtests"], ids=["root", "its own folder"])
def test_the_locustfile_loads_from_anywhere(folder: Path, run_locust: RunLocust) -> None:
    done = run_locust("-f", str(ROOT / "loadtests" / "locustfile.py"), "--list", cwd=folder)
    assert done.returncode == 0, done.stderr
    listed = done.stdout.split("Available Users:")[1].split()
    named = {name.removesuffix("Member").lower() for name in listed}
    assert named == {name.replace("_", "") for name in GROUPS}


def test_no_module_of_ours_hides_locust() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import locust; print(locust.__file__)"],
        cwd=ROOT / "loadtests",
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=True,
    )
    assert "site-packages" in done.stdout


def test_after_the_locustfile_every_import_of_locust_is_locusts_own(tmp_path: Path) -> None:
    code = """
import sys
from locust.util.load_locustfile import load_locustfile
load_locustfile(sys.argv[1])
import locust, locust.stats
assert "site-packages" in locust.__file__, locust.__file__
del sys.modules["locust"]
import locust
assert "site-packages" in locust.__file__, locust.__file__
assert not any(path.endswith("loadtests") for path in sys.path), sys.path
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "loadtests" / "locustfile.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


STAGES = """
[[stages]]
at = "500 ms"
users = 30
spawn_rate = 100.0

[[stages]]
at = "6500 ms"
users = 10
spawn_rate = 100.0
"""


def test_stages_change_the_load_at_their_own_times(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    run_directory: Path,
) -> None:
    gateway = start_gateway()
    staged = small_scenario.read_text().replace('steady = "4 s"', 'steady = "8 s"') + STAGES
    small_scenario.write_text(staged)
    arguments = ["-f", locustfile, "--headless", "--scenario", str(small_scenario)]
    arguments += ["-H", gateway.url, "--run-dir", str(run_directory), "--no-report"]
    done = run_locust(*arguments, environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 0, done.stderr + done.stdout
    clients = [row["clients"] for row in rows(run_directory, "timeline")]
    assert max(clients) == 30
    assert clients[-1] <= 10
    phases = {
        p["phase"]: p for p in json.loads((run_directory / "manifest.json").read_text())["phases"]
    }
    steady_s = phases["steady"]["end_s"] - phases["steady"]["start_s"]
    assert 8.0 <= steady_s < 8.0 + PROMPT_S  # as the scenario says, whenever the users had arrived
    events = rows(run_directory, "events")
    connected = {row["user"] for row in events if row["event"] == "connect"}
    assert connected == {f"vu-{number}" for number in range(30)}
    assert sum(row["lost"] for row in rows(run_directory, "ledger")) == 0


def test_a_run_time_that_was_asked_for_wins_over_the_scenarios(
    start_gateway: Callable[..., GatewayProcess],
    run_locust: RunLocust,
    locustfile: str,
    small_scenario: Path,
    run_directory: Path,
) -> None:
    gateway = start_gateway()
    endless = small_scenario.read_text().replace('steady = "4 s"', f'steady = "{2 * RUN_S:.0f} s"')
    small_scenario.write_text(endless + STAGES)
    arguments = ["-f", locustfile, "--headless", "--scenario", str(small_scenario), "--no-report"]
    arguments += ["-H", gateway.url, "--run-dir", str(run_directory), "-u", "4", "-t", "3s"]
    done = run_locust(*arguments, "-r", "2", environment={"JWT_SECRET": gateway.secret})
    assert done.returncode == 0, done.stderr + done.stdout
    manifest = json.loads((run_directory / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert (manifest["load_s"], manifest["spawn_rate"]) == (3, 2)
    assert sum(manifest["users"].values()) == 4
    assert manifest["problems"] == [
        "-u 4 sets the number of users: the scenario's [[stages]] are left out"
    ]
    assert manifest["phases"][-1]["start_s"] < RUN_S
