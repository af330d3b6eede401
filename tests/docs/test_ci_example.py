"""The commands of ``docs/ci/github-actions.yml``, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from deadlines import RUN_S
from tiny import tiny_scenario

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docs" / "ci" / "github-actions.yml").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return each step's command, those that are folded over lines in one."""
    found = re.findall(r"^ +run: (?:>-\n((?: {10}.*\n?)+)|(.+)$)", EXAMPLE, re.MULTILINE)
    return [" ".join(folded.split()) or plain for folded, plain in found]


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one as a step does: bash, with this environment's commands on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    held = {k: v for k, v in os.environ.items() if k not in ("JWT_SECRET", "GITHUB_STEP_SUMMARY")}
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env={**held, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )


def test_the_example_installs_runs_judges_and_compares() -> None:
    assert [command.split()[:2] for command in commands()] == [
        ["pip", "install"],
        ["tidegate", "run"],
        ["tidegate", "gate"],
        ["pip", "install"],
        ["tidegate", "compare"],
    ]


def test_the_extras_that_it_installs_are_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'pip install "\.\[(.+)\]"', EXAMPLE)
    for extra in {name for names in wanted for name in names.split(",")}:
        assert f"\n{extra} = [" in declared


def test_the_gates_commands_judge_a_run_and_annotate_what_it_broke(tmp_path: Path) -> None:
    scenario, summary = tmp_path / "tiny.toml", tmp_path / "step.md"
    scenario.write_text(tiny_scenario(["push.p50 <= 10 s", "errors == 0", "delivery.lost == 3"]))
    github = {
        "SCENARIO": str(scenario),
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    _, run_and_judge, judge_again, *_ = commands()
    first = run(run_and_judge, tmp_path, **github)
    assert first.returncode == 1, first.stdout + first.stderr
    annotation = "::error file=tiny.toml,line=8,title=FAIL::delivery.lost == 3: 0"
    assert annotation in first.stdout
    assert "# ✕ FAIL: tiny" in summary.read_text()
    again = run(judge_again, tmp_path, **github)
    assert again.returncode == 1, again.stdout + again.stderr
    assert annotation in again.stdout
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()
    (verdict,) = json.loads((tmp_path / "verdicts.json").read_text())
    assert {one["text"]: one["verdict"] for one in verdict["budgets"]} == {
        "push.p50 <= 10 s": "PASS",
        "errors == 0": "PASS",
        "delivery.lost == 3": "FAIL",
    }


def test_the_comparisons_command_is_understood_and_refused_for_its_scenario_alone(
    tmp_path: Path,
) -> None:
    """Eight pairs take minutes: ``make proof`` runs comparisons whole."""
    (tmp_path / "base").symlink_to(ROOT)
    (tmp_path / "gateway").symlink_to(ROOT / "gateway")
    done = run(commands()[-1], tmp_path, COMPARED="none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("none.toml:1: cannot be read")
