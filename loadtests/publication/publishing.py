"""Start, watch and stop the publisher's process.

It reads its plan from standard input, so that no token appears in the list of processes. The
publisher stops when this pipe ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from loadtests.processes import child_environment, own_command
from loadtests.record.manifest import read_json
from loadtests.results import LOGS

PUBLISHER_LOG: Final = "publisher.log"
PUBLISHER_LEDGER: Final = "publisher.json"
STOP_S: Final = 15.0
"""How long its end may take; on a busy host it may still be importing when it is told to stop."""
START_NS: Final = 1_000_000_000
"""Time to start an interpreter; nothing is due earlier."""
READY: Final = "waiting for the plan"
"""What the publisher logs once it has imported all, which takes seconds on a busy host."""


class PublisherProcess:
    """The publisher of a run; its log is ``logs/publisher.log``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.status = "running"
        self.ready_ns = time.monotonic_ns() + START_NS
        self._is_ready = False
        self._log = (directory / LOGS / PUBLISHER_LOG).open("ab")
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module
            own_command("loadtests.publication.publisher"),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=child_environment(os.environ),
            # Ctrl-C in the terminal must reach the run only, which then stops its publisher.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it waits for its plan, or has ended."""
        if self._process.poll() is None and not self._is_ready:
            text = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
            self._is_ready = READY in text
        return self._is_ready or self._process.poll() is not None

    @property
    def is_lost(self) -> bool:
        """Whether the process exited early, or failed to stop when asked."""
        if self.status == "running" and self._process.poll() is not None:
            self.status = "lost"
        return self.status == "lost"

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def begin(self, plan: Mapping[str, object]) -> None:
        """Send the plan (``publish_plan.PublishPlan``), which says when publishing begins.

        A process that has already ended shows in ``is_lost``.
        """
        self._tell(plan)

    def tell_clock_offset(self, offset_ns: int) -> None:
        """Send a new clock offset: the gateway's clock minus ours, ns."""
        if self.status == "running":
            self._tell({"clock_offset_ns": offset_ns})

    def tell_token(self, token: str) -> None:
        """Send a newer token for the requests from now on."""
        if self.status == "running":
            self._tell({"token": token})

    def stop(self) -> None:
        """Stop the process by closing its input; it must end in time with exit code 0."""
        was_lost = self.is_lost
        if not was_lost:
            self.status = "stopping"  # so that is_lost stays False while it ends
        self._close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
        in_order = not was_lost and self._process.returncode == 0
        self.status = "complete" if in_order else "lost"

    def ledger(self) -> dict[str, Any]:
        """Return its ledger file; empty during its first second."""
        return read_json(self.directory / LOGS / PUBLISHER_LEDGER) or {}

    def figures(self) -> dict[str, object]:
        """Return its entry in the manifest."""
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
            return  # is_lost notices its end

    def _close(self) -> None:
        self._log.close()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                return  # it has ended
