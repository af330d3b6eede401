"""A series of real runs over commits: is the one found that made messages dearer?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.results import ExitCode
from reports.history import keeping
from reports.history.store import add_row, read_history
from tests.faults.series import BEFORE, DEARER, STORED, SUBJECTS, make_commits

FIGURE = "cost.per_message"


def changes_of(
    runs: int, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, object]]]:
    """Return the exit code over the first ``runs`` runs, and the changes of the figure."""
    history = Path("history.jsonl")
    for row in read_history(STORED)[:runs]:
        add_row(history, row)
    code = keeping.main(["check", "--history", str(history), "--json", "-"])
    (group,) = json.loads(capsys.readouterr().out)
    (found,) = [each for each in group["figures"] if each["figure"] == FIGURE]
    return code, found["changes"]


@pytest.fixture(autouse=True)
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the commits of the series in the current folder."""
    monkeypatch.chdir(tmp_path)
    return make_commits(tmp_path)


def test_each_stored_run_is_of_a_commit_of_the_series(commits: list[str]) -> None:
    assert [row.commit for row in read_history(STORED)] == commits
    assert len(commits) == len(SUBJECTS) >= 20


def test_the_commit_that_made_messages_dearer_is_found_in_real_runs(
    commits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, (change,) = changes_of(len(SUBJECTS), capsys)
    assert code == ExitCode.BUDGET_BROKEN
    assert change["regression"]
    assert change["suspects"] == [f"{commits[BEFORE][:7]} {DEARER}"]


def test_the_runs_before_that_commit_have_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert changes_of(BEFORE, capsys) == (ExitCode.PASS, [])
