"""One side of a pair whose load alternates: a supervised run in a process of its own.

``python -m loadtests.comparing.side FILE`` reads the run's request from a JSON file, runs it
without a verdict, and exits with the run's code. Two of these run at the same time, each with
its own gateway, load generator and publisher.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtests.ending import launch, run_command
from loadtests.record.manifest import write_json
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.request import RunRefused, RunRequest
from loadtests.supervision.supervisor import run_supervised


def write_request(request: RunRequest, path: Path) -> None:
    """Write the parts of a request that a side's process needs to a file."""
    gateway = request.gateway
    content = {
        "scenario": str(request.scenario),
        "runs": str(request.runs),
        "target": request.target,
        "turn": str(request.turn),
        "gateway": {
            "words": list(gateway.words),
            "path": None if gateway.path is None else str(gateway.path),
            "name": gateway.name,
            "settings": dict(gateway.settings),
        },
    }
    write_json(path, content)


def read_request(path: Path) -> RunRequest:
    """Return the request that ``write_request`` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no request.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    gateway = content["gateway"]
    return RunRequest(
        scenario=Path(content["scenario"]),
        runs=Path(content["runs"]),
        target=content["target"],
        turn=Path(content["turn"]),
        gateway=GatewayCommand(
            words=tuple(gateway["words"]),
            path=None if gateway["path"] is None else Path(gateway["path"]),
            name=gateway["name"],
            settings=gateway["settings"],
        ),
        is_judged=False,
    )


def main() -> int:
    """Run the side and return its exit code."""
    request = read_request(Path(sys.argv[1]))
    console = Console(stderr=True)
    return run_command(
        "tidegate compare", lambda: run_supervised(request, os.environ, console), RunRefused
    )


if __name__ == "__main__":
    launch(["loadtests.comparing.side", *sys.argv[1:]])
