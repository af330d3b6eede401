from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from past_runs import past_row, write_past
from synthetic_run import SMOKE, make_run

from loadtests.results import CutBy, Verdict
from reports.history.rows import group_of, row_of_line, row_of_run
from reports.history.store import add_row, read_history
from reports.report_errors import HistoryError, PartialRunError
from reports.run_frames import RunFrames, read_run
from reports.verdict import judge

Make = Callable[..., RunFrames]


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", "-C", str(folder), *named, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_a_row_has_every_budget_and_main_figure_with_its_interval(passing_run: RunFrames) -> None:
    row = row_of_run(passing_run, judge(passing_run))
    budgets = {budget.text.split()[0] for budget in passing_run.scenario.budgets}
    assert budgets <= set(row.figures)
    assert {"push.p50", "push.p90", "cost.per_message", "memory.per_client"} <= set(row.figures)
    push = row.figures["push.p99"]
    assert push.low is not None
    assert push.high is not None
    assert push.low <= push.value <= push.high
    assert (push.operator, push.limit, push.invalid) == ("<=", 10e6, "")
    assert row.figures["push.p50"].limit is None
    assert (row.run, row.verdict) == (passing_run.manifest.run_id, Verdict.PASS)
    assert row_of_line(row.as_line()) == row


def test_a_run_is_added_once_and_judged_again_it_replaces_its_row(tmp_path: Path) -> None:
    path, row = tmp_path / "kept" / "history.jsonl", past_row(0, 5.0)
    assert add_row(path, row)
    assert not add_row(path, row)
    assert add_row(path, replace(row, verdict="FAIL"))
    assert [each.verdict for each in read_history(path)] == ["FAIL"]
    assert add_row(path, replace(row, created="2026-05-01T10:00:00.000Z"))
    assert len(read_history(path)) == 2, "two runs in directories of one name"


def test_a_last_line_without_an_end_is_not_spoilt(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(past_row(0, 5.0).as_line().rstrip("\n"))
    add_row(path, past_row(1, 5.0))
    assert len(read_history(path)) == 2


def test_branches_that_each_add_runs_merge_without_a_conflict(tmp_path: Path) -> None:
    path = write_past(tmp_path / "history.jsonl", [5.0, 5.1])
    (tmp_path / ".gitattributes").write_text("history.jsonl merge=union\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "start")
    git(tmp_path, "checkout", "-b", "other")
    add_row(path, past_row(3, 5.3))
    git(tmp_path, "commit", "-am", "theirs")
    git(tmp_path, "checkout", "main")
    add_row(path, past_row(2, 5.2))
    git(tmp_path, "commit", "-am", "ours")
    git(tmp_path, "merge", "other", "-m", "both")
    assert [row.run[-4:] for row in read_history(path)] == ["0000", "0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("<<<<<<< HEAD", "line 2 marks a merge conflict"),
        ("{}", "line 2: it is no row of a history"),
        ("[]", "line 2: it is no row of a history"),
        ('{"format": 9}', "line 2: its format is not 1"),
        (past_row(1, 5.0).as_line().replace("5000000.0", '"5"'), "line 2: it is no row"),
        (past_row(1, 5.0).as_line().replace("5000000.0", "NaN"), "line 2: it is no row"),
        (past_row(1, 5.0).as_line().replace('"PASS"', "3"), "line 2: it is no row"),
        (past_row(1, 5.0).as_line().replace("quantiles", "no kind"), "line 2: it is no row"),
    ],
    ids=["conflict", "empty", "list", "format", "value", "not a number", "verdict", "kind"],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(past_row(0, 5.0).as_line() + line + "\n")
    with pytest.raises(HistoryError, match=words):
        read_history(path)


def test_loads_are_told_apart_by_contents_and_options_but_not_by_budgets(run_with: Make) -> None:
    usual = group_of(run_with())
    text = SMOKE.read_text()
    same = text.replace("push.p99 <= 10 ms", "push.p99 <= 9 ms") + "\n# a remark\n"
    assert group_of(run_with(scenario=same)) == usual
    other = text.replace("rate = 30.0", "rate = 31.0")
    assert group_of(run_with(scenario=other)).load != usual.load
    assert group_of(run_with(manifest={"users": {"subscriber": 5}})).load != usual.load
    outer = {"url": "http://10.0.0.1:3000", "embedded": False}
    nodes = [{"name": f"node-{number}", "url": "http://h:1", "pid": 1} for number in (1, 2)]
    assert group_of(run_with(manifest={"nodes": nodes})).target == "embedded, 2 nodes"
    assert group_of(run_with(manifest={"target": outer})).target == "http://10.0.0.1:3000"
    host = {"cpu": "another", "cores": 64, "machine": "x86_64"}
    assert group_of(run_with(manifest={"host": host})).machine == "another, 64 cores, x86_64"


def test_a_run_of_a_part_of_its_load_is_refused(tmp_path: Path) -> None:
    cut = {"cut": "push.p99 broken grossly", "cut_by": CutBy.GROSS_BREACH}
    run = read_run(make_run(tmp_path / "cut", manifest=cut))
    with pytest.raises(PartialRunError, match="runs that ran to their end"):
        row_of_run(run, judge(run))
