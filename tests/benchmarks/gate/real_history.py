"""Compare real programs: ``python -m tests.benchmarks.gate.real_history PATH``.

Each comparison runs once, as ``tidegate compare`` does it, and PATH gets all of them as JSON:

- python-socketio with itself;
- python-socketio (base) with this transport (head), which serve one application
  (``tests.benchmarks.gate.socketio_app``);
- with ``--commits``, each checkout of this project with the next one.

Up to six minutes each; those that PATH holds already do not run again. The exit code is 1 when
python-socketio compared with itself FAILs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.comparing.contest import MOST_PAIRS, Contestant
from loadtests.outputs import write_output
from loadtests.processes import PROJECT
from loadtests.record.manifest import describe_host
from loadtests.results import ExitCode, Verdict
from loadtests.supervision.gateway_command import parse_gateway
from tests.benchmarks.gate.__main__ import SCENARIO, compare_once, describe, summarise
from tests.benchmarks.gate.socketio_app import STOCK, TIDEGATE

_PACKAGES: Final = ("python-socketio", "aiohttp")
_NAMED: Final = ("base", "head", "when", "reasons")


@dataclass(frozen=True, kw_only=True)
class Program:
    """One side of a comparison.

    Attributes:
        name: for the document.
        text: what starts it, as ``tidegate compare`` takes it: a command or a checkout.
    """

    name: str
    text: str

    @property
    def contestant(self) -> Contestant:
        """The side as a comparison takes it."""
        return Contestant(gateway=parse_gateway(self.text))


def socketio_app(server: str) -> Program:
    """Return the application on one of the two server classes."""
    words = [sys.executable, "-m", "tests.benchmarks.gate.socketio_app", server]
    name = "this transport" if server == TIDEGATE else server
    return Program(name=name, text=shlex.join(words))


def checkout(path: Path) -> Program:
    """Return a checkout of this project: its commit and the first line of its message.

    Without git of its own the name is the folder's.

    Raises:
        CalledProcessError: git does not know its commit.
    """
    if not (path / ".git").exists():
        return Program(name=path.resolve().name, text=str(path))
    asked = ["git", "-C", str(path), "log", "-1", "--format=%h %s"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True)
    return Program(name=found.stdout.strip(), text=str(path))


def planned(commits: Sequence[Path]) -> list[tuple[Program, Program]]:
    """Return base and head of each comparison, in the order in which they run.

    Args:
        commits: checkouts of this project, oldest first.
    """
    stock, ours = socketio_app(STOCK), socketio_app(TIDEGATE)
    return [(stock, stock), (stock, ours), *pairwise(map(checkout, commits))]


def earlier(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the comparisons of a document by base and head; none if it does not exist."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))["comparisons"]
    return {(one["base"], one["head"]): one for one in found}


def record(comparisons: Sequence[dict[str, Any]], scenario: Path) -> dict[str, Any]:
    """Return the document.

    Args:
        comparisons: in short (``summarise``), each with its ``base``, its ``head`` and ``when``.
        scenario: their scenario's file.
    """
    host = describe_host()
    named = scenario.resolve()
    inside = named.is_relative_to(PROJECT)
    return {
        "made": {
            "scenario": str(named.relative_to(PROJECT)) if inside else named.name,
            "machine": f"{host.get('cores')} cores ({host.get('cpu')})",
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "comparisons": list(comparisons),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all, print one line each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.real_history")
    parser.add_argument("path", type=Path, help="where the comparisons are written, as JSON")
    parser.add_argument(
        "--commits",
        nargs="+",
        type=Path,
        default=[],
        metavar="CHECKOUT",
        help="checkouts of this project, oldest first; each is compared with the next",
    )
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument("--pairs", type=int, default=MOST_PAIRS, help="the most pairs")
    options = parser.parse_args(arguments)
    if len(options.commits) == 1:
        parser.error("--commits needs two checkouts or more")
    console, ran = Console(stderr=True), earlier(options.path)
    with tempfile.TemporaryDirectory(prefix="real-history-") as folder:
        for number, (base, head) in enumerate(planned(options.commits)):
            if (base.name, head.name) in ran:
                continue
            runs = Path(folder) / str(number)
            runs.mkdir()
            found = compare_once(
                base.contestant,
                head.contestant,
                runs,
                console,
                scenario=options.scenario,
                pairs=options.pairs,
            )
            line = describe({**found, "kind": f"{base.name} → {head.name}"})
            print(line, flush=True)  # noqa: T201 - a command speaks
            named = {"base": base.name, "head": head.name, "when": f"{datetime.now(UTC):%Y-%m-%d}"}
            (ran[base.name, head.name],) = summarise([{**found, **named}], _NAMED)
            document = record([*ran.values()], options.scenario)
            write_output(options.path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    is_wrong = ran[STOCK, STOCK]["verdict"] == Verdict.FAIL
    return ExitCode.BUDGET_BROKEN if is_wrong else ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
