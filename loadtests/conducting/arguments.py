"""The laboratory's arguments to Locust's command line."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final, NoReturn

import gevent
from locust.argument_parser import LocustArgumentParser

from gateway.contract import LISTENING_LINE
from loadtests.results import ExitCode

SECRET_VARIABLE: Final = "JWT_SECRET"  # noqa: S105 - a variable's name
GATEWAY_START_S: Final = 15.0
_POLL_S: Final = 0.02
_ARGUMENTS: Final = (
    ("--scenario", "LOCUST_SCENARIO", str, "scenario file, such as scenarios/smoke.toml"),
    ("--run-dir", "LOCUST_RUN_DIR", str, "run directory; by default a new one under runs/"),
    ("--gateway-pid", "LOCUST_GATEWAY_PID", int, "the gateway's process when it is our own"),
    ("--gateway-log", "LOCUST_GATEWAY_LOG", str, "its log, which names the host when it listens"),
)


def add_arguments(parser: LocustArgumentParser, **_facts: object) -> None:
    """Add our arguments. The secret is none of them: a command line is public."""
    for name, variable, kind, words in _ARGUMENTS:
        parser.add_argument(
            name,
            env_var=variable,
            include_in_web_ui=False,
            metavar="<int>" if kind is int else "<path>",
            type=kind,
            help=words,
        )


def await_host(log: Path, timeout_s: float) -> str:
    """Return the address that a gateway's log names as soon as it listens.

    So a gateway and Locust can start side by side. Locust's loop goes on meanwhile.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(LISTENING_LINE):
                return line.removeprefix(LISTENING_LINE).strip()
        gevent.sleep(_POLL_S)
    return refuse(f"{log} names no host after {timeout_s:g} s: the gateway did not start")


def refuse(words: str) -> NoReturn:
    """End the program with 2: Locust swallows each Exception of a listener, but not this."""
    sys.stderr.write(f"tidegate: {words}\n")
    raise SystemExit(int(ExitCode.USAGE))
