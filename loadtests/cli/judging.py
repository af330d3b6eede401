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
    from collections.abc import Sequence

    from loadtests.comparing.contest import Outputs

_GATEWAY: Final = "a checkout, a wheel, a command, or the URL of a running gateway"
_FEWEST_PAIRS: Final = 6
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
        if not is_finished(one) and (code := finish_tables([one], environment)):
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
        typer.Option("--base", help=f"Another base run. With --scenario: {_GATEWAY}."),
    ] = None,
    more_head: Annotated[
        list[str] | None,
        typer.Option("--head", help=f"Another head run. With --scenario: {_GATEWAY}."),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="Run pairs of both gateways now, with this scenario.")
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            min=_FEWEST_PAIRS,
            max=_MOST_PAIRS,
            help="With --scenario: the most pairs; fewer when they decide. Default: 10.",
        ),
    ] = None,
    base_env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the base alone. Can be repeated."),
    ] = None,
    head_env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the head alone. Can be repeated."),
    ] = None,
    budgets: BudgetsOption = None,
    junit: JunitOption = None,
    summary: Annotated[
        Path | None, typer.Option(help="Write Markdown to this file; - is standard output.")
    ] = None,
    json: JsonOption = None,
    comment: CommentOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Compare HEAD with BASE. Both are stored runs, or gateways that run now (--scenario).

    BASE and HEAD are arguments, options, or both. The load alternates between both gateways each
    230 ms; what that cannot measure, such as memory, is measured in turn. Exit codes: 0 1 2 3 4 5
    130.
    """
    need("compare")
    from loadtests.comparing.contest import Outputs
    from loadtests.comparing.pair_runs import compare_runs

    sides = tuple(
        [*([first] if first else []), *(more or [])]
        for first, more in ((base, more_base), (head, more_head))
    )
    if not all(sides):
        refuse("name both sides: tidegate compare BASE HEAD, or --base and --head")
    outputs = Outputs(junit=junit, summary=summary, json=json, comment=comment)
    if scenario is not None:
        settings = base_env or [], head_env or []
        raise typer.Exit(_contest(sides, settings, pairs, scenario, budgets, outputs, runs))
    if pairs is not None or base_env or head_env:
        refuse("--pairs, --base-env and --head-env need --scenario FILE: the scenario of the pairs")
    named = [[_run_or_folder(name, runs) for name in side] for side in sides]
    raise typer.Exit(compare_runs(named[0], named[1], budgets, outputs, os.environ))


def _named(options: Mapping[str, Path | None]) -> list[str]:
    return [word for name, value in options.items() if value for word in (name, str(value))]


def _contest(
    sides: Sequence[list[str]],
    settings: Sequence[list[str]],
    pairs: int | None,
    scenario: str,
    budgets: Path | None,
    outputs: Outputs,
    runs: Path,
) -> int:
    """Run a comparison of two gateways and return its exit code.

    Args:
        sides: what names the base, and what names the head.
        settings: ``KEY=VALUE`` of each side.
        pairs: the most pairs; None for the default.
        scenario: of every run.
        budgets: a file that overrides the scenario's budgets.
        outputs: the files to write.
        runs: the folder in which the comparison creates its own.
    """
    from rich.console import Console

    from loadtests.comparing.contest import MOST_PAIRS, Contest, parse_contestant
    from loadtests.comparing.pair_runs import run_contest
    from loadtests.outputs import OutputRefused, check_outputs
    from loadtests.supervision.gateway_command import NoGateway
    from loadtests.supervision.request import RunRefused

    if any(len(side) != 1 for side in sides):
        refuse("--scenario takes one gateway for each side: --base X --head Y")
    try:
        base, head = (
            parse_contestant(side[0], own) for side, own in zip(sides, settings, strict=True)
        )
        contest = Contest(
            scenario=find_file(scenario),
            runs=runs,
            sides={"base": base, "head": head},
            pairs=pairs or MOST_PAIRS,
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
