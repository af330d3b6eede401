"""Child processes of a run: started with a log file, watched, and never left behind.

RuntimeError
└── ChildFailed      a child ended, or stayed silent, before it was ready
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.02
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailed(RuntimeError):  # noqa: N818 - the state of the child, said in words
    """A child that was needed is not there."""


class Child:
    """One child in a session of its own, so that a Ctrl-C in the terminal reaches only us.

    When this process dies, however it dies, the kernel ends the child (Linux).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        cores: frozenset[int] | None = None,
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
                start_new_session=True,
                preexec_fn=lambda: _begin_child(cores),  # noqa: PLW1509 - this process has one thread
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait_for_line(self, start: str, timeout_s: float) -> str:
        """Return the rest of the first line of the log that starts so.

        Raises:
            ChildFailed: the child ended or the time passed; the words end with its log.
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
        """Return the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-count:])

    def complaints(self) -> str:
        """Return the lines of its log that tell of errors, or the log's end when none does."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        found = [line for line in lines if "/ERROR/" in line or line.startswith("tidegate: ")]
        return "\n".join(f"    {line}" for line in found[-8:]) or self.last_lines()

    def ask_to_stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal if it still runs."""
        if self.exit_code is None:
            self._process.send_signal(by)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end and return whether it came in time."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout_s: float) -> bool:
        """End it: SIGTERM, then SIGKILL when the time is over. Returns whether SIGTERM did."""
        self.ask_to_stop()
        if self.wait(timeout_s):
            return True
        self._process.kill()
        self._process.wait()
        return False

    def end_group(self) -> None:
        """End what the child started and left behind, such as a worker that is frozen.

        A child leads a group of its own; that group's id is nobody else's as long as one
        of it lives.
        """
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a child finds this project's packages from any folder."""
    held = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": os.pathsep.join([str(PROJECT), *([held] if held else [])])}


def split_cores() -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """Return the cores of the gateway and those of the load: one and the others.

    Sharing them, each waits for the other, and that wait reads as the gateway's latency.

    Returns:
        Twice None where there is one core only, or the system does not say.
    """
    if sys.platform != "linux":
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    return frozenset(cores[:1]), frozenset(cores[1:])


def _begin_child(cores: frozenset[int] | None) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
