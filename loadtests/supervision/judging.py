"""Finish, judge and report a run directory, and render its notebooks, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.processes import bound_to_us
from loadtests.results import ExitCode

JUDGE_S: Final = 120.0
PAGE_S: Final = 600.0
_STANDARD_ERROR: Final = 2
_LAUNCH: Final = "from loadtests.ending import launch; launch(*{!r})"
_FINISHER: Final = "loadtests.record.finisher"


def judge_run(
    directory: Path, environment: Mapping[str, str], *, options: Sequence[str] = ()
) -> int:
    """Finish a run directory and judge it; the verdict's table goes to standard output.

    Args:
        directory: the run.
        environment: the processes' environment (``processes.child_environment``).
        options: further words for ``reports.reporting``.

    Returns:
        The verdict's exit code. Without a verdict: 2 for a directory that is refused, which then
        is as before, and 4 after a failure.
    """
    finish = [_FINISHER, str(directory)]
    report = ["reports.reporting", str(directory), *options]
    return _run_commands([finish, report], environment, 2 * JUDGE_S)


def finish_tables(directories: Sequence[Path], environment: Mapping[str, str]) -> int:
    """Finish the tables and manifests of runs; return the exit code."""
    return start_module(_FINISHER, [str(one) for one in directories], environment)


def start_module(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout_s: float = JUDGE_S,
    is_aside: bool = False,
) -> int:
    """Run the ``main`` of one of the project's modules as a process and return its exit code.

    Args:
        module: its dotted name.
        arguments: its command line.
        environment: the process's environment (``processes.child_environment``).
        timeout_s: after this time it is killed.
        is_aside: whether it prints to standard error, because standard output holds a result.

    Returns:
        The exit code; 4 when it did not end in time or a signal ended it, which is said.
    """
    return _run_commands([[module, *arguments]], environment, timeout_s, is_aside=is_aside)


def _run_commands(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    timeout_s: float,
    *,
    is_aside: bool = False,
) -> int:
    """Run commands in one process, up to the first that fails; see ``start_module``.

    Args:
        commands: each a module and its arguments.
        environment: see ``start_module``, as the other arguments.
        timeout_s: of them all.
        is_aside: whether they print to standard error.
    """
    names = " and ".join(one[0] for one in commands)
    program = _LAUNCH.format([list(one) for one in commands])
    command = [sys.executable, "-P", "-c", program]
    # A notebook's kernel would run the startup files of the user's own IPython first.
    with tempfile.TemporaryDirectory() as profile:
        try:
            done = subprocess.run(  # noqa: S603 - the project's own commands
                command,
                env={**environment, "IPYTHONDIR": profile},
                timeout=timeout_s,
                check=False,
                stdout=_STANDARD_ERROR if is_aside else None,
                close_fds=False,  # an output may be a pipe of the shell, such as /dev/fd/63
                start_new_session=True,
                preexec_fn=bound_to_us(),
            )
        except subprocess.TimeoutExpired:
            return _fail(f"{names} did not end within {timeout_s:g} s")
    if done.returncode < 0:
        return _fail(f"{names} was ended by {signal.Signals(-done.returncode).name}")
    return done.returncode


def _fail(words: str) -> int:
    print(f"no verdict was made: {words}", file=sys.stderr)  # noqa: T201 - a command speaks
    return ExitCode.INVALID
