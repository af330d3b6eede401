"""``tidegate run`` and ``tidegate calibrate``: the commands that generate load."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from loadtests.cli.options import (
    RUNS,
    BaselineOption,
    BudgetsOption,
    RunsOption,
    ScenarioArgument,
    find,
    find_file,
    need,
    refuse,
    seconds,
)
from loadtests.results import ExitCode

if TYPE_CHECKING:
    from loadtests.supervision.gateway_command import GatewayCommand

_MOST_USERS: Final = 1_000_000
_MOST_NODES: Final = 64


def run(
    scenario: ScenarioArgument,
    target: Annotated[
        str | None,
        typer.Option(
            help="Test a running gateway at http://HOST:PORT, or nodes at URL,URL; needs "
            "JWT_SECRET or --tokens."
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_NODES,
            help="Number of gateways to start, with a redis-server. Default: the scenario's.",
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(
            "--users",
            "-u",
            min=1,
            max=_MOST_USERS,
            help="Total number of users; replaces load stages.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Number of Locust workers. Default: a single process."),
    ] = None,
    budgets: BudgetsOption = None,
    baseline: BaselineOption = None,
    max_duration: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Stop the load after this time, such as 90s."),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Length of the steady phase, such as 7200s."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Give a key of the scenario another value, such as phases.steady=60s, "
            "publish.0.rate=80 or 'budgets=[\"errors == 0\"]'. Can be repeated.",
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Check the wiring: one user of each group, ten seconds, every oracle."
        ),
    ] = False,
    gateway: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="Gateway to start: a command, checkout or wheel."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --target: users' tokens instead of JWT_SECRET."),
    ] = None,
    tokens_command: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="With --target: a command that prints tokens for {users} users.",
        ),
    ] = None,
    metrics_token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --target: a file with the token of /metrics."),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Profile the embedded gateway, for a later comparison."),
    ] = False,
    runs: RunsOption = RUNS,
) -> None:
    """Run a scenario against a gateway and judge the result.

    Exit codes: 0 1 2 3 4 5 130. docs/commands.md explains them.
    """
    need("run")
    from rich.console import Console

    from loadtests.capacity.capacity_search import search_capacity
    from loadtests.outputs import check_folder
    from loadtests.processes import interrupt_on_signals
    from loadtests.supervision.request import RunRefused, RunRequest
    from loadtests.supervision.supervisor import run_supervised

    interrupt_on_signals()
    base = None if baseline is None else find(baseline, runs)
    request = RunRequest(
        scenario=find_file(scenario),
        runs=runs,
        target=target,
        nodes=nodes,
        users=users,
        processes=processes,
        budgets=budgets,
        baseline=base,
        max_duration_s=seconds(max_duration),
        duration_s=seconds(duration),
        changes=tuple(changes or ()),
        is_once=once,
        gateway=_gateway(gateway),
        tokens=tokens,
        tokens_command=tokens_command,
        metrics_token=metrics_token,
        profile=profile,
        words=_words_again(sys.argv[1:], base),
    )
    try:
        wanted = request.read()
        check_folder("--runs", runs)
        console = Console(stderr=True)
        if wanted.capacity is None:
            code = run_supervised(request, os.environ, console)
        else:
            code = search_capacity(wanted, request, os.environ, console)
    except RunRefused as error:
        refuse(str(error))
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="Run a short version of each trial.")] = (
        False
    ),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run only this trial; can be repeated.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", help="Write the table to this file as Markdown.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Measure faults of known size and check the readings. Exit codes: 0 1 2 4 130."""
    need("calibrate")
    from rich.console import Console

    from loadtests.calibration.calibrate import TRIALS, calibrate
    from loadtests.outputs import check_folder, check_outputs
    from loadtests.processes import interrupt_on_signals
    from loadtests.supervision.request import RunRefused, make_folder

    interrupt_on_signals()
    unknown = [name for name in only or () if name not in TRIALS]
    if unknown:
        refuse(f"--only: unknown trial {', '.join(unknown)}; choose from {', '.join(TRIALS)}")
    check_outputs({"--docs": docs})
    check_folder("--runs", runs)
    try:
        code = calibrate(
            make_folder(runs, "calibration"),
            os.environ,
            Console(stderr=True),
            quick=quick,
            only=tuple(only or ()),
            document=docs,
        )
    except RunRefused as error:
        refuse(str(error))
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


def _words_again(words: list[str], baseline: Path | None) -> tuple[str, ...]:
    """Return the arguments with the baseline as a path: ``latest`` soon means another run."""
    again = list(words)
    for place, word in enumerate(words):
        if word.startswith("--baseline="):
            again[place] = f"--baseline={baseline}"
        elif place and words[place - 1] == "--baseline":
            again[place] = str(baseline)
    return tuple(again)


def _gateway(text: str | None) -> GatewayCommand:
    from loadtests.supervision.gateway_command import GatewayCommand, NoGateway, parse_gateway

    try:
        return GatewayCommand() if text is None else parse_gateway(text)
    except NoGateway as error:
        refuse(f"--gateway: {error}")
