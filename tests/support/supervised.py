"""A real ``tidegate run`` that a test watches, or breaks in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
from deadlines import DEADLINE_S, RUN_S

from loadtests.record.manifest import read_json
from loadtests.results import MANIFEST

ROOT: Final = Path(__file__).resolve().parents[2]
ANY_HEALTH: Final = """[health]  # what a busy machine does to a small run is not what is tested
generator_share_p99 = "60 s"
publisher_delay_p99 = "60 s"
second_lost_percent = 100
dirty_seconds_percent = 100
"""
"""The end of a scenario in which the generator may be as slow as it likes."""


def wait_for(is_so: Callable[[], object]) -> None:
    """Poll until something is so."""
    deadline_s = time.monotonic() + RUN_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)


class SupervisedRun:
    """A run of a scenario's text, with more arguments."""

    def __init__(
        self,
        directory: Path,
        text: str,
        more: Sequence[str] = (),
        *,
        cwd: Path = ROOT,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        scenario = directory / "small.toml"
        scenario.write_text(text)
        self.runs = directory / "runs"
        command = [str(Path(sys.executable).with_name("tidegate")), "run", str(scenario)]
        self.process = subprocess.Popen(
            [*command, "--runs", str(self.runs), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env={**os.environ, **environment},
        )

    @property
    def directory(self) -> Path:
        """The run directory."""
        return (self.runs / "latest").resolve()

    def wait_until_steady(self) -> None:
        """Poll until the steady phase is on the screen."""
        path = self.runs / "latest" / "logs" / "live.json"
        wait_for(lambda: (read_json(path) or {}).get("phase") == "steady")

    def descendant(self, word: str) -> psutil.Process:
        """Return its one process with a word on its command line."""
        found = [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if word in child.cmdline()
        ]
        assert len(found) == 1, found
        return found[0]

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and words. None of its processes is left."""
        descendants = psutil.Process(self.process.pid).children(recursive=True)
        words, _ = self.process.communicate(timeout=RUN_S)
        _, left = psutil.wait_procs(descendants, timeout=DEADLINE_S)
        assert left == []
        return self.process.returncode, words

    def manifest(self) -> dict[str, Any]:
        """Return the manifest."""
        found = read_json(self.directory / MANIFEST)
        assert found is not None
        return found

    def kill(self) -> None:
        """End it if it still goes."""
        if self.process.poll() is None:
            self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()
