from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from deadlines import DEADLINE_S, RUN_S
from rich.console import Console
from supervised import ANY_HEALTH, ROOT, SupervisedRun, wait_for

from loadtests.processes import child_environment
from loadtests.results import ExitCode
from loadtests.supervision.children import Child, ChildFailed
from loadtests.supervision.request import RunRefused, RunRequest
from loadtests.supervision.supervisor import Supervisor, run_supervised
from loadtests.supervision.token_file import TokenFile
from scenarios.schema import read_scenario

SMOKE = ROOT / "scenarios" / "smoke.toml"
SMALL = """# Is a small run supervised?
name = "small"
seed = 7
budgets = ["errors == 0"]
[phases]
spawn_rate = 50.0
warm_up = "200 ms"
steady = "STEADY"
drain = "1 s"
[gateway]
GATEWAY_HEARTBEAT_SECONDS = 1
[market]
symbols = 3
zipf = 1.0
[users.trader]
count = 10
symbols = 1
request_every = "REQUEST_EVERY"
[[publish]]
event = "price:update"
rate = 20.0
"""
SMALL += ANY_HEALTH
SLOW_S = 4
NO_TOKENS = TokenFile(None, None, 1, {})


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[[str], Child]]:
    started: list[Child] = []

    def start(program: str) -> Child:
        command = [sys.executable, "-u", "-c", program]
        log = tmp_path / f"{len(started)}.log"
        started.append(Child("program", command, log=log, environment=os.environ))
        return started[-1]

    yield start
    for child in started:
        child.stop(0)


def test_a_child_is_ready_when_its_line_is_in_its_log(python: Callable[[str], Child]) -> None:
    child = python("import time; print('noise'); print('listening on http://x:1'); time.sleep(60)")
    assert child.wait_for_line("listening on ", DEADLINE_S) == "http://x:1"
    assert child.stop(DEADLINE_S)
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ends_before_it_is_ready_fails_with_its_last_words(
    python: Callable[[str], Child],
) -> None:
    child = python("import sys; print('bad setting'); sys.exit(2)")
    with pytest.raises(ChildFailed, match=r"(?s)exit code 2 .*bad setting"):
        child.wait_for_line("listening on ", DEADLINE_S)


def test_a_silent_child_fails_when_its_time_is_over(python: Callable[[str], Child]) -> None:
    with pytest.raises(ChildFailed, match=r"not ready within 0\.1 s"):
        python("import time; time.sleep(60)").wait_for_line("listening on ", 0.1)


def test_a_child_that_ignores_sigterm_is_killed(python: Callable[[str], Child]) -> None:
    child = python(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('here'); time.sleep(60)"
    )
    child.wait_for_line("here", DEADLINE_S)
    assert not child.stop(0.1)
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    program = (
        "import os, sys, time; from pathlib import Path;"
        "from loadtests.supervision.children import Child;"
        f"c = Child('c', [sys.executable, '-c', 'import time; time.sleep(60)'],"
        f" log=Path({str(log)!r}), environment=os.environ);"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def test_children_find_the_project_from_any_folder() -> None:
    held = os.pathsep.join(["/x", "", "/y", ""])  # an empty entry would be the current folder
    found = child_environment({"PYTHONPATH": held})["PYTHONPATH"]
    assert found == os.pathsep.join([str(ROOT), "/x", "/y"])


def test_settings_of_another_locust_or_jupyter_project_reach_no_child() -> None:
    found = child_environment({"LOCUST_USERS": "3", "JUPYTER_PATH": "/x", "HOME": "/h"})
    assert "LOCUST_USERS" not in found
    assert "/x" not in found["JUPYTER_PATH"]
    assert found["HOME"] == "/h"


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_misspelt_key_is_refused_before_anything_starts(tmp_path: Path, console: Console) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMOKE.read_text().replace("steady =", "steedy ="))
    with pytest.raises(RunRefused, match="did you mean steady"):
        run_supervised(RunRequest(scenario=path, runs=tmp_path / "runs"), {}, console)
    assert not (tmp_path / "runs").exists()


def test_a_baseline_that_is_no_run_is_refused_before_anything_starts(
    tmp_path: Path, console: Console
) -> None:
    budgets = tmp_path / "ratios.toml"
    budgets.write_text('budgets = ["push.p99 ratio <= 1.10"]')
    request = RunRequest(
        scenario=SMOKE, runs=tmp_path / "runs", budgets=budgets, baseline=tmp_path / "nothing"
    )
    with pytest.raises(RunRefused, match=str(tmp_path / "nothing")):
        run_supervised(request, os.environ, console)
    assert not (tmp_path / "runs").exists()


def test_a_target_needs_the_secret_in_the_environment(tmp_path: Path, console: Console) -> None:
    request = RunRequest(scenario=SMOKE, runs=tmp_path, target="http://127.0.0.1:1")
    with pytest.raises(RunRefused, match="JWT_SECRET in the environment"):
        run_supervised(request, {}, console)


@pytest.mark.parametrize("rest", ["/v1", "?x=1", "/?", "#top"])
def test_a_target_of_which_a_part_would_not_be_used_is_refused(
    tmp_path: Path, console: Console, rest: str
) -> None:
    request = RunRequest(scenario=SMOKE, runs=tmp_path, target=f"http://127.0.0.1:1{rest}")
    with pytest.raises(RunRefused, match="has a user, a path, a query or a fragment"):
        run_supervised(request, {"JWT_SECRET": "s" * 32}, console)


def test_a_target_that_nobody_answers_at_is_refused_in_words(
    tmp_path: Path, console: Console
) -> None:
    request = RunRequest(scenario=SMOKE, runs=tmp_path, target="http://127.0.0.1:1")
    with pytest.raises(RunRefused, match="is unreachable"):
        run_supervised(request, {"JWT_SECRET": "s" * 32}, console)


def test_a_gateway_that_does_not_start_is_5_with_its_own_words(
    tmp_path: Path, console: Console
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMOKE.read_text().replace("GATEWAY_HEARTBEAT_SECONDS", "GATEWAY_NONSENSE"))
    request = RunRequest(scenario=path, runs=tmp_path / "runs")
    assert run_supervised(request, os.environ, console) == ExitCode.GATEWAY_FAILED
    assert "GATEWAY_NONSENSE" in said(console)


def test_a_folder_where_no_run_can_be_written_is_refused_in_words(
    tmp_path: Path, console: Console
) -> None:
    (tmp_path / "file").write_text("")
    request = RunRequest(scenario=SMOKE, runs=tmp_path / "file")
    with pytest.raises(RunRefused, match=r"is not writable: .*--runs"):
        run_supervised(request, os.environ, console)


def test_a_number_of_users_that_replaces_load_stages_says_so(
    tmp_path: Path, console: Console
) -> None:
    (tmp_path / "file").write_text("")
    scenario = ROOT / "scenarios" / "memory.toml"
    request = RunRequest(scenario=scenario, runs=tmp_path / "file", users=5)
    with pytest.raises(RunRefused):
        run_supervised(request, os.environ, console)
    stages = len(read_scenario(scenario).stages)
    assert f"warning: --users 5 replaces the {stages} load stages" in said(console)


def test_more_users_than_the_scenario_has_get_the_time_that_their_ramp_takes(
    tmp_path: Path, console: Console
) -> None:
    scenario = read_scenario(SMOKE)
    users = scenario.users.total + round(100 * scenario.phases.spawn_rate)
    spans_s = [
        Supervisor(scenario, request, tmp_path, "s", NO_TOKENS, {}, console).progress.load_s
        for request in (
            RunRequest(scenario=SMOKE, runs=tmp_path),
            RunRequest(scenario=SMOKE, runs=tmp_path, users=users),
        )
    ]
    assert spans_s[1] - spans_s[0] == pytest.approx(100)


@pytest.mark.parametrize(
    ("interrupted", "gateway_died", "load_code", "verdict_code", "expected"),
    [
        pytest.param(False, False, 0, 0, 0, id="pass"),
        pytest.param(False, False, 0, 1, 1, id="a broken budget"),
        pytest.param(False, False, 0, 3, 3, id="inconclusive"),
        pytest.param(False, False, 2, None, 2, id="the load refused to start"),
        pytest.param(False, False, 4, 0, 4, id="the publisher was lost"),
        pytest.param(False, False, 4, 1, 1, id="a counted loss is worse than a lost publisher"),
        pytest.param(False, False, -9, 0, 4, id="the load generator was killed"),
        pytest.param(False, False, 0, 2, 4, id="no verdict was made"),
        pytest.param(False, True, 4, 1, 5, id="the gateway died"),
        pytest.param(True, True, 130, 1, 130, id="interrupted"),
    ],
)
def test_the_exit_code_is_the_worst_of_what_happened(
    tmp_path: Path,
    console: Console,
    interrupted: bool,
    gateway_died: bool,
    load_code: int,
    verdict_code: int,
    expected: int,
) -> None:
    request = RunRequest(scenario=SMOKE, runs=tmp_path)
    supervisor = Supervisor(read_scenario(SMOKE), request, tmp_path, "s", NO_TOKENS, {}, console)
    supervisor.watch.interrupted = interrupted
    supervisor.watch.gateway_died = gateway_died
    program = (
        f"import os, signal; os.kill(os.getpid(), 9) if {load_code} < 0 else os._exit({load_code})"
    )
    command = [sys.executable, "-c", program]
    log = tmp_path / "locust.log"
    supervisor._locust = Child("load", command, log=log, environment=os.environ)
    supervisor._locust.wait(DEADLINE_S)
    assert supervisor._exit_code(verdict_code) == expected


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., SupervisedRun]]:
    started: list[SupervisedRun] = []

    def start(
        steady: str,
        request_every: str = "2 s",
        more: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> SupervisedRun:
        text = SMALL.replace("STEADY", steady).replace("REQUEST_EVERY", request_every)
        started.append(SupervisedRun(tmp_path, text, more, environment=environment))
        return started[-1]

    yield start
    for run in started:
        run.kill()


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[SupervisedRun, int, str]:
    """A run that went to its end in a caller's folder full of traps, its exit code and its words.

    Its publisher starts slowly.
    """
    folder = tmp_path_factory.mktemp("caller")
    for name in ("reports", "gateway", "queue", "locust", "loadtests"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('a foreign package')")
    (folder / "locust.conf").write_text("users = 2\nrun-time = 1s\n")
    (folder / "pyproject.toml").write_text("[tool.locust]\nusers = 3\n")
    (folder / "home").mkdir()
    (folder / "home" / ".locust.conf").write_text("users = 4\nmaster = true\n")
    environment = {
        "HOME": str(folder / "home"),
        "LOCUST_USERS": "5",
        "LOCUST_RUN_TIME": "1s",
        **slow_start("loadtests.publication.publisher", folder / "startup"),
    }
    text = SMALL.replace("STEADY", "2 s").replace("REQUEST_EVERY", "2 s")
    run = SupervisedRun(folder, text, cwd=folder, environment=environment)
    try:
        code, words = run.end()
    finally:
        run.kill()
    return run, code, words


def slow_start(module: str, folder: Path) -> dict[str, str]:
    """Return the environment in which a module's process starts slowly; the folder is made."""
    folder.mkdir()
    program = f"import sys, time\n{module!r} in sys.orig_argv and time.sleep({SLOW_S})\n"
    (folder / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": str(folder)}


def test_a_run_ends_with_a_verdict_and_leaves_nothing_behind(
    ended: tuple[SupervisedRun, int, str],
) -> None:
    run, code, words = ended
    assert code == ExitCode.PASS, words
    assert "errors == 0" in words
    assert run.manifest()["status"] == "complete"
    assert (run.directory / "report.html").exists()
    scenario, runs = run.runs.parent / "small.toml", run.runs
    assert f"rerun:  tidegate run {scenario} --runs {runs}\n" in words
    assert f"judge again: tidegate report {run.directory}\n" in words


def test_the_callers_folder_and_home_change_nothing(
    ended: tuple[SupervisedRun, int, str],
) -> None:
    run, code, words = ended
    assert code == ExitCode.PASS, words
    assert run.manifest()["users"] == {"trader": 10}
    assert run.manifest()["load_s"] is None


def test_the_warm_up_waits_for_a_publisher_that_starts_slowly(
    ended: tuple[SupervisedRun, int, str],
) -> None:
    run, code, words = ended
    assert code == ExitCode.PASS, words
    begun_s = {each["phase"]: each["start_s"] for each in run.manifest()["phases"]}
    assert begun_s["warm-up"] >= SLOW_S


def test_a_run_of_two_processes_ends_with_a_verdict_and_leaves_nothing_behind(
    supervise: Callable[..., SupervisedRun],
) -> None:
    run = supervise("2 s", more=["--processes", "2"])
    code, words = run.end()
    assert code == ExitCode.PASS, words
    assert run.manifest()["status"] == "complete"
    assert len(run.manifest()["workers"]["names"]) == 2


def test_a_killed_publisher_is_4(supervise: Callable[..., SupervisedRun]) -> None:
    run = supervise("60 s")
    run.wait_until_steady()
    run.descendant("loadtests.publication.publisher").kill()
    code, words = run.end()
    assert code == ExitCode.INVALID, words
    publisher = run.manifest()["publisher"]
    assert isinstance(publisher, dict)
    assert publisher["status"] == "lost"


def test_a_killed_gateway_is_5(supervise: Callable[..., SupervisedRun]) -> None:
    run = supervise("60 s")
    run.wait_until_steady()
    run.descendant("gateway").kill()
    code, words = run.end()
    assert code == ExitCode.GATEWAY_FAILED, words
    assert "the gateway died with exit code -9" in words
    assert run.manifest()["gateway"] == {"status": "died", "exit_code": -9, "exits": []}


def test_an_interrupt_before_the_load_begins_shows_no_traceback(
    supervise: Callable[..., SupervisedRun], tmp_path: Path
) -> None:
    run = supervise("2 s", environment=slow_start("locust", tmp_path / "startup"))
    wait_for((run.runs / "latest" / "logs" / "locust.log").exists)
    run.process.send_signal(signal.SIGINT)
    code, words = run.end()
    assert code == ExitCode.INTERRUPTED, words
    assert "the load generator never started\n" in words
    assert "Traceback" not in words


def test_no_process_of_a_run_outlives_its_killed_supervisor(
    supervise: Callable[..., SupervisedRun],
) -> None:
    run = supervise("60 s", more=["--processes", "1"])
    run.wait_until_steady()
    family = psutil.Process(run.process.pid).children(recursive=True)
    assert len(family) >= 4  # gateway, Locust's master and worker, publisher
    run.process.kill()
    _, left = psutil.wait_procs(family, timeout=RUN_S)
    assert left == []


def test_an_interrupt_is_130_even_twice_and_the_run_stays_readable(
    supervise: Callable[..., SupervisedRun],
) -> None:
    run = supervise("60 s")
    run.wait_until_steady()
    run.process.send_signal(signal.SIGHUP)  # the terminal was closed
    run.process.send_signal(signal.SIGINT)
    code, words = run.end()
    assert code == ExitCode.INTERRUPTED, words
    assert run.manifest()["status"] == "interrupted"
    assert (run.directory / "hist.parquet").exists()
    assert (run.directory / "report.html").exists()


def test_a_load_that_is_above_the_limits_is_2_in_its_own_words(
    supervise: Callable[..., SupervisedRun],
) -> None:
    code, words = supervise("3 s", request_every="100 ms").end()
    assert code == ExitCode.USAGE, words
    assert "above the target's limits" in words
    assert "Aggregated" not in words
