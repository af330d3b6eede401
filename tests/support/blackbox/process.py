"""A gateway as a process that the suite starts."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from deadlines import DEADLINE_S
from redis_server import RedisServer

from blackbox.forked import Forked
from blackbox.target import Target
from gateway.contract import LISTENING_LINE

HEARTBEAT_S: Final = 0.2
ROOT: Final = Path(__file__).resolve().parents[3]
_OURS: Final = ("GATEWAY_", "JWT_", "NODE_ENV", "CLIENT_URL", "PORT", "HOST", "REDIS_URL")


@cache
def _redis() -> RedisServer:
    folder = Path(tempfile.mkdtemp(prefix="tidegate-redis-"))
    server = RedisServer(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    return server


def _settings_of_redis(given: Mapping[str, str | None]) -> dict[str, str | None]:
    if given.get("GATEWAY_MARKET") or "REDIS_URL" in given:
        return {}
    return {"REDIS_URL": _redis().url, "GATEWAY_REDIS_PREFIX": f"t{secrets.token_hex(4)}"}


class GatewayProcess(Target):
    """A gateway's process and its log.

    Args:
        log: the file for its standard error.
        settings: its variables; None leaves one out.
        command: what starts it; by default, a fork of an imported gateway does, which is quicker.
        folder: where it starts.
    """

    is_on_redis: ClassVar = False
    """Whether each one is the only node of a log in a real Redis."""

    def __init__(
        self,
        log: Path,
        settings: Mapping[str, str | None],
        command: Sequence[str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        secret = secrets.token_hex(32)
        environ = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        given: dict[str, str | None] = {
            "JWT_SECRET": secret,
            "CLIENT_URL": "http://localhost:5173",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "GATEWAY_HEARTBEAT_SECONDS": str(HEARTBEAT_S),
            "GATEWAY_CONNECTION_COUNT_SECONDS": "0.2",
            "GATEWAY_SCRIPTED": "1",
            "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": "10",  # so that an answer takes two seconds
            **settings,
        }
        if self.is_on_redis:
            given = {**_settings_of_redis(given), **given}
        environ |= {name: value for name, value in given.items() if value is not None}
        self.log = log
        reading, writing = os.pipe()
        self._stdout = os.fdopen(reading, "rb")
        self.process: subprocess.Popen[bytes] | Forked
        with log.open("wb") as stderr, os.fdopen(writing, "wb") as stdout:
            if command is None:
                self.process = Forked((), environ, folder, stdout=stdout, stderr=stderr)
            else:
                self.process = subprocess.Popen(
                    command, cwd=folder, env=environ, stdout=stdout, stderr=stderr
                )
        self.line = self._read_line(4 * DEADLINE_S)  # an SDK is seconds of imports
        super().__init__(self.line.removeprefix(LISTENING_LINE).strip(), given["JWT_SECRET"] or "")

    def _read_line(self, timeout_s: float) -> str:
        ready, _, _ = select.select([self._stdout], [], [], timeout_s)
        line = self._stdout.readline().decode() if ready else ""
        if not line.startswith(LISTENING_LINE):
            self.kill()
            message = f"the gateway did not start: {line!r}\n{self.log.read_text()}"
            raise AssertionError(message)
        return line

    def log_events(self) -> list[dict[str, Any]]:
        """Return the log's whole lines so far, each of which must be a JSON object.

        The gateway writes its log in a thread: a line about what has just happened may follow.
        """
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell the gateway to stop, and return its exit code."""
        self.process.send_signal(how)
        try:
            return self.process.wait(2 * DEADLINE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the process, unless it has ended already."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        self._stdout.close()
