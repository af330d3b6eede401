from __future__ import annotations

import pathlib
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import Tables, ledger_row

from loadtests.results import Verdict
from reports.decisions import Decision
from reports.github import annotate, annotate_run, append_summary, is_github
from reports.measures.measurement import Measurement
from reports.run_frames import RunFrames
from reports.verdict import judge
from scenarios.schema import parse_budget

Make = Callable[..., RunFrames]


def decision(verdict: Verdict, why: str, *, line: int = 7, path: str = "") -> Decision:
    return Decision(
        budget=parse_budget("push.p99 <= 10 ms", line, path),
        measurement=Measurement(value=12e6, low=11e6, high=13e6, n=9_000),
        verdict=verdict,
        why=why,
    )


@pytest.mark.parametrize(
    ("verdict", "level"),
    [(Verdict.FAIL, "error"), (Verdict.INVALID, "error"), (Verdict.INCONCLUSIVE, "warning")],
)
def test_a_budget_that_was_not_kept_is_annotated_at_its_line(verdict: Verdict, level: str) -> None:
    (line,) = annotate([decision(verdict, "so it is")], "scenarios/smoke.toml", {})
    assert line == (
        f"::{level} file=scenarios/smoke.toml,line=7,title={verdict}"
        "::push.p99 <= 10 ms: 12 ms · so it is"
    )


def test_a_budget_that_was_kept_is_not() -> None:
    assert annotate([decision(Verdict.PASS, "")], "scenarios/smoke.toml", {}) == []


def test_what_would_end_a_command_is_escaped() -> None:
    (line,) = annotate(
        [decision(Verdict.FAIL, "100 %\nsee: a,b\r::error::x", path="ci/a,b:c.toml")], "", {}
    )
    assert "file=ci/a%2Cb%3Ac.toml," in line
    assert line.endswith("100 %25%0Asee: a,b%0D::error::x")
    assert "\n" not in line


def test_a_budget_of_another_file_is_annotated_there() -> None:
    (line,) = annotate([decision(Verdict.FAIL, "", path="ci.toml", line=3)], "smoke.toml", {})
    assert "file=ci.toml,line=3," in line


def test_paths_are_told_from_the_workspace(tmp_path: Path) -> None:
    scenario = str(tmp_path / "load" / "smoke.toml")
    environment = {"GITHUB_WORKSPACE": str(tmp_path)}
    (line,) = annotate([decision(Verdict.FAIL, "")], scenario, environment)
    assert "file=load/smoke.toml," in line


def test_a_run_tells_its_broken_budgets_and_what_else_went_wrong(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["ledger"].append(ledger_row("price:SYM001/USDT", "subscriber", 10, lost=1))

    run = run_with(
        change=change,
        manifest={"status": "interrupted", "files": {"scenario": "scenarios/smoke.toml"}},
    )
    lines = annotate_run(run, judge(run), {})
    assert lines == [
        "::error file=scenarios/smoke.toml,line=18,title=FAIL::delivery.lost == 0: 1",
        "::warning title=smoke::INCONCLUSIVE: the run was interrupted before its end",
    ]


def test_summaries_are_added_to_the_steps(tmp_path: Path) -> None:
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    assert append_summary("# one", environment)
    assert append_summary("# two", environment)
    assert (tmp_path / "summary.md").read_text() == "# one\n# two\n"


def test_a_summary_that_github_would_drop_whole_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * 999_990)
    assert not append_summary("# too much for it", {"GITHUB_STEP_SUMMARY": str(path)})
    assert path.stat().st_size == 999_990


def test_elsewhere_there_is_no_summary() -> None:
    assert not append_summary("# one", {})
    assert not is_github({})
    assert is_github({"GITHUB_ACTIONS": "true"})


def test_the_line_is_where_the_scenario_has_it() -> None:
    smoke = pathlib.Path(__file__).parents[2] / "scenarios" / "smoke.toml"
    assert smoke.read_text().splitlines()[17].strip() == '"delivery.lost == 0",'
