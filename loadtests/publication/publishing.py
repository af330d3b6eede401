"""The publisher as the run sees it: a process that is started early, told to begin, and watched.

It gets everything through its standard input, a line of JSON: no token ever stands in
a list of processes. The pipe is its lifeline too: when it ends, the publisher stops.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from loadtests.record.manifest import read_json
from loadtests.results import LOGS

PUBLISHER_LOG: Final = "publisher.log"
PUBLISHER_LEDGER: Final = "publisher.json"
STOP_S: Final = 3.0
START_NS: Final = 1_000_000_000
"""What an interpreter needs before it can publish; nothing is due earlier."""


class PublisherProcess:
    """One publisher of one run; its words go to ``logs/publisher.log``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.status = "running"
        self.ready_ns = time.monotonic_ns() + START_NS
        self._log = (directory / LOGS / PUBLISHER_LOG).open("ab")
        command = [sys.executable, "-m", "loadtests.publication.publisher"]
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=Path(__file__).resolve().parents[2],
            # A Ctrl-C in the terminal is for the run, which then stops its publisher in order.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_lost(self) -> bool:
        """Whether the process ended without being asked to, or not in order when it was."""
        if self.status == "running" and self._process.poll() is not None:
            self.status = "lost"
        return self.status == "lost"

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def begin(self, plan: Mapping[str, object]) -> None:
        """Hand over the plan (``publish_plan.Plan``); publications begin as it says.

        A process that is already gone is left for ``is_lost`` to tell.
        """
        self._tell(plan)

    def tell_clock_offset(self, offset_ns: int) -> None:
        """Tell how far the gateway's clock is from ours (theirs − ours), found anew."""
        if self.status == "running":
            self._tell({"clock_offset_ns": offset_ns})

    def stop(self) -> None:
        """End the process by ending its input; in order means in time and with exit code 0."""
        was_lost = self.is_lost
        if not was_lost:
            self.status = "stopping"  # whoever looks while it ends must not call it lost
        self._close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
        in_order = not was_lost and self._process.returncode == 0
        self.status = "complete" if in_order else "lost"

    def ledger(self) -> dict[str, Any]:
        """Return what it published so far, as its file says; empty before its first second."""
        return read_json(self.directory / LOGS / PUBLISHER_LEDGER) or {}

    def figures(self) -> dict[str, object]:
        """Return what the manifest says of it."""
        ledger, status = self.ledger(), "lost" if self.is_lost else self.status
        counts = {name: ledger.get(name, 0) for name in ("published", "late", "missed")}
        return {"status": status, **counts}

    def _tell(self, words: Mapping[str, object]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the publisher was started without a pipe to its standard input")
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # its end is noticed elsewhere

    def _close(self) -> None:
        self._log.close()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                return  # what it did not read it does not need any more
