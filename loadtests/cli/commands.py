"""The command ``tidegate``. It starts everything else as a process, and itself starts fast."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from gateway.contract import LEAST_SECRET_BYTES, USER_ID_PATTERN
from loadtests.cli.judging import BaselineOption, BudgetsOption, compare, gate
from loadtests.results import ExitCode

if TYPE_CHECKING:
    from loadtests.supervision.gateway_command import GatewayCommand

RUNS: Final = Path("runs")
_RUN_NEEDS: Final = (
    "locust", "gevent", "numpy", "psutil", "pyarrow", "rich", "pandas", "matplotlib",
)  # fmt: skip
_NEEDED: Final = {
    "run": _RUN_NEEDS,
    "calibrate": _RUN_NEEDS,
    "report": ("numpy", "pyarrow", "rich", "pandas", "matplotlib"),
    "notebook": ("papermill", "nbconvert", "ipykernel", "duckdb", "rich", "pandas", "matplotlib"),
}
_LONGEST_TOKEN_S: Final = 24 * 3_600
_MOST_USERS: Final = 1_000_000

app = typer.Typer(
    name="tidegate",
    help="A Socket.IO gateway for trading, market data and LLM streams, and its load laboratory.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunsOption = Annotated[Path, typer.Option("--runs", help="Where run directories live.")]


def main() -> None:
    """Run the command line; the console entry point."""
    app(prog_name="tidegate")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {_version()}")
        raise typer.Exit


@app.callback()
def _begin(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


@app.command()
def serve() -> None:
    """Serve the gateway; its settings are environment variables."""
    from loadtests.supervision.children import child_environment

    os.execve(  # noqa: S606 - becomes the gateway, with our own interpreter
        sys.executable, [sys.executable, "-m", "gateway"], child_environment(os.environ)
    )


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(help="A scenario file, such as smoke.toml.")],
    target: Annotated[
        str | None,
        typer.Option(help="http://HOST:PORT of a running gateway; needs JWT_SECRET."),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option("--users", "-u", min=1, max=_MOST_USERS, help="Virtual users in all."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Locust workers that share the load; else one process."),
    ] = None,
    budgets: BudgetsOption = None,
    baseline: BaselineOption = None,
    max_duration: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Cut the load after so long, such as 90s."),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Length of the steady phase, such as 7200s."),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="What to embed: a command, a checkout or a wheel."),
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Run a scenario: gateway, load, report. Exit codes: 0 1 2 3 4 5 130."""
    _need("run")
    from rich.console import Console

    from loadtests.capacity.capacity_search import search_capacity
    from loadtests.cli.judging import found, seconds
    from loadtests.supervision.gateway_command import GatewayCommand
    from loadtests.supervision.request import RunRefused, RunRequest
    from loadtests.supervision.supervisor import run_supervised

    base = None if baseline is None else found(baseline, runs)
    request = RunRequest(
        scenario=scenario,
        runs=runs,
        target=target,
        users=users,
        processes=processes,
        budgets=budgets,
        baseline=base,
        max_duration_s=seconds(max_duration),
        duration_s=seconds(duration),
        gateway=GatewayCommand() if gateway is None else _gateway(gateway),
        words=_words_again(sys.argv[1:], base),
    )
    try:
        wanted = request.read()
        console = Console(stderr=True)
        if wanted.capacity is None:
            code = run_supervised(request, os.environ, console)
        else:
            code = search_capacity(wanted, request, os.environ, console)
    except RunRefused as error:
        _refuse(str(error))
    raise typer.Exit(code)


def _words_again(words: list[str], baseline: Path | None) -> tuple[str, ...]:
    """Return what was typed, with the baseline by its path: ``latest`` soon means another run."""
    again = list(words)
    for place, word in enumerate(words):
        if word.startswith("--baseline="):
            again[place] = f"--baseline={baseline}"
        elif place and words[place - 1] == "--baseline":
            again[place] = str(baseline)
    return tuple(again)


def _gateway(text: str) -> GatewayCommand:
    from loadtests.supervision.gateway_command import NoGateway, parse_gateway

    try:
        return parse_gateway(text)
    except NoGateway as error:
        _refuse(f"--gateway: {error}")


@app.command()
def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="A short subset of each trial.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One trial; may be given more than once.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", help="Write the table here, as Markdown.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Hold the ruler against faults of known size. Exit codes: 0 all true, 1 not, 2."""
    _need("calibrate")
    from rich.console import Console

    from loadtests.calibration.calibrate import TRIALS, calibrate, new_directory

    unknown = [name for name in only or () if name not in TRIALS]
    if unknown:
        _refuse(f"no trial {', '.join(unknown)}; there are {', '.join(TRIALS)}")
    try:
        code = calibrate(
            new_directory(runs),
            os.environ,
            Console(stderr=True),
            quick=quick,
            only=tuple(only or ()),
            document=docs,
        )
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or latest.")],
    runs: RunsOption = RUNS,
) -> None:
    """Make a run's verdict and report again, or from what an aborted run left."""
    _need("report")
    from loadtests.record.manifest import find_run
    from loadtests.supervision.children import child_environment
    from loadtests.supervision.judging import judge_run

    try:
        directory = find_run(name, runs)
    except FileNotFoundError as error:
        _refuse(str(error))
    code = judge_run(
        directory, child_environment(os.environ), lambda words: typer.echo(words, err=True)
    )
    if code is None:
        raise typer.Exit(ExitCode.INVALID)
    typer.echo(f"report: {directory / 'report.html'}", err=True)
    raise typer.Exit(code)


@app.command()
def notebook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as first_look.")],
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or latest.")],
    base: Annotated[
        str | None, typer.Option("--base", metavar="RUN", help="Another run, to compare with.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The page; else RUN/notebooks/NAME.html.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Execute a notebook on a run, and write it as one offline page. Exit codes: 0 2."""
    _need("notebook")
    from loadtests.cli.notebook_page import make_page
    from loadtests.record.manifest import find_run
    from loadtests.supervision.children import child_environment

    try:
        directory = find_run(run, runs)
        other = None if base is None else find_run(base, runs)
    except FileNotFoundError as error:
        _refuse(str(error))
    page = make_page(name, directory, child_environment(os.environ), base=other, out=out)
    if page is None:
        raise typer.Exit(ExitCode.USAGE)
    typer.echo(f"page: {page}", err=True)


app.command()(gate)
app.command()(compare)


@app.command()
def scenarios() -> None:
    """List the scenarios and the question that each asks."""
    import scenarios as package
    from scenarios.schema import ScenarioError, read_scenario

    for path in sorted(Path(package.__path__[0]).glob("*.toml")):
        try:
            found = read_scenario(path)
        except ScenarioError as error:
            typer.echo(str(error), err=True)
        else:
            typer.echo(f"{found.name:<16} {found.question}\n{'':<16} {_short(path)}")


@app.command()
def token(
    user: Annotated[str, typer.Option("--user", help="The user id: the claim sub.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="publish or stats; may be given twice.")
    ] = None,
    lifetime_s: Annotated[
        int, typer.Option("--lifetime", min=1, max=_LONGEST_TOKEN_S, help="Seconds.")
    ] = 3_600,
) -> None:
    """Print a token that is signed with JWT_SECRET from the environment."""
    from loadtests.tokens import mint

    secret = os.environ.get("JWT_SECRET", "")
    if not secret:
        _refuse("JWT_SECRET is not in the environment; set it to the gateway's secret")
    if len(secret.encode("utf-8", "surrogateescape")) < LEAST_SECRET_BYTES:
        _refuse(f"JWT_SECRET has fewer than {LEAST_SECRET_BYTES} bytes: no gateway takes it")
    if not USER_ID_PATTERN.fullmatch(user):
        _refuse(f"no user id: {user!r}; 1 to 128 of A-Z a-z 0-9 . _ @ | + = -")
    typer.echo(mint(secret, user, lifetime_s=lifetime_s, scopes=scope or ()))


def _need(command: str) -> None:
    if any(find_spec(name) is None for name in _NEEDED[command]):
        extras = "notebooks" if command == "notebook" else "loadtests,reports"
        _refuse(f'tidegate {command} needs more: pip install "tidegate[{extras}]"')


def _refuse(words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(ExitCode.USAGE)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _version() -> str:
    try:
        return metadata.version("tidegate")
    except metadata.PackageNotFoundError:
        return "(not installed)"
