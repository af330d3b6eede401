"""The laboratory's arguments to Locust's command line, and what they give a run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import gevent
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from gateway.contract import LISTENING_LINE
from loadtests.endpoints import GATEWAY_START_S
from loadtests.given_tokens import GivenTokens, TokensRefused, read_single_token
from loadtests.plan.turns import PLACES
from loadtests.results import ExitCode
from loadtests.tokens import SignedTokens, Tokens
from scenarios.finding import UnknownScenarioError, find_scenario
from scenarios.schema import Scenario, ScenarioError, read_scenario

SECRET_VARIABLE: Final = "JWT_SECRET"  # noqa: S105 - a variable's name
_POLL_S: Final = 0.02
_ARGUMENTS: Final = (
    ("--scenario", "LOCUST_SCENARIO", str, "scenario, such as smoke, or its file"),
    ("--run-dir", "LOCUST_RUN_DIR", str, "run directory; by default a new one under runs/"),
    ("--gateway-pid", "LOCUST_GATEWAY_PID", int, "process id of each embedded gateway"),
    ("--gateway-log", "LOCUST_GATEWAY_LOG", str, "its log, which names its address"),
    ("--turn", "LOCUST_TURN", str, "FOLDER/first or FOLDER/second: take turns with the other"),
    ("--tokens", "LOCUST_TOKENS", str, "file of the users' tokens, in place of JWT_SECRET"),
    ("--metrics-token", "LOCUST_METRICS_TOKEN", str, "file that holds the token of /metrics"),
)
_OF_EACH_NODE: Final = ("--gateway-pid", "--gateway-log")


def add_arguments(parser: LocustArgumentParser, **_facts: object) -> None:
    """Add our arguments. The secret is not one of them: command lines are public."""
    for name, variable, kind, words in _ARGUMENTS:
        parser.add_argument(
            name,
            action="append" if name in _OF_EACH_NODE else "store",
            env_var=variable,
            include_in_web_ui=False,
            metavar="<int>" if kind is int else "<path>",
            type=kind,
            help=words,
        )
    parser.add_argument(
        "--no-report",
        action="store_true",
        include_in_web_ui=False,
        help="leave tables, verdict and report to the process that started this one",
    )


def read_arguments(environment: Environment) -> Scenario:
    """Return the scenario of ``--scenario``, and set the host that ``--gateway-log`` names.

    The host of several nodes is ``URL,URL``.

    Raises:
        SystemExit: an argument is missing or wrong; see ``refuse``.
    """
    options = environment.parsed_options
    if options is None or not options.scenario:
        refuse("--scenario is missing; try --scenario smoke")
    try:
        scenario = read_scenario(find_scenario(options.scenario))
    except (ScenarioError, UnknownScenarioError) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"--scenario {options.scenario}: {error.strerror}")
    if options.turn and Path(options.turn).name not in PLACES:
        refuse(f"--turn {options.turn}: name FOLDER/{PLACES[0]} or FOLDER/{PLACES[1]}")
    if options.gateway_log:
        logs = map(Path, options.gateway_log)
        environment.host = ",".join(await_host(log, GATEWAY_START_S) for log in logs)
    return scenario


def choose_tokens(environment: Environment, variables: Mapping[str, str]) -> Tokens:
    """Return what gives each client its token: the file of ``--tokens``, or ``JWT_SECRET``.

    Args:
        environment: Locust's.
        variables: this process's environment.

    Raises:
        SystemExit: there is neither, or the file cannot be used; see ``refuse``.
    """
    file = getattr(environment.parsed_options, "tokens", None)
    if file:
        try:
            return GivenTokens(Path(file))
        except TokensRefused as error:
            refuse(f"--tokens: {error}")
    secret = variables.get(SECRET_VARIABLE, "")
    if not secret:
        words = "it must hold the gateway's secret, unless --tokens names a file of tokens"
        refuse(f"{SECRET_VARIABLE} is not set; {words}")
    return SignedTokens(secret)


def read_metrics_token(file: str | None) -> str | None:
    """Return the content of ``--metrics-token``; None without that option.

    Raises:
        SystemExit: the file cannot be used; see ``refuse``.
    """
    try:
        return None if file is None else read_single_token(Path(file))
    except TokensRefused as error:
        return refuse(f"--metrics-token: {error}")


def await_host(log: Path, timeout_s: float) -> str:
    """Return the address that a gateway's log names once the gateway listens.

    So the gateway and Locust can start side by side. Other greenlets run meanwhile.

    Raises:
        SystemExit: the log names none in time; see ``refuse``.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(LISTENING_LINE):
                return line.removeprefix(LISTENING_LINE).strip()
        gevent.sleep(_POLL_S)
    return refuse(f"{log} names no address after {timeout_s:g} s: the gateway did not start")


def refuse(message: str) -> NoReturn:
    """End the program with 2. Locust swallows every ``Exception`` of a listener, but not this.

    Raises:
        SystemExit: always.
    """
    sys.stderr.write(f"tidegate: {message}\n")
    raise SystemExit(int(ExitCode.USAGE))
