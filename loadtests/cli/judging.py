"""The commands that read stored runs: ``report``, ``notebook``, ``gate`` and ``compare``."""

from __future__ import annotations

import os
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Annotated, Final

import typer

from loadtests.cli.options import (
    RUNS,
    BaselineOption,
    BudgetsOption,
    JsonOption,
    JunitOption,
    RunsOption,
    find,
    need,
    refuse,
)
from loadtests.results import ExitCode

if TYPE_CHECKING:
    from loadtests.comparing.pair_runs import Outputs

_FIRST_PAIRS: Final = 6
_MOST_PAIRS: Final = 100


def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or latest.")],
    runs: RunsOption = RUNS,
) -> None:
    """Judge a run again and rewrite its report. An aborted run is finished first."""
    need("report")
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import judge_run

    directory = find(name, runs)
    code = judge_run(
        directory, child_environment(os.environ), lambda words: typer.echo(words, err=True)
    )
    if code is None:
        raise typer.Exit(ExitCode.INVALID)
    typer.echo(f"report: {directory / 'report.html'}", err=True)
    raise typer.Exit(code)


def notebook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A notebook, such as first_look.")],
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or latest.")],
    base: Annotated[
        str | None, typer.Option("--base", metavar="RUN", help="The run to compare it with.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page to write. Default: RUN/notebooks/NAME.html."),
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Run a notebook on a run and write one offline page. Exit codes: 0 2."""
    need("notebook")
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import make_page

    directory = find(run, runs)
    other = None if base is None else find(base, runs)
    try:
        page = make_page(name, directory, child_environment(os.environ), base=other, out=out)
    except TimeoutExpired as error:
        refuse(f"tidegate notebook: {name} did not end within {error.timeout:g} s")
    if page is None:
        raise typer.Exit(ExitCode.USAGE)
    typer.echo(f"page: {page}", err=True)


def gate(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directories.")],
    budgets: BudgetsOption = None,
    baseline: BaselineOption = None,
    junit: JunitOption = None,
    json: JsonOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Judge stored runs without changing them. The exit code is that of the worst run."""
    need("gate")
    from loadtests.processes import child_environment
    from loadtests.supervision.judging import JUDGE_S, start_module

    options = {
        "--budgets": budgets,
        "--baseline": None if baseline is None else find(baseline, runs),
        "--junit": junit,
        "--json": json,
    }
    arguments = [str(find(name, runs)) for name in names]
    arguments += [word for name, value in options.items() if value for word in (name, str(value))]
    try:
        code = start_module("reports.gate", arguments, child_environment(os.environ))
    except TimeoutExpired:
        typer.echo(f"the runs were not judged within {JUDGE_S:g} s", err=True)
        code = ExitCode.INVALID
    raise typer.Exit(code)


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
        Path | None, typer.Option(help="With --pairs: the scenario of every block.")
    ] = None,
    budgets: BudgetsOption = None,
    junit: JunitOption = None,
    summary: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
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
    try:
        named = [[_run_or_folder(name, runs) for name in side] for side in sides]
        code = compare_runs(named[0], named[1], budgets, outputs, os.environ)
    except TimeoutExpired as error:
        refuse(f"the runs were not compared within {error.timeout:g} s")
    raise typer.Exit(code)


def _contest(
    sides: tuple[list[str], ...],
    pairs: int,
    scenario: Path | None,
    budgets: Path | None,
    outputs: Outputs,
    runs: Path,
) -> int:
    from rich.console import Console

    from loadtests.comparing.pair_runs import Contest, run_contest
    from loadtests.supervision.gateway_command import NoGateway, parse_gateway
    from loadtests.supervision.request import RunRefused

    if scenario is None:
        refuse("--pairs needs --scenario FILE: the scenario of every block")
    if any(len(side) != 1 for side in sides):
        refuse("--pairs takes one gateway for each side: --base X --head Y")
    try:
        contest = Contest(
            scenario=scenario,
            runs=runs,
            gateways={"base": parse_gateway(sides[0][0]), "head": parse_gateway(sides[1][0])},
            pairs=pairs,
            budgets=budgets,
            outputs=outputs,
        )
        return run_contest(contest, os.environ, Console(stderr=True))
    except (NoGateway, RunRefused) as error:
        refuse(str(error))


def _run_or_folder(name: str, runs: Path) -> Path:
    path = Path(name)
    return path if path.is_dir() else find(name, runs)
