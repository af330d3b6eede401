"""``ServerWatch``: starts the process that watches the gateway, and reads its lines."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gevent import subprocess

from loadtests.health.server_watch_process import WatchLost
from loadtests.processes import child_environment, own_command

WATCH_LOG: Final = "serverwatch.log"
STOP_S: Final = 2.0


class ServerWatch:
    """The watch of one run. Its process logs to ``logs/serverwatch.log``.

    Args:
        url: ``http://HOST:PORT`` of the gateway.
        pid: its process when that is ours.
        logs: the run's folder of logs.
        metrics_token: opens the gateway's metrics; None when they are open.

    Attributes:
        unmeasured: messages on what could not be measured so far.
    """

    def __init__(
        self, url: str, pid: int | None, logs: Path, metrics_token: str | None = None
    ) -> None:
        self.unmeasured: set[str] = set()
        self._log = (logs / WATCH_LOG).open("ab")
        self._process: Any = subprocess.Popen(
            own_command("loadtests.health.server_watch_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=child_environment(os.environ),
            # A Ctrl-C in the terminal is for the run, which then ends the watch.
            start_new_session=True,
        )
        self._gap_until_ns = 0
        self._tell({"url": url, "pid": pid, "metrics_token": metrics_token})

    def follow(self, pid: int) -> None:
        """Read another process from now on: the gateway has restarted at the same address.

        Figures that count from a process's start (CPU time, messages) restart with it.
        """
        self._tell({"pid": pid})

    def expect_gap(self, until_ns: int) -> None:
        """Expect no answers until a time, monotonic: a command is about to end the gateway.

        Until then a reading without an answer has no figures, and is no error.
        """
        self._gap_until_ns = until_ns
        self._tell({"gap_until_ns": until_ns})

    def read(self) -> tuple[int, dict[str, object]]:
        """Wait for the next reading. Returns its time, monotonic ns, and the columns of ``server``.

        Raises:
            OSError: the gateway did not answer, and no gap was expected.
            WatchLost: the watch process has ended.
        """
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise WatchLost(f"the watch on the gateway ended; see {WATCH_LOG}")
        said = json.loads(line)
        self.unmeasured |= set(said["unmeasured"])
        at_ns = int(said["at_ns"])
        if said["error"] is not None and at_ns >= self._gap_until_ns:
            raise OSError(said["error"])
        return at_ns, dict(said["figures"])

    def _tell(self, order: Mapping[str, object]) -> None:
        with suppress(BrokenPipeError):  # the next reading reports its end
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process by closing its input. Idempotent."""
        if self._log.closed:
            return
        self._log.close()
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # its end was collected elsewhere
                self._process.kill()
        self._process.stdout.close()
