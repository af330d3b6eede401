"""Child processes of a run: started with a log file, watched, and never left behind.

RuntimeError
└── ChildFailed      a child ended or timed out before it was ready
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.processes import bound_to_us

_POLL_S: Final = 0.02


class ChildFailed(RuntimeError):  # noqa: N818 - the state of the child, said in words
    """A child ended or timed out before it was ready."""


class Child:
    """A child process with a session of its own, so that Ctrl-C reaches only this process.

    On Linux the kernel ends the child when this process dies, for whatever reason.

    Args:
        name: for messages.
        command: the program and its arguments.
        log: the file that takes its output.
        environment: its whole environment.
        cores: the cores it may use; None allows all.
        orphan_signal: ends it when this process dies: SIGTERM for one that has children of its
            own or a record to close.
        cwd: its current folder; None keeps this process's.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        cores: frozenset[int] | None = None,
        orphan_signal: signal.Signals = signal.SIGKILL,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - the project's own commands
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=bound_to_us(orphan_signal, cores),  # noqa: PLW1509 - this process has one thread
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code: negative after a signal, None while it runs."""
        return self._process.poll()

    def wait_for_line(self, start: str, timeout_s: float) -> str:
        """Return the rest of the first log line with this start.

        Raises:
            ChildFailed: the child ended or timed out; the message ends with its log.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            is_over = self.exit_code is not None
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith(start):
                    return line.removeprefix(start).strip()
            if is_over:
                said = f"the {self.name} ended with exit code {self.exit_code}"
                raise ChildFailed(f"{said} before it was ready:\n{self.last_lines()}")
            if time.monotonic() > deadline_s:
                said = f"the {self.name} was not ready within {timeout_s:g} s"
                raise ChildFailed(f"{said}:\n{self.last_lines()}")
            time.sleep(_POLL_S)

    def last_lines(self, count: int = 8) -> str:
        """Return the last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-count:])

    def complaints(self) -> str:
        """Return the error lines of its log, or its last lines when there are none."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        found = [line for line in lines if "/ERROR/" in line or line.startswith("tidegate: ")]
        return "\n".join(f"    {line}" for line in found[-8:]) or self.last_lines()

    def ask_to_stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal if the child is still running."""
        if self.exit_code is None:
            self._process.send_signal(by)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the child to end; return whether it did in time."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout_s: float) -> bool:
        """Stop the child: SIGTERM, then SIGKILL after the timeout; return whether SIGTERM did."""
        self.ask_to_stop()
        return self.finish(timeout_s)

    def finish(self, timeout_s: float) -> bool:
        """Wait for the end, with SIGKILL after the timeout; return whether it came before."""
        if self.wait(timeout_s):
            return True
        self._process.kill()
        self._process.wait()
        return False

    def end_group(self) -> None:
        """Kill what the child left behind, such as a frozen worker.

        The child leads a process group, whose id is not reused while one member lives.
        """
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def split_cores(
    nodes: int = 1, workers: int = 1
) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """Return the cores of the gateway and those of the load (the others).

    On a shared core each waits for the other, and that wait would count as gateway latency.

    Args:
        nodes: gateways. Each has a core, as long as each worker has one too.
        workers: processes that generate load.

    Returns:
        Twice None with a single core, and on systems other than Linux.
    """
    if sys.platform != "linux":
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    own = max(1, min(nodes, len(cores) - workers))
    return frozenset(cores[:own]), frozenset(cores[own:])
