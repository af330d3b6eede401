"""The command ``tidegate``: every command by name, in the order of its help.

It starts everything else as a process, and imports nothing heavy before a command runs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from gateway.contract import LEAST_SECRET_BYTES, USER_ID_PATTERN
from loadtests.cli import history
from loadtests.cli.demo import demo
from loadtests.cli.judging import compare, gate, notebook, report
from loadtests.cli.options import refuse
from loadtests.cli.record import record
from loadtests.cli.rules import rules
from loadtests.cli.running import calibrate, run
from loadtests.cli.watch import watch
from loadtests.ending import guard_streams, print_result, run_command
from loadtests.outputs import OutputRefused
from loadtests.results import ExitCode

_LONGEST_TOKEN_S: Final = 24 * 3_600

app = typer.Typer(
    name="tidegate",
    help="A Socket.IO gateway for trading, market data and LLM streams, with its own load tests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the console entry point."""
    guard_streams()
    app(prog_name="tidegate")


def _ending(command: Callable[..., None], within: str = "") -> Callable[..., None]:
    """Return a command that ends as ``loadtests.ending`` says, whatever it raises."""

    def end(**options: object) -> int:
        try:
            command(**options)
        except typer.Exit as asked:
            return asked.exit_code
        return ExitCode.PASS

    @wraps(command)
    def ended(**options: object) -> None:
        name = f"tidegate {within}{command.__name__}"
        raise typer.Exit(run_command(name, lambda: end(**options), OutputRefused))

    return ended


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {_version()}")
        raise typer.Exit


@app.callback()
def _begin(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def serve(
    check: Annotated[
        bool, typer.Option("--check", help="Only check what would stop it, and say everything.")
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            min=1,
            max=64,
            help="Processes on one port, each a node; more than 1 need REDIS_URL.",
        ),
    ] = 1,
) -> None:
    """Start the gateway. Environment variables configure it."""
    arguments = [] if processes == 1 else ["--processes", str(processes)]
    _become_gateway(*(["--check", *arguments] if check else arguments))


def _become_gateway(*arguments: str) -> NoReturn:
    from loadtests.processes import child_environment, own_command

    os.execve(  # noqa: S606 - becomes the gateway, with our own interpreter
        sys.executable, [*own_command("gateway"), *arguments], child_environment(os.environ)
    )


def scenarios(
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON Schema of a scenario file, for editors."),
    ] = False,
) -> None:
    """List the scenarios and the question each one answers."""
    from scenarios.finding import named_scenarios
    from scenarios.schema import ScenarioError, read_scenario

    if schema:
        from scenarios.json_schema import scenario_schema

        print_result(f"{json.dumps(scenario_schema(), indent=2, ensure_ascii=False)}\n")
        return
    for path in named_scenarios().values():
        try:
            found = read_scenario(path)
        except ScenarioError as error:
            typer.echo(str(error), err=True)
        else:
            print_result(f"{found.name:<16} {found.question}\n{'':<16} {_short(path)}\n")


def token(
    user: Annotated[
        str | None, typer.Option("--user", help="The user id; becomes the claim sub.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="publish or stats; can be repeated.")
    ] = None,
    lifetime_s: Annotated[
        int, typer.Option("--lifetime", min=1, max=_LONGEST_TOKEN_S, help="Lifetime in seconds.")
    ] = 3_600,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Check the token on standard input as the gateway would do it."
        ),
    ] = False,
) -> None:
    """Print a user's token, signed with JWT_SECRET, or check a token."""
    from loadtests.tokens import mint

    if check:
        _become_gateway("--check-token")
    if user is None:
        refuse("--user is missing: name the user of the token")
    secret = os.environ.get("JWT_SECRET", "")
    if not secret:
        refuse("JWT_SECRET is not in the environment; set it to the gateway's secret")
    if len(secret.encode("utf-8", "surrogateescape")) < LEAST_SECRET_BYTES:
        refuse(f"JWT_SECRET has fewer than {LEAST_SECRET_BYTES} bytes; no gateway accepts it")
    if not USER_ID_PATTERN.fullmatch(user):
        refuse(f"{user!r} is no user id: use 1 to 128 of A-Z a-z 0-9 . _ @ | + = -")
    print_result(f"{mint(secret, user, lifetime_s=lifetime_s, scopes=scope or ())}\n")


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="The files of the log, the oldest first."),
    ],
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            min=0,
            help="The number that the log must reach, from tidegate_audit_last_number.",
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="The log was on standard error: other lines stand between its own."
        ),
    ] = False,
) -> None:
    """Check an audit log with GATEWAY_AUDIT_KEY: 1 if a line is missing, changed, moved or torn."""
    options = [*(["--stream"] if stream else []), *([] if last is None else [f"--last={last}"])]
    _become_gateway("--verify-audit", *options, *map(str, files))


for each in (
    serve, demo, run, calibrate, report, notebook, gate, compare, scenarios, token, rules, watch,
    record,
):  # fmt: skip
    app.command()(_ending(each))
past = typer.Typer(
    help="Keep the figures of runs in one file, and find the runs at which they changed.",
    no_args_is_help=True,
)
app.add_typer(past, name="history")
past.command()(_ending(history.add, "history "))
past.command()(_ending(history.show, "history "))
past.command()(_ending(history.check, "history "))


audit = typer.Typer(help="Check an audit log of the gateway.", no_args_is_help=True)
app.add_typer(audit, name="audit")
audit.command()(_ending(verify, "audit "))


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _version() -> str:
    try:
        return metadata.version("tidegate")
    except metadata.PackageNotFoundError:
        return "(not installed)"
