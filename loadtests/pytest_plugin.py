"""The fixture ``tidegate_run`` of pytest: a scenario as a test, each of its budgets a subtest.

::

    def test_the_gateway_under_load(tidegate_run):
        tidegate_run("smoke", "--set", "phases.steady=10s")

A budget that is broken or INVALID is a failed subtest, an INCONCLUSIVE one a skipped subtest. The
test fails whenever ``tidegate run`` ends with another exit code than 0. Its output is the test's,
and the run directory with its report lies in the test's ``tmp_path``, or where ``--runs`` says.

pytest loads this module by itself (entry point ``pytest11``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from loadtests.processes import bound_to_us, child_environment, own_command
from loadtests.results import VERDICT, ExitCode, Verdict
from scenarios.units import BYTE_UNITS, TIME_UNITS

_STOP_S: Final = 60.0
_SUBTESTS: Final = (9, 0)
"""The first pytest with subtests."""


@dataclass(frozen=True, kw_only=True)
class PytestRun:
    """A run that came to a verdict.

    Attributes:
        directory: the run directory.
        exit_code: of ``tidegate run``.
        verdict: the content of ``verdict.json``.
    """

    directory: Path
    exit_code: int
    verdict: Mapping[str, Any]


RunScenario = Callable[..., PytestRun]


@pytest.fixture
def tidegate_run(request: pytest.FixtureRequest, tmp_path: Path) -> RunScenario:
    """Run a scenario and report each budget as a subtest; the arguments are ``tidegate run``'s.

    Returns:
        A function of a scenario's name or file and of options, such as ``"--once"``. It returns
        the run if every budget passed, or the scenario's policy forgives what is undecided.
    """
    if pytest.version_tuple < _SUBTESTS:
        pytest.fail("tidegate_run needs pytest 9 or newer: pip install 'pytest>=9'", pytrace=False)
    subtests: pytest.Subtests = request.getfixturevalue("subtests")

    def run(scenario: str | os.PathLike[str], *options: str) -> PytestRun:
        found = _run(os.fspath(scenario), options, tmp_path / "runs")
        for budget in found.verdict["budgets"]:
            with subtests.test(msg=budget["text"]):
                _report(Verdict(budget["verdict"]), _words(budget))
        if found.exit_code != ExitCode.PASS:
            reasons = "; ".join(found.verdict["reasons"])
            words = f"{found.verdict['verdict']}: {reasons} (exit code {found.exit_code})"
            pytest.fail(f"{words}\nrun: {found.directory}", pytrace=False)
        return found

    return run


def _run(scenario: str, options: tuple[str, ...], runs: Path) -> PytestRun:
    """Run the command to its end. A call that is wrong fails the test in the command's words."""
    given = next((word for word in options if word.partition("=")[0] == "--runs"), None)
    if given is not None:
        place = options.index(given)
        value = given.partition("=")[2] or "".join(options[place + 1 : place + 2])
        runs = Path(value or ".")
    else:
        options = (*options, "--runs", str(runs))
    exit_code, complaints = _call(own_command("loadtests", "run", scenario, *options))
    directory = (runs / "latest").resolve()
    path = directory / VERDICT
    if exit_code in (ExitCode.USAGE, ExitCode.GATEWAY_FAILED) or not path.is_file():
        last = "\n".join(complaints.strip().splitlines()[-10:])
        pytest.fail(f"tidegate run ended with exit code {exit_code}:\n{last}", pytrace=False)
    verdict = json.loads(path.read_text(encoding="utf-8"))
    return PytestRun(directory=directory, exit_code=exit_code, verdict=verdict)


def _call(command: list[str]) -> tuple[int, str]:
    """Return exit code and standard error of a command, whose output becomes the test's."""
    process = subprocess.Popen(  # noqa: S603 - the project's own command
        command,
        env=child_environment(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=bound_to_us(signal.SIGTERM),  # noqa: PLW1509 - a supervised run stops its own
    )
    try:
        output, complaints = process.communicate()
    except BaseException:
        process.terminate()  # the run stops its gateway and its load, and keeps what it has
        process.communicate(timeout=_STOP_S)
        raise
    sys.stdout.write(output)
    sys.stderr.write(complaints)
    return process.returncode, complaints


def _report(verdict: Verdict, words: str) -> None:
    if verdict is Verdict.INCONCLUSIVE:
        pytest.skip(words)
    if verdict is not Verdict.PASS:
        pytest.fail(words, pytrace=False)


def _words(budget: Mapping[str, Any]) -> str:
    value, unit, why = budget["value"], budget["unit"], budget["why"]
    scale = TIME_UNITS.get(unit) or BYTE_UNITS.get(unit, 1)  # a value is in ns or B
    measured = [] if value is None else [f"measured {value / scale:.4g} {unit}".rstrip()]
    told = "; ".join([*measured, *([why] if why else [])])
    return f"{budget['verdict']}: {budget['text']}: {told}"
