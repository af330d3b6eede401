from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from synthetic_run import SMOKE, event_row, make_run

from loadtests.results import BUDGETS, TABLES, Event, ExitCode
from reports.gate import main, worst_code


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that lost a process: INVALID."""

    def change(tables: dict[str, list[dict[str, object]]]) -> None:
        tables["events"].append(event_row(9, Event.LOST_PROCESS, detail="worker 2 was lost"))

    return make_run(tmp_path_factory.mktemp("lost") / "lost", change=change)


def test_a_stored_run_is_judged_again_and_left_as_it_is(
    passing_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(passing_directory.iterdir())
    assert main([str(passing_directory)]) == ExitCode.PASS
    assert sorted(passing_directory.iterdir()) == before
    assert "● PASS" in capsys.readouterr().out


def test_the_worst_of_several_runs_decides_and_each_is_a_suite(
    passing_directory: Path, lost: Path, tmp_path: Path
) -> None:
    junit, verdicts = tmp_path / "junit.xml", tmp_path / "verdicts.json"
    names = [str(passing_directory), str(lost)]
    code = main([*names, "--junit", str(junit), "--json", str(verdicts)])
    assert code == ExitCode.INVALID
    suites = ET.fromstring(junit.read_text())  # noqa: S314 - our own
    assert [suite.get("id") for suite in suites] == [passing_directory.name, "lost"]
    assert [suite.get("name") for suite in suites] == ["tidegate.smoke"] * 2
    assert int(suites[1].get("errors", "0")) >= 1
    assert [one["verdict"] for one in json.loads(verdicts.read_text())] == ["PASS", "INVALID"]


def test_budgets_laid_over_decide_and_are_named_with_file_and_line(
    passing_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    strict, summary = tmp_path / "strict.toml", tmp_path / "step.md"
    strict.write_text('budgets = [\n  "push.p99 <= 1 ms",\n]\n')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert main([str(passing_directory), "--budgets", str(strict)]) == ExitCode.BUDGET_BROKEN
    out = capsys.readouterr().out
    assert "::error file=strict.toml,line=2,title=FAIL::push.p99 <= 1 ms: " in out
    assert "push.p99 <= 10 ms" not in out
    assert "# ✕ FAIL: smoke" in summary.read_text()


def test_a_run_remembers_what_was_laid_over_it(passing_directory: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(passing_directory, run)
    (run / BUDGETS).write_text('budgets = ["push.p99 <= 1 ms"]')
    assert main([str(run)]) == ExitCode.BUDGET_BROKEN
    over = tmp_path / "mild.toml"
    over.write_text('budgets = ["push.p99 <= 1 s"]')
    assert main([str(run), "--budgets", str(over)]) == ExitCode.PASS


@pytest.mark.parametrize(
    ("limit", "code"), [("1.5", ExitCode.PASS), ("0.8", ExitCode.BUDGET_BROKEN)]
)
def test_a_ratio_is_judged_against_the_baseline_that_is_named(
    passing_directory: Path, tmp_path: Path, limit: str, code: ExitCode
) -> None:
    over = tmp_path / "ratio.toml"
    over.write_text(f'budgets = ["push.p50 ratio <= {limit}"]')
    words = [str(passing_directory), "--budgets", str(over)]
    assert main([*words, "--baseline", str(passing_directory)]) == code


def test_without_a_baseline_a_ratio_is_undecided_and_says_what_to_do(
    passing_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    over = tmp_path / "ratio.toml"
    over.write_text('budgets = ["push.p50 ratio <= 1.5"]')
    assert main([str(passing_directory), "--budgets", str(over)]) == ExitCode.INCONCLUSIVE
    assert "name one with --baseline RUN" in " ".join(capsys.readouterr().out.split())


def test_the_baseline_that_a_run_was_started_with_is_found_again(
    passing_directory: Path, tmp_path: Path
) -> None:
    run, over = tmp_path / "run", tmp_path / "ratio.toml"
    shutil.copytree(passing_directory, run)
    facts = json.loads((run / "manifest.json").read_text())
    facts["files"] = {"baseline": str(passing_directory)}
    (run / "manifest.json").write_text(json.dumps(facts))
    over.write_text('budgets = ["push.p50 ratio <= 1.5"]')
    assert main([str(run), "--budgets", str(over)]) == ExitCode.PASS
    shutil.rmtree(run / "logs", ignore_errors=True)
    facts["files"] = {"baseline": str(tmp_path / "gone")}
    (run / "manifest.json").write_text(json.dumps(facts))
    assert main([str(run), "--budgets", str(over)]) == ExitCode.INCONCLUSIVE


def test_a_baseline_from_another_machine_only_advises(
    passing_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, over = tmp_path / "base", tmp_path / "ratio.toml"
    shutil.copytree(passing_directory, base)
    facts = json.loads((base / "manifest.json").read_text())
    facts["host"] = {**facts["host"], "cores": 64}
    (base / "manifest.json").write_text(json.dumps(facts))
    over.write_text('budgets = ["push.p50 ratio <= 1.5"]')
    words = [str(passing_directory), "--budgets", str(over), "--baseline", str(base)]
    assert main(words) == ExitCode.INCONCLUSIVE
    out = " ".join(capsys.readouterr().out.split())
    assert "advisory, would be PASS: the baseline is from another machine (cores 64, not 2)" in out


def test_a_run_that_was_cut_says_so_and_does_not_pass(
    passing_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(passing_directory, run)
    facts = json.loads((run / "manifest.json").read_text())
    facts |= {"status": "interrupted", "cut": "the load had gone on for 20 s"}
    (run / "manifest.json").write_text(json.dumps(facts))
    assert main([str(run)]) == ExitCode.INCONCLUSIVE
    assert "the run was cut: the load had gone on for 20 s" in capsys.readouterr().out
    facts |= {"cut": "push p99 was 900 ms", "cut_by": "gross-breach"}
    (run / "manifest.json").write_text(json.dumps(facts))
    assert main([str(run)]) == ExitCode.BUDGET_BROKEN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{tmp}/none"], "no such directory"),
        (["{run}", "--budgets", "{tmp}/none.toml"], "cannot be read"),
        (
            ["{run}", "--junit", "{run}/manifest.json/x.xml"],
            "File exists",
        ),
    ],
    ids=["no run", "no budgets", "no place to write"],
)
def test_a_mistake_is_2_and_says_what_is_wrong(
    passing_directory: Path, tmp_path: Path, arguments: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    filled = [word.format(tmp=tmp_path, run=passing_directory) for word in arguments]
    assert main(filled) == ExitCode.USAGE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("lost", [["hist"], list(TABLES)], ids=["one table", "every table"])
def test_a_run_without_its_tables_is_never_forgiven(
    tmp_path: Path, lost: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = SMOKE.read_text().replace('inconclusive = "fail"', 'inconclusive = "pass"')
    run = make_run(tmp_path / "run", scenario=text, without=lost)
    assert main([str(run)]) == ExitCode.INCONCLUSIVE
    assert f"the run has no table {', '.join(lost)[:30]}" in capsys.readouterr().out


def test_a_run_whose_tables_are_empty_is_never_forgiven(tmp_path: Path) -> None:
    text = SMOKE.read_text().replace('inconclusive = "fail"', 'inconclusive = "pass"')
    run = make_run(tmp_path / "run", scenario=text, tables={name: [] for name in TABLES})
    assert main([str(run)]) == ExitCode.INCONCLUSIVE


def test_json_alone_is_on_standard_output(
    passing_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(passing_directory), "--json", "-"]) == ExitCode.PASS
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["verdict"] == "PASS"
    assert "● PASS" in told.err


def test_the_worst_exit_code_is_a_dead_gateways_then_a_broken_budget() -> None:
    assert worst_code([ExitCode.PASS, ExitCode.GATEWAY_FAILED, ExitCode.BUDGET_BROKEN]) == 5
    assert worst_code([ExitCode.INVALID, ExitCode.BUDGET_BROKEN]) == ExitCode.BUDGET_BROKEN
    assert worst_code([ExitCode.INCONCLUSIVE, ExitCode.INVALID]) == ExitCode.INVALID
    assert worst_code([ExitCode.PASS, ExitCode.INCONCLUSIVE]) == ExitCode.INCONCLUSIVE
    assert worst_code([]) == ExitCode.INCONCLUSIVE
