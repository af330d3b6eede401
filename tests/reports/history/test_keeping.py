from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from past_runs import GROUP, noisy, past_row, write_past

from loadtests.results import ExitCode
from reports.history.keeping import main
from reports.history.rows import Comparable
from reports.history.screen import sparkline
from reports.history.store import add_row, read_history
from reports.history.trends import RECENT, trends_of

EVEN = noisy([5.0] * 30)
STEPPED = noisy([5.0] * 25 + [6.5] * 5)
OTHERS = {
    "another machine": GROUP._replace(machine="another, 64 cores, x86_64"),
    "another load": GROUP._replace(load="fedcba9876543210"),
    "another target": GROUP._replace(target="http://10.0.0.1:3000"),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask git in a folder that is no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def check(path: Path, *words: str) -> int:
    return main(["check", "--history", str(path), *words])


def test_an_even_history_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(write_past(tmp_path / "h.jsonl", EVEN)) == ExitCode.PASS
    assert "no change in 1 figure" in capsys.readouterr().out


def test_a_recent_step_for_the_worse_is_a_regression_with_its_run_and_commits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_past(tmp_path / "h.jsonl", STEPPED)
    assert check(path, "--json", "-") == ExitCode.BUDGET_BROKEN
    out, err = capsys.readouterr()
    (group,) = json.loads(out)
    (push,) = [each for each in group["figures"] if each["figure"] == "push.p99"]
    (change,) = push["changes"]
    assert (change["place"], change["regression"]) == (25, True)
    assert change["low"] < 1.3 < change["high"]
    assert change["last_run_before"].endswith("_0024")
    assert change["first_run_after"].endswith("_0025")
    assert change["suspects"] == [f"{25:040x}"[:12] + ".." + f"{26:040x}"[:12]]
    assert "✕ regression: push.p99 +" in err


@pytest.mark.parametrize(
    "values",
    [
        noisy([5.0] * 25 + [4.0] * 5),
        noisy([5.0] * 15 + [6.5] * (RECENT + 5)),
        noisy([5.0] * 15 + [6.5] * 6 + [5.0] * 6),
    ],
    ids=["better", "long ago", "mended"],
)
def test_a_change_that_is_no_regression_is_told_and_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: list[float]
) -> None:
    assert check(write_past(tmp_path / "h.jsonl", values)) == ExitCode.PASS
    out = capsys.readouterr().out
    assert "push.p99" in out
    assert "regression" not in out


def test_a_history_that_is_too_short_is_undecided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(write_past(tmp_path / "h.jsonl", [5.0] * 9)) == ExitCode.INCONCLUSIVE
    assert "a figure needs 10 runs of one load on one machine" in capsys.readouterr().err


@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
def test_runs_of_another_machine_load_or_target_never_compare(
    tmp_path: Path, other: Comparable
) -> None:
    path = write_past(tmp_path / "h.jsonl", EVEN)
    for place in range(30, 36):
        add_row(path, past_row(place, 50.0, group=other))
    found = trends_of(read_history(path))
    assert [(one.group, len(one.rows), one.is_current) for one in found] == [
        (other, 6, True),
        (GROUP, 30, False),
    ]
    assert not any(trend.steps for one in found for trend in one.trends)
    assert check(path) == ExitCode.INCONCLUSIVE


def test_a_step_in_runs_of_a_machine_that_was_left_is_no_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_past(tmp_path / "h.jsonl", STEPPED)
    for place in range(30, 42):
        add_row(path, past_row(place, 5.0, group=OTHERS["another machine"]))
    assert check(path, "--json", "-") == ExitCode.PASS
    new, old = json.loads(capsys.readouterr().out)
    assert (new["judged"], old["judged"]) == (True, False)
    told = [change for each in old["figures"] for change in each["changes"]]
    assert [change["regression"] for change in told] == [False]


def test_figures_that_a_broken_check_spoils_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_past(tmp_path / "h.jsonl", EVEN)
    for place in range(30, 36):
        add_row(path, past_row(place, 50.0, invalid="dirty seconds"))
    assert check(path) == ExitCode.PASS
    assert main(["show", "--history", str(path)]) == ExitCode.PASS
    assert "Left out of the newest run (dirty seconds): push.p99" in capsys.readouterr().out


def test_the_commits_between_the_two_runs_are_named_by_git(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*words: str) -> str:
        named = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(named, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    commits = []
    for words in ("Start", "Copy each push twice", "Mend a comment"):
        git("commit", "--allow-empty", "-m", words)
        commits.append(git("rev-parse", "HEAD"))
    for place, value in enumerate(STEPPED):
        commit = commits[0] if place < 25 else commits[2]
        add_row(tmp_path / "h.jsonl", past_row(place, value, commit=commit))
    assert check(tmp_path / "h.jsonl") == ExitCode.BUDGET_BROKEN
    told = [line for line in capsys.readouterr().out.splitlines() if "suspect" in line]
    assert [line.split(maxsplit=2)[2] for line in told] == [
        "Mend a comment",
        "Copy each push twice",
    ]


def test_one_commit_on_both_sides_points_at_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, value in enumerate(STEPPED):
        add_row(tmp_path / "h.jsonl", past_row(place, value, commit="a" * 40))
    assert check(tmp_path / "h.jsonl") == ExitCode.BUDGET_BROKEN
    assert "so look at the machine" in " ".join(capsys.readouterr().out.split())


def test_the_trend_is_shown_with_limit_bars_and_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["show", "--history", str(write_past(tmp_path / "h.jsonl", STEPPED))]) == 0
    out = capsys.readouterr().out
    assert "smoke, 30 runs (AMD EPYC, 2 cores, x86_64; embedded; load 01234567)" in out
    assert "<= 10 ms" in out
    assert "%, 2026-01-26" in out
    assert "Not shown: 1 count with one value in every run" in out
    assert max(map(len, out.splitlines())) <= 80
    assert sparkline([1.0, 2.0, 3.0, 8.0]) == "▁▂▃█"


def test_a_stored_run_is_added_with_the_commit_that_is_named(
    passing_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.jsonl"
    words = ["add", str(passing_directory), "--history", str(path), "--commit", "abc1234"]
    assert main(words) == ExitCode.PASS
    assert 'put "h.jsonl merge=union" into .gitattributes' in capsys.readouterr().err
    assert [row.commit for row in read_history(path)] == ["abc1234"]


def test_no_history_is_2_and_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path / "none.jsonl") == ExitCode.USAGE
    assert "tidegate history add RUN" in capsys.readouterr().err
