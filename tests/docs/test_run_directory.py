"""The document of a run directory, held against what a real run and a comparison leave."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from capacity_file import capacity_content
from deadlines import RUN_S
from rich.console import Console
from run_directory import (
    CAPACITY,
    COMPARISON,
    DOCUMENTS,
    FILES,
    MANIFEST,
    SUPERVISOR,
    VERDICT,
    WORDS,
    describe_run_directory,
)
from synthetic_run import ROOT, make_run

from loadtests.capacity.capacity_search import CapacitySearch
from loadtests.capacity.search import Bound, Found, Trial, Tried
from loadtests.health.live_file import MEMBERS
from loadtests.results import TABLES, Event, Series, Verdict
from reports.compare.blocks import read_blocks
from reports.compare.outcome import compare_blocks
from reports.run_frames import read_run
from reports.verdict import judge
from scenarios.schema import read_scenario

TINY = """# What does a run leave behind?
name = "tiny"
seed = 3
budgets = ["errors == 0"]

[phases]
spawn_rate = 50.0
warm_up = "500 ms"
steady = "2 s"
drain = "1 s"

[market]
symbols = 2
zipf = 1.0

[users.subscriber]
count = 4
symbols = 1

[[publish]]
event = "price:update"
rate = 20.0

[policy]
inconclusive = "pass"
"""
Members = tuple[tuple[str, str, str, str], ...]


def named(members: Members) -> set[str]:
    return {name for name, *_ in members}


def told(content: Mapping[str, Any]) -> set[str]:
    """Return the names of a file's members; those of a list of objects as ``list[].name``."""
    names: set[str] = set()
    for name, value in content.items():
        rows = value if isinstance(value, list) else []
        if name not in ("phases", "problems") and rows and isinstance(rows[0], dict):
            names |= {f"{name}[].{member}" for row in rows for member in row}
        else:
            names.add(name)
    return names


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    scenario = folder / "tiny.toml"
    scenario.write_text(TINY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "run", str(scenario), "--runs", str(folder / "runs")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    found = folder / "runs" / "latest"
    assert found.exists(), done.stderr
    return found.resolve()


def test_every_file_that_a_run_leaves_is_described(run: Path) -> None:
    left = [str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()]
    patterns = [pattern for pattern, *_ in FILES]
    assert len(left) > 10
    assert [name for name in left if not any(fnmatch(name, one) for one in patterns)] == []


@pytest.mark.parametrize(
    ("name", "members"),
    [("manifest.json", MANIFEST), ("logs/supervisor.json", SUPERVISOR)],
    ids=["manifest", "supervisor"],
)
def test_a_file_of_a_run_has_the_members_that_are_described(
    run: Path, name: str, members: Members
) -> None:
    assert told(read(run / name)) == named(members)


def test_the_live_file_and_the_publishers_ledger_have_theirs(run: Path) -> None:
    assert set(read(run / "logs/live.json")) == set(MEMBERS)
    assert set(read(run / "logs/publisher.json")) == named(DOCUMENTS["logs/publisher.json"])


def test_a_verdict_has_the_members_that_are_described(tmp_path: Path) -> None:
    outcome = judge(read_run(make_run(tmp_path / "run")))
    assert told(outcome.as_json()) == named(VERDICT)


def test_a_comparison_has_the_members_that_are_described(tmp_path: Path) -> None:
    base, head = (
        read_blocks([make_run(tmp_path / f"{side}{n}", seed=n) for n in (1, 2)])
        for side in ("base", "head")
    )
    found = compare_blocks(base, head).as_json()
    # Nothing had to be left out of these.
    assert told(found) | {"excluded[].run_id", "excluded[].why"} == named(COMPARISON) | {"excluded"}


def test_a_search_for_capacity_writes_the_members_that_are_described(tmp_path: Path) -> None:
    scenario = read_scenario(ROOT / "scenarios" / "capacity.toml")
    search = CapacitySearch(scenario, tmp_path, {}, Console())
    tried = Tried(Trial(40.0, True), Verdict.PASS, "")
    search._outcomes.append((tried, search.folder.resolve() / "trial-01"))
    search._write(
        Found(low=40.0, high=None, is_confirmed=True, bound=Bound.ASKED, why="nothing more")
    )
    written = read(search.folder / "capacity.json")
    assert told(written) == named(CAPACITY)
    assert told(capacity_content()) == named(CAPACITY)


def test_every_column_and_every_word_stands_in_the_document() -> None:
    document = describe_run_directory()
    for name, columns in TABLES.items():
        section = document.split(f"## {name}.parquet\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [one.name for one in columns]
    for words in WORDS:
        section = document.split(f"## {words.__name__}\n")[1].split("\n## ")[0]
        found = re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)
        assert found == [str(word) for word in words]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        (Series.PUSH, "Push one-way, response: read stamp − ``srcTs``"),
        (Event.RETRY, "a request after retryAfter; outcome: accepted, refused"),
    ],
    ids=["text below the word", "comment beside it"],
)
def test_a_word_is_explained_as_its_source_explains_it(word: str, meaning: str) -> None:
    (line,) = [
        one for one in describe_run_directory().splitlines() if one.startswith(f"| `{word}`")
    ]
    assert meaning in line


def test_a_bar_inside_a_cell_does_not_end_it() -> None:
    rows = [line for line in describe_run_directory().splitlines() if line.startswith("| `")]
    for line in rows:
        assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5), line
