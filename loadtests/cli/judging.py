"""The commands that read stored runs: ``report``, ``notebook``, ``gate`` and ``compare``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from loadtests.cli.options import (
    RUNS,
    BaselineOption,
    BudgetsOption,
    CommentOption,
    JsonOption,
    JunitOption,
    PastOption,
    RunArgument,
    RunsOption,
    find,
    find_file,
    need,
    refuse,
)
from loadtests.record.manifest import LATEST
from loadtests.results import ExitCode

if TYPE_CHECKING:
    from loadtests.comparing.pair_runs import Outputs

_FIRST_PAIRS: Final = 6
_MOST_PAIRS: Final = 100
PAGES: Final = "notebooks"
"""The folder of a run directory that holds its notebook pages by default."""


def report(
    name: RunArgument = LATEST,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT=FILE",
            help="Write the figures for another tool: bencher (Bencher), customSmallerIsBetter "
            "(github-action-benchmark), openmetrics (GitLab metrics.txt). Can be repeated.",
        ),
    ] = None,
    comment: CommentOption = None,
    history: PastOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Judge a run again and rewrite its report. A run that crashed is finished first.

    A run that goes on, is damaged or has another format is refused and left as it is.
    """
    need("report")
    from loadtests.outputs import check_exports, check_outputs
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import judge_run

    directory = find(name, runs)
    if not os.access(directory, os.W_OK):
        refuse(f"{directory} is not writable; tidegate gate judges a run without writing into it")
    check_exports(export or ())
    check_outputs({"--comment": comment})
    words = [word for each in export or () for word in ("--export", each)]
    words += _named({"--comment": comment, "--history": history})
    code = judge_run(directory, child_environment(os.environ), options=words)
    if code not in (ExitCode.USAGE, ExitCode.INTERRUPTED):
        typer.echo(f"report: {directory / 'report.html'}", err=True)
    raise typer.Exit(code)


def notebook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A notebook, such as first_look.")],
    run: RunArgument = LATEST,
    base: Annotated[
        str | None, typer.Option("--base", metavar="RUN", help="The run to compare it with.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page to write. Default: RUN/notebooks/NAME.html."),
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Run a notebook on a run and write one offline page. Exit codes: 0 2 4 130."""
    need("notebook")
    from loadtests.processes import child_environment
    from loadtests.record.finisher import is_finished
    from loadtests.supervision.judging import PAGE_S, finish_tables, start_module

    directory, environment = find(run, runs), child_environment(os.environ)
    others = [] if base is None else [find(base, runs)]
    page = out or directory / PAGES / f"{name}.html"
    for one in (directory, *others):
        if not is_finished(one) and (code := finish_tables(one, environment)):
            raise typer.Exit(code)
    arguments = [name, str(directory), "--out", str(page)]
    arguments += [word for one in others for word in ("--base", str(one))]
    code = start_module("reports.notebook", arguments, environment, timeout_s=PAGE_S)
    if code == ExitCode.PASS:
        typer.echo(f"page: {page}", err=True)
    raise typer.Exit(code)


def gate(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directories.")],
    budgets: BudgetsOption = None,
    baseline: BaselineOption = None,
    junit: JunitOption = None,
    json: JsonOption = None,
    comment: CommentOption = None,
    history: PastOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Judge stored runs without changing them. The exit code is that of the worst run."""
    need("gate")
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import start_module

    options = {
        "--budgets": budgets,
        "--baseline": None if baseline is None else find(baseline, runs),
        "--junit": junit,
        "--json": json,
        "--comment": comment,
        "--history": history,
    }
    arguments = [*(str(find(name, runs)) for name in names), *_named(options)]
    raise typer.Exit(start_module("reports.gate", arguments, child_environment(os.environ)))


def compare(
    base: Annotated[
        str | None, typer.Argument(help="A run, or a folder of runs.", show_default=False)
    ] = None,
    head: Annotated[
        str | None, typer.Argument(help="A run, or a folder of runs.", show_default=False)
    ] = None,
    more_base: Annotated[
        list[str] | None,
        typer.Option(
            "--base", help="Another base run. With --pairs: a checkout, a wheel or a command."
        ),
    ] = None,
    more_head: Annotated[
        list[str] | None,
        typer.Option(
            "--head", help="Another head run. With --pairs: a checkout, a wheel or a command."
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            min=_FIRST_PAIRS, max=_MOST_PAIRS, help="Run this many pairs now, in ABBA order."
        ),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="With --pairs: the scenario of every block.")
    ] = None,
    budgets: BudgetsOption = None,
    junit: JunitOption = None,
    summary: Annotated[
        Path | None, typer.Option(help="Write Markdown to this file; - is standard output.")
    ] = None,
    json: JsonOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Compare HEAD with BASE. Both are stored runs, or gateways run in turn (--pairs).

    BASE and HEAD are arguments, options, or both. A block is one run of one gateway.
    """
    need("compare")
    from loadtests.comparing.pair_runs import Outputs, compare_runs

    sides = tuple(
        [*([first] if first else []), *(more or [])]
        for first, more in ((base, more_base), (head, more_head))
    )
    if not all(sides):
        refuse("name both sides: tidegate compare BASE HEAD, or --base and --head")
    outputs = Outputs(junit=junit, summary=summary, json=json)
    if pairs is not None:
        raise typer.Exit(_contest(sides, pairs, scenario, budgets, outputs, runs))
    named = [[_run_or_folder(name, runs) for name in side] for side in sides]
    raise typer.Exit(compare_runs(named[0], named[1], budgets, outputs, os.environ))


def _named(options: Mapping[str, Path | None]) -> list[str]:
    return [word for name, value in options.items() if value for word in (name, str(value))]


def _contest(
    sides: tuple[list[str], ...],
    pairs: int,
    scenario: str | None,
    budgets: Path | None,
    outputs: Outputs,
    runs: Path,
) -> int:
    from rich.console import Console

    from loadtests.comparing.pair_runs import Contest, run_contest
    from loadtests.outputs import OutputRefused, check_outputs
    from loadtests.supervision.gateway_command import NoGateway, parse_gateway
    from loadtests.supervision.request import RunRefused

    if scenario is None:
        refuse("--pairs needs --scenario, such as --scenario smoke: the scenario of every block")
    if any(len(side) != 1 for side in sides):
        refuse("--pairs takes one gateway for each side: --base X --head Y")
    try:
        contest = Contest(
            scenario=find_file(scenario),
            runs=runs,
            gateways={"base": parse_gateway(sides[0][0]), "head": parse_gateway(sides[1][0])},
            pairs=pairs,
            budgets=budgets,
            outputs=outputs,
        )
        check_outputs(outputs.named())
        return run_contest(contest, os.environ, Console(stderr=True))
    except (NoGateway, OutputRefused, RunRefused) as error:
        refuse(str(error))


def _run_or_folder(name: str, runs: Path) -> Path:
    path = Path(name)
    return path if path.is_dir() else find(name, runs)
