"""``EmbeddedRedis``: the ``redis-server`` that the embedded nodes of a run share."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Final

from loadtests.endpoints import unused_port
from loadtests.supervision.children import Child, ChildFailed

PROGRAM: Final = "redis-server"
_START_S: Final = 20.0
_STOP_S: Final = 5.0
_POLL_S: Final = 0.01


class EmbeddedRedis:
    """A ``redis-server`` on a free loopback port, which keeps nothing on disk.

    It reads its password from a file, which is not in the list of processes. The file's folder is
    removed once it listens, so that nothing is left of a run that is killed.

    Args:
        logs: takes ``redis.log``.
        cores: the cores it may use; None allows all.

    Attributes:
        url: its address, with the password.

    Raises:
        ChildFailed: it ended, or did not listen in time.
    """

    def __init__(self, logs: Path, cores: frozenset[int] | None) -> None:
        self._port, password = unused_port(), secrets.token_hex(16)
        self.url = f"redis://:{password}@127.0.0.1:{self._port}/0"
        with tempfile.TemporaryDirectory(prefix="tidegate-run-") as folder:
            settings = Path(folder) / "redis.conf"  # of a folder that nobody else may read
            settings.write_text(
                f"port {self._port}\nbind 127.0.0.1\nrequirepass {password}\n"
                'save ""\nappendonly no\n',
                encoding="utf-8",
            )
            self.child = Child(
                PROGRAM,
                [PROGRAM, str(settings)],
                log=logs / "redis.log",
                environment={"PATH": os.environ.get("PATH", os.defpath)},
                cores=cores,
                cwd=Path(folder),
            )
            try:
                self._await_port()
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End it. Idempotent."""
        self.child.stop(_STOP_S)

    def _await_port(self) -> None:
        until_s = time.monotonic() + _START_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            if self.child.exit_code is not None or time.monotonic() > until_s:
                said = f"{PROGRAM} did not listen on port {self._port}"
                raise ChildFailed(f"{said}:\n{self.child.last_lines()}")
            time.sleep(_POLL_S)


def is_installed() -> bool:
    """Return whether ``redis-server`` is on the PATH."""
    return shutil.which(PROGRAM) is not None
