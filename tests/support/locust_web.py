"""Locust with its web page as a process, and the requests that a browser makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S, RUN_S

from loadtests.endpoints import unused_port

POLL_S = 0.1


class LocustPage:
    """Locust with its web page, and what it answers."""

    def __init__(self, arguments: list[str], secret: str, folder: Path, base: str = "") -> None:
        port = unused_port()
        self.root = f"http://127.0.0.1:{port}{base}"
        self.log = folder / "page.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "JWT_"))}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(str(Path(sys.executable).with_name("locust")), *arguments),
                    *("--web-host", "127.0.0.1", "--web-port", str(port)),
                ],
                cwd=folder,
                env={**inherited, "JWT_SECRET": secret},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, address: str) -> str:
        with self._open(address) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        """Press the page's button that ends the run."""
        with self._open("/stop", data=b""):
            pass

    def where(self, address: str) -> str:
        """Return where an address leads to."""
        with self._open(address) as answer:
            return str(answer.url)

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + RUN_S
        while not self._holds(is_so):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no {what}: {self.log.read_text()}"
            time.sleep(POLL_S)

    def table(self) -> dict[str, str]:
        stats = json.loads(self.get("/stats/requests"))
        (found,) = stats["extended_stats"]
        assert found["key"] == "tidegate"
        places = [row["name"] for row in found["data"]]
        assert places == sorted(places)  # what Locust sorts by
        return {row["figure"]: row["now"] for row in found["data"]}

    def ask(self, users: int) -> None:
        """Ask for users, as the page's form does."""
        with self._open("/swarm", f"user_count={users}&spawn_rate=50".encode()) as answer:
            assert json.loads(answer.read())["success"]

    def state(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        found: dict[str, Any] = json.loads(self.get("/tidegate/state.json"))
        return found

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/tidegate/live.json"))
        return found

    def _open(self, address: str, data: bytes | None = None) -> HTTPResponse:
        answer: HTTPResponse = urllib.request.urlopen(self.root + address, data, DEADLINE_S)  # noqa: S310 - our own loopback address
        return answer

    def _holds(self, is_so: Callable[[], bool]) -> bool:
        try:
            return is_so()
        except OSError:
            return False  # nobody listens yet
