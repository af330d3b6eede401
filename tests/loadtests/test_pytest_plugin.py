"""The fixture ``tidegate_run`` in a project of its own: pytest in a process."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from deadlines import RUN_S
from tiny import tiny_scenario

TESTS = """
def test_of_a_gateway_that_keeps_every_budget(tidegate_run):
    run = tidegate_run("kept.toml")
    assert run.exit_code == 0
    assert run.verdict["verdict"] == "PASS"
    assert (run.directory / "report.html").is_file()


def test_of_a_gateway_that_does_not(tidegate_run):
    tidegate_run("broken.toml", "--runs", "elsewhere")


def test_of_a_scenario_that_does_not_exist(tidegate_run):
    tidegate_run("smok")


def test_of_a_key_that_does_not_exist(tidegate_run):
    tidegate_run("smoke", "--set", "phases.steedy=3s")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tests of its own, after pytest ran there."""
    folder = tmp_path_factory.mktemp("project")
    kept = tiny_scenario(["errors == 0", "delivery.lost == 0"], steady="2 s")
    broken = ["errors == 0", "delivery.lost == 3", "heartbeat.missed == 0"]
    (folder / "kept.toml").write_text(kept)
    (folder / "broken.toml").write_text(tiny_scenario(broken, steady="2 s"))
    (folder / "test_load.py").write_text(TESTS)
    (folder / "out").mkdir()
    options = ("-p", "no:cacheprovider", "--junit-xml=out/junit.xml", "--basetemp=out/temp")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-rfs", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * RUN_S,
        check=False,
    )
    (folder / "out" / "words.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder


def words_of(project: Path) -> str:
    return (project / "out" / "words.txt").read_text("utf-8")


def test_a_run_that_keeps_its_budgets_is_a_test_that_passes(project: Path) -> None:
    words = words_of(project)
    assert "test_of_a_gateway_that_keeps_every_budget PASSED" in words
    assert "SUBPASSED[errors == 0]" in words
    assert "SUBPASSED[delivery.lost == 0]" in words


def test_each_budget_is_a_subtest_with_its_own_verdict(project: Path) -> None:
    words = words_of(project)
    assert "test_of_a_gateway_that_does_not SUBPASSED[errors == 0]" in words
    assert "test_of_a_gateway_that_does_not SUBFAILED[delivery.lost == 3]" in words
    assert "test_of_a_gateway_that_does_not SUBSKIPPED[heartbeat.missed == 0]" in words
    assert "FAIL: delivery.lost == 3: measured 0" in words
    assert "INCONCLUSIVE: heartbeat.missed == 0: no data: no client stayed" in words
    assert "(exit code 1)" in words


def test_a_run_lies_where_it_was_asked_to(project: Path) -> None:
    assert (project / "elsewhere" / "latest" / "verdict.json").is_file()
    assert not (project / "runs").exists()


def test_a_call_that_is_wrong_fails_in_the_words_of_the_command(project: Path) -> None:
    words = words_of(project)
    assert "no scenario 'smok', and no such file; did you mean smoke?" in words
    assert "unknown key phases.steedy; did you mean phases.steady?" in words
    assert "Traceback" not in words


def test_the_outcome_counts_and_reaches_the_junit_file(project: Path) -> None:
    (suite,) = ET.parse(project / "out" / "junit.xml").getroot()  # noqa: S314 - pytest's own
    assert suite.get("name") == "pytest"
    assert int(suite.get("failures", "0")) >= 3
    assert re.search(r"\b4 failed, 1 passed, 1 skipped, 3 subtests passed", words_of(project))
