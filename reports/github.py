"""A verdict in GitHub Actions: annotations at the budgets' lines, and a step summary.

A workflow command is a line ``::error file=F,line=N,title=T::message`` on standard output.
In the message ``%``, CR and LF are escaped, in a property ``:`` and ``,`` too (GitHub's
documentation, "Workflow commands for GitHub Actions", and its runner's ActionCommand).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from loadtests.ending import describe_failure
from loadtests.results import SCENARIO, Verdict
from reports.decisions import Decision, explain
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict

SUMMARY_VARIABLE: Final = "GITHUB_STEP_SUMMARY"
ACTIONS_VARIABLE: Final = "GITHUB_ACTIONS"
_WORKSPACE: Final = "GITHUB_WORKSPACE"
_MOST_BYTES: Final = 1_000_000  # GitHub's limit is 1 MiB per step
_LEVELS: Final = {
    Verdict.FAIL: "error",
    Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "warning",
}


def is_github(environment: Mapping[str, str]) -> bool:
    """Return whether this is a GitHub Actions step."""
    return environment.get(ACTIONS_VARIABLE) == "true"


def annotate_run(run: RunFrames, outcome: RunVerdict, environment: Mapping[str, str]) -> list[str]:
    """Return a workflow command for each budget and circumstance that is not PASS.

    Args:
        run: the run.
        outcome: its verdict.
        environment: of the process; names the workspace.
    """
    scenario = str(run.manifest.part("files").get("scenario") or run.directory / SCENARIO)
    lines = annotate(outcome.decisions, scenario, environment)
    for verdict, words in outcome.circumstances:
        if verdict in _LEVELS:
            lines.append(_command(_LEVELS[verdict], f"{verdict}: {words}", title=outcome.scenario))
    return lines


def annotate(
    decisions: Iterable[Decision], scenario: str, environment: Mapping[str, str]
) -> list[str]:
    """Return a workflow command for each budget that is not PASS, at its line.

    Args:
        decisions: of a run or a comparison.
        scenario: the file of budgets without a path.
        environment: of the process; names the workspace that paths are relative to.
    """
    return [
        _command(
            _LEVELS[decision.verdict],
            explain(decision),
            file=_relative(decision.budget.path or scenario, environment),
            line=str(decision.budget.line),
            title=str(decision.verdict),
        )
        for decision in decisions
        if decision.verdict in _LEVELS
    ]


def tell_step(
    lines: Iterable[str], summary: str, environment: Mapping[str, str], to: IO[str]
) -> None:
    """Print workflow commands and add Markdown to the step summary, whose failure is only said.

    Args:
        lines: workflow commands.
        summary: Markdown.
        environment: of the process; names the file of the summary.
        to: where to print; GitHub reads both standard streams.
    """
    for line in lines:
        print(line, file=to)
    try:
        append_summary(summary, environment)
    except OSError as error:
        words = f"the step summary was not written: {describe_failure(error)}"
        print(words, file=sys.stderr)  # noqa: T201 - a command speaks


def append_summary(text: str, environment: Mapping[str, str]) -> bool:
    """Add Markdown to the step summary; return whether it was added.

    Raises:
        OSError: the file cannot be written.
    """
    name = environment.get(SUMMARY_VARIABLE)
    if not name:
        return False
    path = Path(name)
    held = path.stat().st_size if path.exists() else 0
    if held + len(text.encode("utf-8")) > _MOST_BYTES:
        return False  # a larger summary is dropped as a whole
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    return True


def _command(level: str, message: str, **properties: str) -> str:
    named = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    return f"::{level} {named}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _relative(name: str, environment: Mapping[str, str]) -> str:
    """Return a path relative to the workspace when it is inside."""
    workspace = Path(environment.get(_WORKSPACE) or Path.cwd()).resolve()
    path = Path(name).resolve()
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else name
