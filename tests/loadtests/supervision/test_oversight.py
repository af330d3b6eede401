from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deadlines import until

from loadtests.results import PROFILE, CutBy
from loadtests.supervision.oversight import Cut, Oversight
from loadtests.supervision.profiling import Profile
from scenarios.model import Policy
from scenarios.schema import Scenario, read_scenario

SMOKE = Path(__file__).parents[3] / "scenarios" / "smoke.toml"
OURSELVES = os.getpid()


@pytest.fixture(autouse=True)
def _nothing_beside_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profiler that is installed here must not be found: each test brings its own."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))


@pytest.fixture
def smoke() -> Scenario:
    return read_scenario(SMOKE)


def slow(t_s: float) -> dict[str, Any]:
    return {"t_s": t_s, "phase": "steady", "clients": 300, "push_p99_ns": 900e6}


def overseer(
    scenario: Scenario, logs: Path, path: str = "", *, max_duration_s: float | None = None
) -> Oversight:
    return Oversight(
        scenario,
        logs,
        {**os.environ, "PATH": path},
        gateway_pid=OURSELVES,
        max_duration_s=max_duration_s,
    )


def profiler(folder: Path, script: str) -> str:
    """Put a program of the profiler's name there, and return the PATH that finds it."""
    program = folder / "py-spy"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:/usr/bin:/bin"


def test_a_gross_breach_ends_the_load_and_says_why(smoke: Scenario, tmp_path: Path) -> None:
    oversight = overseer(smoke, tmp_path)
    assert [oversight.look(slow(t_s)) for t_s in (9.0, 10.0)] == [None, None]
    cut = oversight.look(slow(11.0))
    assert cut is not None
    assert cut.by is CutBy.GROSS_BREACH
    assert cut.reason.startswith("a budget was broken grossly: push p99 was 900 ms")


def test_the_policy_never_lets_it_go_on(smoke: Scenario, tmp_path: Path) -> None:
    patient = replace(smoke, policy=Policy(abort="never"))
    oversight = overseer(patient, tmp_path)
    assert [oversight.look(slow(t_s)) for t_s in range(9)] == [None] * 9


def test_a_load_ends_when_its_longest_duration_is_over(smoke: Scenario, tmp_path: Path) -> None:
    oversight = overseer(smoke, tmp_path, max_duration_s=20.0)
    assert oversight.look({"t_s": 19.9, "phase": "steady"}) is None
    assert oversight.look({"t_s": 20.0, "phase": "steady"}) == Cut(
        CutBy.MAX_DURATION, "the load had gone on for 20 s, as long as --max-duration allows"
    )


def test_without_a_profiler_the_run_goes_on_and_its_problems_say_so(
    smoke: Scenario, tmp_path: Path
) -> None:
    oversight = overseer(smoke, tmp_path, path=str(tmp_path))
    for t_s in range(4):
        oversight.look(slow(t_s))
    assert oversight.close() == [
        'the gateway was not profiled: py-spy is not installed (pip install "py-spy")'
    ]


def test_a_visible_breach_is_profiled_once(smoke: Scenario, tmp_path: Path) -> None:
    path = profiler(tmp_path, f'echo "$@" >> {tmp_path}/told; echo "a 1" > {tmp_path}/{PROFILE}')
    oversight = overseer(smoke, tmp_path, path=path)
    for t_s in range(8):
        oversight.look(slow(t_s))
    until((tmp_path / PROFILE).exists)
    assert oversight.close() == []
    (told,) = (tmp_path / "told").read_text().splitlines()
    assert f"record --pid {OURSELVES} --duration 10 --nonblocking" in told


def test_a_profiler_that_may_not_look_is_quoted(
    tmp_path: Path,
) -> None:
    path = profiler(tmp_path, "echo 'Permission Denied: try running again with elevated'; exit 1")
    profile = Profile(OURSELVES, tmp_path, {"PATH": path})
    profile.begin()
    profile.begin()
    until(lambda: "Permission" in (tmp_path / "gateway-profile.log").read_text())
    profile.close()
    profile.close()
    assert profile.problems == [
        "the gateway was not profiled: py-spy: Permission Denied: try running again with elevated"
    ]


def test_a_profiler_that_does_not_end_is_ended_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    script = f"trap 'echo half > {tmp_path}/{PROFILE}; exit 0' INT\ntouch {tmp_path}/up\n"
    path = profiler(tmp_path, script + "while :; do sleep 0.05; done")
    profile = Profile(OURSELVES, tmp_path, {"PATH": path})
    profile.begin()
    until((tmp_path / "up").exists)
    profile.close()
    assert profile.problems == []
    assert (tmp_path / PROFILE).read_text() == "half\n"
