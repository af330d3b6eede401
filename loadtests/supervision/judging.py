"""From a run directory to its verdict: the finisher and the report, each in a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.results import VERDICT

JUDGE_S: Final = 120.0


def judge_run(
    directory: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> int | None:
    """End a run directory and judge it; the verdict's table goes to standard output.

    Args:
        directory: the run.
        environment: the processes' environment (``children.child_environment``).
        say: is told what went wrong, in words.

    Returns:
        The report's exit code, None when it made no verdict.
    """
    # An exit code of 1 is a broken budget and a crash alike: only a fresh verdict is one.
    verdict = directory / VERDICT
    verdict.unlink(missing_ok=True)
    finish_tables(directory, environment)
    try:
        code = start_module("reports", [str(directory)], environment)
    except subprocess.TimeoutExpired:
        say(f"no verdict was made: reports did not end within {JUDGE_S:g} s")
        return None
    if verdict.exists():
        return code
    say(f"no verdict was made: the report ended with exit code {code}")
    return None


def finish_tables(directory: Path, environment: Mapping[str, str]) -> int | None:
    """End a run directory: its tables and its manifest; None when that did not end in time."""
    try:
        return start_module("loadtests.record.recording", [str(directory)], environment)
    except subprocess.TimeoutExpired:
        return None


def start_module(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a module of ours to its end and return its exit code.

    Raises:
        subprocess.TimeoutExpired: it did not end within ``JUDGE_S``.
    """
    done = subprocess.run(  # noqa: S603 - the project's own commands
        [sys.executable, "-m", module, *arguments],
        env=dict(environment),
        timeout=JUDGE_S,
        check=False,
        start_new_session=True,
    )
    return done.returncode
