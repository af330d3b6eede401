"""``Forked``: a gateway's process as a child of the fork server, which a session starts once.

Starting an interpreter and importing the gateway takes half a second of CPU time, and a fork a few
milliseconds. The child runs the same ``main`` with the arguments, environment, folder and
standard streams that it is given. Tests of the command itself start ``python -m gateway``.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from deadlines import DEADLINE_S

_STARTING: Final = threading.Lock()
_SERVER: Final = Path(__file__).with_name("fork_server.py")
_START_S: Final = 4 * DEADLINE_S  # an import of everything, on a host that is busy


class Forked:
    """A process, with the part of ``subprocess.Popen`` that tests use.

    Args:
        arguments: those of ``python -m gateway``.
        environment: all its variables.
        folder: where it runs.
        stdin: its standard input; none by default.
        stdout: its standard output.
        stderr: its standard error.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdin: IO[Any] | None = None,
        stdout: IO[Any],
        stderr: IO[Any],
    ) -> None:
        self.args = ("gateway", *arguments)
        self.returncode: int | None = None
        asked = {"arguments": list(arguments), "environment": dict(environment)}
        asked["folder"] = str(folder)
        told, telling = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            streams = [nothing if one is None else one.fileno() for one in (stdin, stdout, stderr)]
            with _STARTING:
                control = _control()
            socket.send_fds(control, [json.dumps(asked).encode()], [*streams, telling])
        finally:
            os.close(nothing)
            os.close(telling)
        self.pid = self._number(_START_S)

    def _number(self, timeout_s: float | None) -> int:
        """Return the next number that the server tells: first the process, then its status."""
        ready, _, _ = select.select([self._told], [], [], timeout_s)
        if not ready:
            raise subprocess.TimeoutExpired(self.args, timeout_s or 0.0)
        line = self._told.readline()
        assert line, "the fork server has ended"
        return int(line)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(self._number(timeout))
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, ``None`` while it runs."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, which: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            try:
                os.kill(self.pid, which)
            except ProcessLookupError:  # it has just ended
                return

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def run_gateway(
    *arguments: str, environment: Mapping[str, str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command of the gateway to its end, and return its exit code and what it wrote.

    Args:
        *arguments: those of ``python -m gateway``.
        environment: all its variables.
        given: its standard input.
    """
    with contextlib.ExitStack() as stack:
        stdin, out, error = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
        stdin.write(given)
        stdin.seek(0)
        process = Forked(arguments, environment, Path.cwd(), stdin=stdin, stdout=out, stderr=error)
        stack.callback(process.kill)
        code = process.wait(DEADLINE_S)
        out.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess(process.args, code, out.read(), error.read())


@cache
def _control() -> socket.socket:
    """Start the server, and return the socket that it reads; it ends when that is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            (sys.executable, "-P", str(_SERVER), str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop their gateways
        )

    def end() -> None:
        ours.close()
        server.wait(DEADLINE_S)

    atexit.register(end)
    return ours
