"""Three comparisons of the gateway with itself and two with a slower one, run now.

``python -m tests.benchmarks.gate [--json PATH]``. All are reported with their time; the exit code
is 1 when an A/A comparison fails or an injected one passes. Half an hour at most.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.comparing.contest import MOST_PAIRS, Contest, Contestant, Outputs
from loadtests.comparing.pair_runs import run_contest
from loadtests.processes import PROJECT
from loadtests.results import ExitCode
from loadtests.supervision.gateway_command import parse_gateway
from tests.benchmarks.gate.slower import VARIABLE

SCENARIO: Final = PROJECT / "scenarios" / "compare.toml"
SLOWER_US: Final = 500
"""Per delivery, of which a publication has one or two."""


ORDER: Final = ("A/A", "slower", "A/A", "slower", "A/A")


def compare_once(
    base: Contestant,
    head: Contestant,
    runs: Path,
    console: Console,
    *,
    scenario: Path = SCENARIO,
    pairs: int = MOST_PAIRS,
) -> dict[str, Any]:
    """Run one comparison and return what ``compare.json`` says, with the ``seconds`` it took.

    Args:
        base: the gateway of one side.
        head: the gateway of the other side.
        runs: an empty folder for the runs.
        console: shows progress.
        scenario: the scenario's file.
        pairs: the most pairs.

    Raises:
        SystemExit: it ended without an outcome.
    """
    outcome = runs / "outcome.json"
    contest = Contest(
        scenario=scenario,
        runs=runs,
        sides={"base": base, "head": head},
        pairs=pairs,
        outputs=Outputs(json=outcome),
    )
    began_s = time.monotonic()
    code = run_contest(contest, os.environ, console)
    if not outcome.exists():
        raise SystemExit(f"the comparison ended with exit code {code} and no outcome")
    found: dict[str, Any] = json.loads(outcome.read_text(encoding="utf-8"))
    return {**found, "seconds": round(time.monotonic() - began_s)}


def main() -> int:
    """Run all, print one line each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate")
    parser.add_argument("--slower-us", type=int, default=SLOWER_US, help="of each delivery")
    parser.add_argument("--json", type=Path, help="write what they came to here")
    options = parser.parse_args()
    command = f"{shlex.quote(sys.executable)} -m tests.benchmarks.gate.slower"
    gateway = parse_gateway(f"env {VARIABLE}={options.slower_us} {command}")
    kinds = {"A/A": Contestant(), "slower": Contestant(gateway=gateway)}
    console = Console(stderr=True)
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        for number, kind in enumerate(ORDER):
            runs = Path(folder) / str(number)
            runs.mkdir()
            told.append({"kind": kind, **compare_once(Contestant(), kinds[kind], runs, console)})
            print(describe(told[-1]), flush=True)  # noqa: T201 - a command speaks
            if options.json is not None:
                options.json.write_text(json.dumps(summarise(told), indent=1) + "\n", "utf-8")
    is_wrong = any(one["verdict"] == ("FAIL" if one["kind"] == "A/A" else "PASS") for one in told)
    return ExitCode.BUDGET_BROKEN if is_wrong else ExitCode.PASS


def describe(found: dict[str, Any]) -> str:
    """Return one comparison in a line: its ``kind`` and what it found."""
    kind, verdict = f"{found['kind']:<7}", f"{found['verdict']:<13}"
    parts = [f"{kind} {verdict} {found['pairs']:>2} pairs {found['seconds']:>4} s"]
    for budget in found["budgets"]:
        if budget["relative"] and budget["value"] is not None:
            name = f"{budget['metric']}{'.' + budget['statistic'] if budget['statistic'] else ''}"
            parts.append(f"{name} {budget['value'] - 1:+.0%} {budget['verdict']}")
    return " · ".join(parts)


def summarise(told: list[dict[str, Any]], named: Sequence[str] = ("kind",)) -> list[dict[str, Any]]:
    """Return what the document needs of each comparison.

    Args:
        told: comparisons, as ``compare_once`` returns them.
        named: the fields that name a comparison.
    """
    names = ("metric", "statistic", "value", "low", "high", "visible", "verdict")
    return [
        {
            **{name: one[name] for name in (*named, "verdict", "pairs", "seconds")},
            "excluded": len(one["excluded"]),
            "budgets": [
                {name: budget[name] for name in names}
                for budget in one["budgets"]
                if budget["relative"]
            ],
        }
        for one in told
    ]


if __name__ == "__main__":
    sys.exit(main())
