"""``tidegate history``: ``add`` a run to the file of past runs, ``show`` trends, ``check`` them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from loadtests.cli.options import RUNS, JsonOption, RunArgument, RunsOption, find, need
from loadtests.record.manifest import LATEST

HISTORY: Final = Path("history.jsonl")
HistoryOption = Annotated[Path, typer.Option("--history", help="The file of past runs.")]


def add(
    name: RunArgument = LATEST,
    commit: Annotated[
        str | None,
        typer.Option(metavar="SHA", help="The commit measured. Default: the run's own."),
    ] = None,
    history: HistoryOption = HISTORY,
    runs: RunsOption = RUNS,
) -> None:
    """Add the figures of a run to the history. Exit codes: 0 2 4 130.

    A run that was cut or interrupted is refused.
    """
    arguments = [str(find(name, runs)), *(["--commit", commit] if commit else [])]
    _start("add", [*arguments, "--history", str(history)])


def show(
    history: HistoryOption = HISTORY,
    page: Annotated[
        Path | None, typer.Option(help="Write an offline page with a chart of each figure.")
    ] = None,
    otava: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write otava.yaml and a CSV file of each figure for Apache Otava.",
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Print the trend of each figure. Exit codes: 0 2 4 130.

    In the folder of --otava: otava analyze --config-file otava.yaml SCENARIO.FIGURE
    """
    outputs = _outputs({"--json": json, "--page": page, "--otava": otava})
    _start("show", ["--history", str(history), *outputs])


def check(history: HistoryOption = HISTORY, json: JsonOption = None) -> None:
    """Find the runs at which a figure changed, and the suspect commits.

    Only runs of one load on one kind of machine are compared. Exit codes: 1 when a figure became
    worse within the last ten runs and stayed so; 3 when no figure has ten runs; 0 2 4 130.
    """
    _start("check", ["--history", str(history), *_outputs({"--json": json})])


def _outputs(named: Mapping[str, Path | None]) -> list[str]:
    return [word for name, path in named.items() if path for word in (name, str(path))]


def _start(action: str, arguments: list[str]) -> None:
    need("history")
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import start_module

    environment = child_environment(os.environ)
    raise typer.Exit(start_module("reports.history.keeping", [action, *arguments], environment))
