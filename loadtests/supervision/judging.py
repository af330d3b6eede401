"""Finish, judge and report a run directory, and render its notebooks: a process for each step."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.processes import bound_to_us, own_command
from loadtests.results import VERDICT

JUDGE_S: Final = 120.0
PAGE_S: Final = 600.0
PAGES: Final = "notebooks"
"""The folder of a run directory that holds its notebook pages by default."""


def judge_run(
    directory: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> int | None:
    """Finish a run directory and judge it; the verdict's table goes to standard output.

    Args:
        directory: the run.
        environment: the processes' environment (``processes.child_environment``).
        say: prints a message when no verdict was made.

    Returns:
        The report's exit code; None when it made no verdict.
    """
    # A broken budget and a crash both exit with 1: only a fresh verdict file tells them apart.
    verdict = directory / VERDICT
    verdict.unlink(missing_ok=True)
    finish_tables(directory, environment)
    try:
        code = start_module("reports", [str(directory)], environment)
    except subprocess.TimeoutExpired:
        say(f"no verdict was made: the report did not end within {JUDGE_S:g} s")
        return None
    if verdict.exists():
        return code
    say(f"no verdict was made: the report ended with exit code {code}")
    return None


def finish_tables(directory: Path, environment: Mapping[str, str]) -> int | None:
    """Finish a run's tables and manifest; return the exit code, None after a timeout."""
    try:
        return start_module("loadtests.record.recording", [str(directory)], environment)
    except subprocess.TimeoutExpired:
        return None


def start_module(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one of the project's modules and return its exit code.

    Args:
        module: its dotted name.
        arguments: its command line.
        environment: the process's environment (``processes.child_environment``).

    Raises:
        subprocess.TimeoutExpired: it did not end within ``JUDGE_S``.
    """
    done = subprocess.run(  # noqa: S603 - the project's own commands
        own_command(module, *arguments),
        env=dict(environment),
        timeout=JUDGE_S,
        check=False,
        start_new_session=True,
        preexec_fn=bound_to_us(),
    )
    return done.returncode


def make_page(
    name: str,
    run: Path,
    environment: Mapping[str, str],
    *,
    base: Path | None = None,
    out: Path | None = None,
) -> Path | None:
    """Run a notebook on a run directory and return its page.

    Args:
        name: the notebook's name.
        run: a run directory.
        environment: the process's environment (``processes.child_environment``).
        base: a second run directory, for a notebook that compares two.
        out: the page; by default ``notebooks/NAME.html`` in the run.

    Returns:
        The page; None when the process failed and explained why on standard error.

    Raises:
        subprocess.TimeoutExpired: it did not end within ``PAGE_S``.
    """
    page = (run / PAGES / f"{name}.html") if out is None else out
    command = own_command("reports.notebook", name, str(run), "--out", str(page))
    if base is not None:
        command += ["--base", str(base)]
    # A kernel would run the startup files of the user's own IPython first.
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(  # noqa: S603 - the project's own command
            command,
            env={**environment, "IPYTHONDIR": profile},
            timeout=PAGE_S,
            check=False,
            preexec_fn=bound_to_us(),
        )
    return None if done.returncode else page
