"""Profile the gateway's process with py-spy for ten seconds, during a breach or on request.

The profile is a text of stacks with their number of samples, one a line; the report draws it.
py-spy reads another process's memory (ptrace). If it is not installed, or the kernel forbids
it, the run has no profile and its manifest says so.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtests.processes import bound_to_us
from loadtests.results import PROFILE

_LOG: Final = "gateway-profile.log"
SECONDS: Final = 10
RATE: Final = 100
_STOP_S: Final = 5.0


class Profile:
    """At most one profile of one process.

    Args:
        pid: the gateway's process id.
        logs: the run's folder of logs; takes the stacks, ``gateway-profile.txt``.
        environment: of the profiler, which must be on its ``PATH``.
    """

    def __init__(self, pid: int, logs: Path, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._pid = pid
        self._logs = logs
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_tried = False

    def begin(self) -> None:
        """Start the profiler; a second call does nothing."""
        if self._is_tried:
            return
        self._is_tried = True
        program = find_profiler(self._environment)
        if program is None:
            self.problems.append(
                'the gateway was not profiled: py-spy is not installed (pip install "py-spy")'
            )
            return
        command = [
            *(program, "record", "--pid", str(self._pid), "--duration", str(SECONDS)),
            # Without pausing the gateway, which would add to the latency under test.
            *("--nonblocking", "--rate", str(RATE), "--format", "raw", "--function"),
            *("--output", str(self._logs / PROFILE)),
        ]
        with (self._logs / _LOG).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - py-spy, with our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                preexec_fn=bound_to_us(),  # noqa: PLW1509 - this process has one thread
            )

    def close(self) -> None:
        """Stop the profiler; note a problem if it wrote no profile."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # py-spy writes the samples it has
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if not (self._logs / PROFILE).exists():
            said = (self._logs / _LOG).read_text(encoding="utf-8", errors="replace").split("\n")
            words = next((line for line in reversed(said) if line.strip()), "its log is empty")
            self.problems.append(f"the gateway was not profiled: py-spy: {words.strip()}")


def find_profiler(environment: Mapping[str, str]) -> str | None:
    """Return py-spy's path, beside this interpreter or on the PATH; None without one."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy", path=environment.get("PATH"))
