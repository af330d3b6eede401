"""A real Prometheus, which the test starts and stops."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S

from loadtests.endpoints import unused_port


@contextmanager
def prometheus(folder: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Run a Prometheus on a free port of loopback, and yield its URL.

    Args:
        folder: takes its log.
        arguments: of its command, without the address.
    """
    address = f"127.0.0.1:{unused_port()}"
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(
            ("prometheus", *arguments, f"--web.listen-address={address}"), stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def ask(url: str, path: str, **parameters: str) -> Any:
    """Return ``data`` of an answer of the HTTP API; None while Prometheus is starting."""
    address = f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310 - ours
            return json.loads(answer.read())["data"]
    except OSError:
        return None


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query; empty while Prometheus is starting."""
    found: list[dict[str, Any]] = (ask(url, "query", query=expression) or {}).get("result", [])
    return found
