"""The watch on the gateway as the run sees it: a process whose lines are read as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gevent import subprocess

from loadtests.health.server_watch import WatchLost

WATCH_LOG: Final = "serverwatch.log"
STOP_S: Final = 2.0


class ServerWatch:
    """One watch of one run; its words go to ``logs/serverwatch.log``.

    Args:
        url: ``http://HOST:PORT`` of the gateway.
        pid: its process when that is ours.
        logs: the run's folder of logs.

    Attributes:
        unmeasured: what the gateway or the machine did not give, so far.
    """

    def __init__(self, url: str, pid: int | None, logs: Path) -> None:
        self.unmeasured: set[str] = set()
        self._log = (logs / WATCH_LOG).open("ab")
        self._process: Any = subprocess.Popen(
            [sys.executable, "-m", "loadtests.health.server_watch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=Path(__file__).resolve().parents[2],
            # A Ctrl-C in the terminal is for the run, which then ends its watch in order.
            start_new_session=True,
        )
        self._gap_until_ns = 0
        self._tell({"url": url, "pid": pid})

    def follow(self, pid: int) -> None:
        """Read another process from now on: the gateway was started anew, at the same address.

        What counts from a process's begin (CPU time, messages) begins anew with it.
        """
        self._tell({"pid": pid})

    def expect_gap(self, until_ns: int) -> None:
        """Take silence for what was ordered until a moment, monotonic: not for a lost target.

        The gateway is about to be stopped, or to be put behind another; a reading that
        nobody answers is then one without figures.
        """
        self._gap_until_ns = until_ns
        self._tell({"gap_until_ns": until_ns})

    def read(self) -> tuple[int, dict[str, object]]:
        """Wait for the next reading; return when it was made (ns) and the columns of ``server``.

        Raises:
            OSError: nobody answered at the gateway's address, and nobody ordered that.
            WatchLost: the process is gone.
        """
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise WatchLost(f"the watch on the gateway ended; {WATCH_LOG} may say why")
        said = json.loads(line)
        self.unmeasured |= set(said["unmeasured"])
        at_ns = int(said["at_ns"])
        if said["error"] is not None and at_ns >= self._gap_until_ns:
            raise OSError(said["error"])
        return at_ns, dict(said["figures"])

    def _tell(self, order: Mapping[str, object]) -> None:
        with suppress(BrokenPipeError):  # the next reading tells that it is gone
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process by ending its input; idempotent."""
        if self._log.closed:
            return
        self._log.close()
        with suppress(BrokenPipeError):  # it is gone already
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # somebody else has seen its end
                self._process.kill()
        self._process.stdout.close()
