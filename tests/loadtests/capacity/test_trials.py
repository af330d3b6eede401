"""A search with a real trial, from a folder of the caller's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from deadlines import RUN_S, until

from loadtests.capacity.trials import TrialFailed, run_trial
from loadtests.processes import child_environment
from loadtests.record.manifest import read_json
from loadtests.supervision.request import make_folder

TIDEGATE = Path(sys.executable).with_name("tidegate")
TINY = """# How much does it carry?
name = "tiny"
seed = 7
budgets = ["errors == 0"]
[phases]
spawn_rate = 20.0
warm_up = "0 s"
steady = "2 s"
drain = "1 s"
[market]
symbols = 5
zipf = 0.3
[users.subscriber]
count = 3
symbols = 2
[[publish]]
event = "price:update"
rate = 20.0
[capacity]
of = "publications"
start = 20
highest = 25
resolution = 0.5
trial = "60 s"
confirm = "60 s"
"""


def test_a_search_from_any_folder_takes_relative_paths_and_its_trial_dies_with_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    with subprocess.Popen([TIDEGATE, "run", "tiny.toml", "--runs", "mine"], cwd=tmp_path) as search:
        try:
            live = "mine/*_tiny_search_*/trial-01/latest/logs/live.json"
            until(lambda: list(tmp_path.glob(live)), "the trial's load", RUN_S)
            family = psutil.Process(search.pid).children(recursive=True)
            assert any("locust" in process.cmdline() for process in family)
        finally:
            search.kill()
    _, left = psutil.wait_procs(family, timeout=RUN_S)
    assert left == []


def test_a_trial_that_makes_no_verdict_ends_with_its_own_words(tmp_path: Path) -> None:
    environment = child_environment({})
    with pytest.raises(TrialFailed, match=r"exit code 2: .*is not valid TOML"):
        run_trial("name =", 1, tmp_path, environment, options=(), span_s=0.0)
    assert read_json(tmp_path / "trial-01" / "verdict.json") is None


def test_two_searches_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    assert len({make_folder(tmp_path, "tiny_search") for _ in range(3)}) == 3
