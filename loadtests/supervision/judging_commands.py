"""``tidegate gate`` and ``tidegate compare``: the commands that judge what is there."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from loadtests.results import ExitCode

if TYPE_CHECKING:
    from loadtests.comparing.program import Outputs

RUNS: Final = Path("runs")
_FIRST_PAIRS: Final = 6
_MOST_PAIRS: Final = 100

BudgetsOption = Annotated[
    Path | None,
    typer.Option("--budgets", help="A TOML file with budgets = [...], laid over the scenario's."),
]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", metavar="RUN", help="What ratios compare with.")
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the outcome here.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Where run directories live.")]


def gate(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directories.")],
    budgets: BudgetsOption = None,
    baseline: BaselineOption = None,
    junit: JunitOption = None,
    json: JsonOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Judge stored runs again, and change nothing in them. The exit code is the worst one's."""
    _need("gate")
    from loadtests.supervision.children import child_environment
    from loadtests.supervision.judging import JUDGE_S, start_module

    options = {
        "--budgets": budgets,
        "--baseline": None if baseline is None else found(baseline, runs),
        "--junit": junit,
        "--json": json,
    }
    arguments = [str(found(name, runs)) for name in names]
    arguments += [word for name, value in options.items() if value for word in (name, str(value))]
    try:
        code = start_module("reports.gate", arguments, child_environment(os.environ))
    except TimeoutExpired:
        typer.echo(f"the runs were not judged within {JUDGE_S:g} s", err=True)
        code = ExitCode.INVALID
    raise typer.Exit(code)


def compare(
    base: Annotated[
        str | None, typer.Argument(help="A run, or a directory of runs.", show_default=False)
    ] = None,
    head: Annotated[
        str | None, typer.Argument(help="A run, or a directory of runs.", show_default=False)
    ] = None,
    more_base: Annotated[
        list[str] | None,
        typer.Option("--base", help="More runs; with --pairs a checkout, a wheel or a command."),
    ] = None,
    more_head: Annotated[
        list[str] | None, typer.Option("--head", help="More runs; with --pairs as --base.")
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=_FIRST_PAIRS, max=_MOST_PAIRS, help="Run so many pairs now, ABBA."),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="With --pairs: what each block runs.")
    ] = None,
    budgets: BudgetsOption = None,
    junit: JunitOption = None,
    summary: Annotated[Path | None, typer.Option(help="Write Markdown here.")] = None,
    json: JsonOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Compare HEAD with BASE: stored runs, or two gateways run in turn now (--pairs)."""
    _need("compare")
    from loadtests.comparing.program import Outputs, compare_runs

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
    except TimeoutExpired:
        refuse("the runs were not compared in time")
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

    from loadtests.comparing.program import Contest, run_contest
    from loadtests.supervision.gateway_command import NoGateway, parse_gateway
    from loadtests.supervision.request import RunRefused

    if scenario is None:
        refuse("--pairs needs --scenario FILE: what each block runs")
    if any(len(side) != 1 for side in sides):
        refuse("--pairs takes one gateway a side: --base X --head Y")
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


def found(name: str, runs: Path) -> Path:
    """Return the run that a name means, or end the command with 2."""
    from loadtests.record.manifest import find_run

    try:
        return find_run(name, runs)
    except FileNotFoundError as error:
        refuse(str(error))


def _run_or_folder(name: str, runs: Path) -> Path:
    path = Path(name)
    return path if path.is_dir() else found(name, runs)


def seconds(text: str | None) -> float | None:
    """Return a duration such as ``90 s`` or ``90`` in seconds, or end the command with 2."""
    from scenarios.units import NANOSECONDS_PER_SECOND, parse_duration_ns

    if text is None:
        return None
    try:
        return parse_duration_ns(f"{text} s" if text.isdigit() else text) / NANOSECONDS_PER_SECOND
    except ValueError as error:
        refuse(str(error))


def _need(command: str) -> None:
    if any(find_spec(name) is None for name in ("pandas", "pyarrow", "rich", "scipy")):
        refuse(f'tidegate {command} needs more: pip install "tidegate[loadtests,reports]"')


def refuse(words: str) -> NoReturn:
    """End the command with 2."""
    typer.echo(words, err=True)
    raise typer.Exit(ExitCode.USAGE)
