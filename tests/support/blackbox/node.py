"""The stock ``socket.io-client`` under Node, driven line by line."""

from __future__ import annotations

import json
import select
import subprocess
import time
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S

Line = dict[str, Any]


class NodeClient:
    """A Node process that reads commands and prints what its client receives.

    Args:
        script: the script that speaks this protocol; its head describes it.
        arguments: of the script.
    """

    def __init__(self, script: Path, *arguments: str) -> None:
        self.lines: list[Line] = []
        self._rest = b""
        self._process = subprocess.Popen(
            ["node", str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def do(self, command: str, **fields: Any) -> None:
        """Send one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        self._process.stdin.flush()

    def call(self, event: str, *arguments: object) -> Any:
        """Emit an event and return its acknowledgement."""
        self.do("call", event=event, args=arguments)
        return self.expect("acknowledged", event=event)["answer"]

    def expect(self, kind: str, timeout_s: float = 2 * DEADLINE_S, **fields: object) -> Line:
        """Return the first line of that kind with those fields, taking it out of ``lines``."""
        wanted = {"kind": kind, **fields}
        deadline = time.monotonic() + timeout_s
        while True:
            for position, line in enumerate(self.lines):
                if wanted.items() <= line.items():
                    return self.lines.pop(position)
            self._read(deadline, wanted)

    def expect_event(self, name: str, timeout_s: float = 2 * DEADLINE_S) -> Any:
        """Return the payload of the next event of that name."""
        return self.expect("event", timeout_s, event=name)["args"][0]

    def _read(self, deadline: float, wanted: Line) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        left = deadline - time.monotonic()
        ready, _, _ = select.select([stdout], [], [], max(left, 0))
        chunk = stdout.read1(65_536) if ready else b""  # type: ignore[attr-defined]  # a BufferedReader
        if not chunk:
            message = f"waited for {wanted}, saw {self.lines}"
            raise AssertionError(message)
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        self.lines.extend(json.loads(line) for line in whole)

    def kill(self) -> None:
        """End a process that reads no commands."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """Close the client and wait for its process to exit; end it when it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
