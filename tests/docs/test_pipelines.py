"""``action.yml`` and the files of ``docs/ci``: their commands, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it publishes no types
from deadlines import RUN_S
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tiny import tiny_scenario

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text("utf-8"))
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/gitlab.yml").read_text("utf-8"))
EXPRESSION = re.compile(r"\$\{\{ ([^}]+) \}\}")


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one as a step does: bash, with this environment's commands on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    held = {k: v for k, v in os.environ.items() if k not in ("JWT_SECRET", "GITHUB_STEP_SUMMARY")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={**held, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )


class Steps:
    """Runs the steps of the action, but not the installation, as GitHub does."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder = folder
        defaults = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
        self.known = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
        self.known["inputs.python"] = sys.executable
        self.words: dict[str, str] = {}
        self.summary = folder / "step.md"
        self._outputs = folder / "outputs.txt"

    def resolve(self, text: str) -> str:
        """Return a text with the values of its expressions; an output that is not set is empty."""
        return EXPRESSION.sub(lambda match: self.known.get(match[1], ""), text)

    def run(self) -> int:
        """Run the steps until one fails; return its exit code."""
        for step in ACTION["runs"]["steps"]:
            if step["name"] == "install":
                continue
            self._outputs.write_text("")
            done = run(
                step["run"],
                self.folder,
                **{name: self.resolve(value) for name, value in step["env"].items()},
                GITHUB_ACTIONS="true",
                GITHUB_WORKSPACE=str(self.folder),
                GITHUB_STEP_SUMMARY=str(self.summary),
                GITHUB_OUTPUT=str(self._outputs),
            )
            self.words[step["name"]] = done.stdout + done.stderr
            for line in self._outputs.read_text().splitlines():
                name, _, value = line.partition("=")
                self.known[f"steps.{step.get('id')}.outputs.{name}"] = value
            if done.returncode:
                return done.returncode
        return 0

    def output(self, name: str) -> str:
        """Return an output of the action."""
        return self.resolve(ACTION["outputs"][name]["value"])


def test_the_action_names_what_it_uses_and_uses_what_it_names() -> None:
    steps = ACTION["runs"]["steps"]
    assert ACTION["runs"]["using"] == "composite"
    assert all(step["shell"] == "bash" for step in steps)
    used = set(EXPRESSION.findall(json.dumps(ACTION)))
    assert {name for name in used if name.startswith("inputs.")} == {
        f"inputs.{name}" for name in ACTION["inputs"]
    }
    written = {
        f"steps.{step.get('id')}.outputs.{name}"
        for step in steps
        for name in re.findall(r'echo "([a-z-]+)=', step["run"])
    }
    assert {name for name in used if name.startswith("steps.")} == written
    # An expression in a script would run whatever an input holds.
    assert not any(EXPRESSION.search(step["run"]) for step in steps)


def test_the_extras_that_are_installed_are_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text("utf-8")
    install = next(step["run"] for step in ACTION["runs"]["steps"] if step["name"] == "install")
    compare = next(
        step["run"]
        for step in WORKFLOW["jobs"]["compare"]["steps"]
        if step.get("name") == "install"
    )
    for text in (install, compare, GITLAB[".tidegate"]["variables"]["TIDEGATE"]):
        extras = re.findall(r"\[([a-z,]+)\]", text)
        assert extras, text
        for extra in extras[0].split(","):
            assert f"\n{extra} = [" in declared


def test_the_workflow_calls_the_action_with_inputs_and_outputs_that_it_has() -> None:
    (step,) = (one for one in WORKFLOW["jobs"]["gate"]["steps"] if one.get("uses") == "./")
    assert set(step["with"]) <= set(ACTION["inputs"])
    used = re.findall(rf"steps\.{step['id']}\.outputs\.([a-z-]+)", json.dumps(WORKFLOW))
    assert used
    assert set(used) <= set(ACTION["outputs"])


def test_the_action_runs_judges_and_tells_the_step_once(tmp_path: Path) -> None:
    budgets = ["push.p50 <= 10 s", "errors == 0", "delivery.lost == 3"]
    (tmp_path / "tiny.toml").write_text(tiny_scenario(budgets))
    steps = Steps(tmp_path, scenario="tiny.toml", options="--set\nseed=7", history="history.jsonl")
    assert steps.run() == 1, steps.words
    annotation = "::error file=tiny.toml,line=8,title=FAIL::delivery.lost == 3: 0"
    assert annotation not in steps.words["run"]
    assert steps.words["judge"].count(annotation) == 1
    summary = steps.summary.read_text("utf-8")
    assert summary.count("# ✕ FAIL: tiny") == 1
    assert "## Distance to the limits" in summary
    assert "## Trend (history.jsonl)" in summary
    assert "seed 7" in summary
    assert not (tmp_path / "history.jsonl").exists()  # of a run that passes alone
    directory = Path(steps.output("run"))
    assert directory.parent == (tmp_path / "runs").resolve()
    assert Path(steps.output("comment")).read_text("utf-8").startswith("<!-- tidegate -->\n# ✕")
    assert 'failures="1"' in Path(steps.output("junit")).read_text("utf-8")
    assert steps.output("exit-code") == "1"
    verdict = json.loads((directory / "verdict.json").read_text())
    assert {one["text"]: one["verdict"] for one in verdict["budgets"]} == {
        "push.p50 <= 10 s": "PASS",
        "errors == 0": "PASS",
        "delivery.lost == 3": "FAIL",
    }


def test_the_action_ends_with_2_for_a_scenario_that_does_not_exist(tmp_path: Path) -> None:
    steps = Steps(tmp_path, scenario="smok")
    assert steps.run() == 2
    assert "did you mean smoke?" in steps.words["run"]
    assert "judge" not in steps.words
    assert steps.output("exit-code") == "2"


def test_the_templates_commands_leave_what_gitlab_reads(tmp_path: Path) -> None:
    job: Mapping[str, Any] = GITLAB[".tidegate"]
    (tmp_path / "tiny.toml").write_text(
        tiny_scenario(["delivery.lost == 0", "errors == 0"], steady="2 s")
    )
    variables = {**job["variables"], "SCENARIO": "tiny.toml"}
    for part in ("script", "after_script"):
        done = run("\n".join(job[part]), tmp_path, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
    reports = job["artifacts"]["reports"]
    root = ET.parse(tmp_path / reports["junit"]).getroot()  # noqa: S314 - our own
    assert (root.get("tests"), root.get("failures")) == ("3", "0")
    text = (tmp_path / reports["metrics"]).read_text("utf-8")
    read = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it is untyped
    assert "tidegate_errors" in {family.name for family in read}
    for path in job["artifacts"]["paths"]:
        assert (tmp_path / path).exists()


def test_the_comparisons_command_is_understood_and_refused_for_its_scenario_alone(
    tmp_path: Path,
) -> None:
    """Twelve blocks take minutes: ``make proof`` runs comparisons whole."""
    (tmp_path / "base").symlink_to(ROOT)
    (tmp_path / "gateway").symlink_to(ROOT / "gateway")
    command = WORKFLOW["jobs"]["compare"]["steps"][-1]["run"]
    done = run(command, tmp_path, COMPARED="none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("none.toml:1: cannot be read")
