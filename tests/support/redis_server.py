"""A real ``redis-server`` on a free port of loopback, which the test starts and stops."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from certificates import Chain
from deadlines import DEADLINE_S

from loadtests.endpoints import unused_port

_POLL_S: Final = 0.01


class RedisServer:
    """One Redis: ``stop`` and ``start`` keep its data if it ``is_kept``, as on a real host.

    Args:
        folder: holds its data and its log.
        is_kept: whether data survive a restart.
        chain: its certificate, for TLS and nothing else.
        *more: more arguments, such as ``--requirepass``.
    """

    def __init__(
        self, folder: Path, *more: str, is_kept: bool = False, chain: Chain | None = None
    ) -> None:
        self.port = unused_port()  # it stays ours while a test restarts the server
        self._listening = ["--port", str(self.port)]
        self._asking: list[str] = []
        if chain is not None:
            self._listening = ["--port", "0", "--tls-port", str(self.port)]
            self._listening += ["--tls-cert-file", str(chain.certificate)]
            self._listening += ["--tls-key-file", str(chain.key), "--tls-auth-clients", "no"]
            self._listening += ["--tls-ca-cert-file", str(chain.root)]
            self._asking = ["--tls", "--cacert", str(chain.root)]
        self._folder = folder
        self._log = folder / "redis.log"
        self._more = (*more, "--appendonly", "yes" if is_kept else "no")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address, without a password."""
        return f"redis{'s' if self._asking else ''}://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is not on the PATH"
        arguments = [*self._listening, "--bind", "127.0.0.1", "--save", ""]
        arguments += ["--dir", str(self._folder), "--logfile", str(self._log)]
        self._process = subprocess.Popen(
            [program, *arguments, "--appendfsync", "always", *self._more]
        )
        until_s = time.monotonic() + DEADLINE_S
        while not self._listens():
            assert time.monotonic() < until_s, self._log.read_text()
            time.sleep(_POLL_S)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE_S)
            self._process = None

    def pause(self) -> None:
        """Stop it without ending its connections."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        os.kill(self._process.pid, which)

    def command(self, *words: str) -> str:
        """Return what ``redis-cli`` prints for a command."""
        done = subprocess.run(
            ["redis-cli", *self._asking, "-p", str(self.port), *words],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout.strip()
