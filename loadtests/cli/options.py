"""Options that several commands share, and the checks that end a command with exit code 2."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from loadtests.results import ExitCode

RUNS: Final = Path("runs")
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or latest.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder that holds run directories.")]
BudgetsOption = Annotated[
    Path | None,
    typer.Option(
        "--budgets", help="A TOML file with budgets = [...] that overrides the scenario's budgets."
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", metavar="RUN", help="The run that ratio budgets compare with."),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", help="Write JUnit XML to this file; - is standard output.")
]
CommentOption = Annotated[
    Path | None,
    typer.Option(
        "--comment", help="Write the text of a comment on a pull request (65,000 characters)."
    ),
]
PastOption = Annotated[
    Path | None,
    typer.Option("--history", help="File of past runs. The summary shows their trend."),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the result to this file; - is standard output.")
]

ScenarioArgument = Annotated[
    str, typer.Argument(help="A scenario's name, such as smoke, or its file.")
]

_REPORTS: Final = ("numpy", "pyarrow", "rich", "pandas", "matplotlib")
_LOAD: Final = (*_REPORTS, "locust", "gevent", "psutil")
_JUDGE: Final = ("pandas", "pyarrow", "rich", "scipy")
_HISTORY: Final = (*_JUDGE, "ruptures")
_NOTEBOOK: Final = (
    "papermill", "nbconvert", "ipykernel", "duckdb", "rich", "pandas", "matplotlib",
)  # fmt: skip
# The libraries that a command needs beyond the base install.
_NEEDED: Final = {
    "run": _LOAD,
    "watch": ("gevent", "numpy"),
    "record": ("pyarrow",),
    "calibrate": _LOAD,
    "report": _REPORTS,
    "gate": _JUDGE,
    "compare": _JUDGE,
    "notebook": _NOTEBOOK,
    "history": _HISTORY,
}


def need(command: str) -> None:
    """Check that the libraries of a command are installed.

    Raises:
        typer.Exit: one is missing; the exit code is 2.
    """
    if any(find_spec(name) is None for name in _NEEDED[command]):
        extras = {"notebook": "notebooks", "record": "feeds"}.get(command, "loadtests,reports")
        refuse(f'tidegate {command} needs more packages: pip install "tidegate[{extras}]"')


def refuse(message: str) -> NoReturn:
    """Print a message to standard error and end the command.

    Raises:
        typer.Exit: always; the exit code is 2.
    """
    typer.echo(message, err=True)
    raise typer.Exit(ExitCode.USAGE)


def find(name: str, runs: Path) -> Path:
    """Return the directory of a run by its name or path.

    Raises:
        typer.Exit: there is no such run; the exit code is 2.
    """
    from loadtests.record.manifest import find_run

    try:
        return find_run(name, runs)
    except FileNotFoundError as error:
        refuse(str(error))


def find_file(scenario: str) -> Path:
    """Return the file of a scenario by its name or path.

    Raises:
        typer.Exit: no scenario has the name; the exit code is 2.
    """
    from scenarios.finding import UnknownScenarioError, find_scenario

    try:
        return find_scenario(scenario)
    except UnknownScenarioError as error:
        refuse(str(error))


def seconds(text: str | None) -> float | None:
    """Return a duration such as ``90 s`` or ``90`` in seconds; None stays None.

    Raises:
        typer.Exit: the text is not a duration; the exit code is 2.
    """
    from scenarios.units import NANOSECONDS_PER_SECOND, parse_duration_ns

    if text is None:
        return None
    try:
        return parse_duration_ns(f"{text} s" if text.isdigit() else text) / NANOSECONDS_PER_SECOND
    except ValueError as error:
        refuse(str(error))
