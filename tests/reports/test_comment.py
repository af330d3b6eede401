from __future__ import annotations

import json
from pathlib import Path

import pytest
from past_runs import write_past
from synthetic_run import make_run

from loadtests.results import ExitCode
from reports import gate, reporting
from reports.comment import MARK, MOST_CHARACTERS, render_comment
from reports.history.rows import group_of
from reports.run_frames import read_run


def test_a_text_that_fits_is_whole_below_the_mark() -> None:
    text = render_comment(["# one\n\nwords\n", "# two\n"])
    assert text == f"{MARK}\n# one\n\nwords\n\n# two\n"


def test_a_longer_text_ends_after_a_whole_line_and_says_so() -> None:
    row = "| ● PASS | `push.p99 <= 10 ms` | 5 ms |"
    text = render_comment([f"# one\n\n{row}\n" + f"{row}\n" * 4_000])
    assert MOST_CHARACTERS - 400 < len(text) <= MOST_CHARACTERS
    *kept, empty, last, end = text.split("\n")
    assert set(kept[3:]) == {row}
    assert (empty, end) == ("", "")
    assert last == "The rest is left out, because a comment is limited to 65,000 characters."


def test_a_block_that_is_cut_is_closed() -> None:
    text = render_comment(["```text\n" + "─" * 70 + "\n" + ("x" * 70 + "\n") * 1_000 + "```\n"])
    assert text.count("```") == 2
    assert text.index("The rest") > text.rindex("```")


def test_a_line_longer_than_a_comment_leaves_the_words_alone() -> None:
    assert len(render_comment(["x" * 70_000])) < 300


def test_the_gate_writes_one_comment_of_all_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(make_run(tmp_path / name, manifest={"run_id": name})) for name in ("one", "two")]
    comment = tmp_path / "new" / "comment.md"
    assert gate.main([*runs, "--comment", str(comment)]) == ExitCode.PASS
    text = comment.read_text("utf-8")
    assert text.startswith(f"{MARK}\n# ● PASS: smoke\n")
    assert "Run `one`" in text
    assert "Run `two`" in text
    assert "## Distance to the limits\n\n```text\n" in text
    assert "Trend" not in text
    assert "● PASS" in capsys.readouterr().out


def test_standard_output_takes_a_comment_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    assert gate.main([str(run), "--comment", "-"]) == ExitCode.PASS
    out, err = capsys.readouterr()
    assert out.startswith(MARK)
    assert "● PASS" in err


def test_a_comment_that_cannot_be_written_is_2_before_the_report_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    before = sorted(run.iterdir())
    for command in (gate.main, reporting.main):
        assert command([str(run), "--comment", "/proc/nowhere/x"]) == ExitCode.USAGE
        assert "--comment /proc/nowhere" in capsys.readouterr().err
    assert sorted(run.iterdir()) == before


def test_the_summary_tells_the_trend_of_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, history, step = make_run(tmp_path / "run"), tmp_path / "past.jsonl", tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    options = ["--history", str(history), "--comment", str(tmp_path / "comment.md")]
    assert reporting.main([str(run), *options]) == ExitCode.PASS
    assert "past.jsonl has no run of this load on this kind of machine" in step.read_text("utf-8")
    write_past(history, [5.0] * 12 + [9.0] * 4, group=group_of(read_run(run)))
    step.unlink()
    assert reporting.main([str(run), *options]) == ExitCode.PASS
    row = next(
        line for line in step.read_text("utf-8").splitlines() if line.startswith("| `push.p99`")
    )
    assert "▁▁▁▁▁▁▁▁▁▁▁▁████" in row
    assert "**regression**: +80 %" in row
    for path in (tmp_path / "comment.md", run / "summary.md"):
        assert row in path.read_text("utf-8")


def test_a_damaged_history_is_2_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, history = make_run(tmp_path / "run"), tmp_path / "past.jsonl"
    history.write_text(json.dumps({"format": 99}) + "\n")
    assert gate.main([str(run), "--history", str(history)]) == ExitCode.USAGE
    assert f"{history}: line 1: its format is not 1" in capsys.readouterr().err
