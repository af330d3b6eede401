"""The end of a run that Locust alone conducted: ``tidegate report`` on its directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from gevent import subprocess

from loadtests.results import ExitCode

PROJECT: Final = Path(__file__).resolve().parents[2]
LONGEST_S: Final = 300.0


def report_run(directory: Path) -> int:
    """Finish and judge a run as any other is; return the exit code of its verdict.

    It is a process, since only the reports load pandas. Other greenlets run meanwhile.
    """
    held = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(PROJECT), *([held] if held else [])])
    command = [sys.executable, "-P", "-m", "loadtests", "report", str(directory.resolve())]
    try:
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return ExitCode.INVALID
    return done.returncode if done.returncode >= 0 else ExitCode.INVALID
