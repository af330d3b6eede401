"""The end of a run that Locust alone conducted: ``tidegate report`` on its directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gevent import subprocess

from loadtests.processes import bound_to_us, child_environment, own_command
from loadtests.results import ExitCode

LONGEST_S: Final = 300.0


def report_run(directory: Path) -> int:
    """Finish and judge a run as any other is; return the exit code of its verdict.

    It is a process, since only the reports load pandas. Other greenlets run meanwhile.
    """
    try:
        done = subprocess.run(
            own_command("loadtests", "report", str(directory.resolve())),
            env=child_environment(os.environ),
            timeout=LONGEST_S,
            check=False,
            preexec_fn=bound_to_us(),
        )
    except subprocess.TimeoutExpired:
        return ExitCode.INVALID
    return done.returncode if done.returncode >= 0 else ExitCode.INVALID
