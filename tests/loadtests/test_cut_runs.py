from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deadlines import RUN_S
from tiny import tiny_scenario

from loadtests.results import CutBy

ROOT = Path(__file__).parents[2]


def run(folder: Path, scenario: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a scenario by the command line, from the project's folder."""
    path = folder / "tiny.toml"
    path.write_text(scenario, encoding="utf-8")
    held = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "JWT_"))}
    return subprocess.run(
        [sys.executable, "-m", "loadtests", "run", str(path), "--runs", str(folder), *options],
        cwd=ROOT, env=held, capture_output=True, text=True, timeout=RUN_S, check=False,
    )  # fmt: skip


def read(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "latest" / name).read_text(encoding="utf-8"))
    return content


def test_a_run_that_is_cut_says_so_is_judged_and_does_not_pass(tmp_path: Path) -> None:
    over = tmp_path / "over.toml"
    over.write_text('# for now\nbudgets = ["push.p90 <= 20 s"]\n')
    scenario = tiny_scenario(["errors == 0"], steady="60 s")
    done = run(tmp_path, scenario, "--max-duration", "6s", "--budgets", str(over))
    assert done.returncode == 3, done.stdout + done.stderr
    words = "as long as --max-duration allows"
    assert words in " ".join(done.stdout.split())
    manifest, verdict = read(tmp_path, "manifest.json"), read(tmp_path, "verdict.json")
    assert words in manifest["cut"]
    assert manifest["cut_by"] == CutBy.MAX_DURATION
    assert manifest["files"] == {"scenario": str(tmp_path / "tiny.toml"), "budgets": str(over)}
    assert [one["text"] for one in verdict["budgets"]] == ["errors == 0", "push.p90 <= 20 s"]
    assert (verdict["budgets"][1]["path"], verdict["budgets"][1]["line"]) == (str(over), 2)


def test_a_gross_breach_ends_the_run_with_1_and_a_profile_or_the_reason_for_none(
    tmp_path: Path,
) -> None:
    scenario = tiny_scenario(["push.p99 <= 1 ns", "errors == 0"], steady="60 s", abort="gross")
    done = run(tmp_path, scenario)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a budget was broken grossly: push p99 was" in done.stderr
    profile = tmp_path / "latest" / "logs" / "gateway-profile.txt"
    manifest = read(tmp_path, "manifest.json")
    assert manifest["cut_by"] == CutBy.GROSS_BREACH
    problems = " ".join(manifest["problems"])
    assert profile.exists() or "the gateway was not profiled" in problems


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-duration", "soon"], "is not a duration"),
        (["--budgets", "none.toml"], "none.toml:1: cannot be read"),
        (["--baseline", "none"], "none is no run"),
    ],
)
def test_a_mistake_is_2_before_anything_runs(
    tmp_path: Path, options: list[str], words: str
) -> None:
    done = run(tmp_path, tiny_scenario(["errors == 0"]), *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "latest").exists()
