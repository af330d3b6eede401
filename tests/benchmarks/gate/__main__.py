"""Three comparisons of the gateway with itself and three with a slower one, run now.

``python -m tests.benchmarks.gate [--times 3] [--json PATH]``. All are reported; the exit code
is 1 when an A/A comparison fails or an injected one passes. Half an hour at most.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.comparing.pair_runs import Contest, Outputs, run_contest
from loadtests.results import ExitCode
from loadtests.supervision.gateway_command import GatewayCommand, parse_gateway
from tests.benchmarks.gate.slower import VARIABLE

SCENARIO: Final = Path(__file__).parent / "block.toml"
SLOWER_US: Final = 1_600
"""Per delivery. The scenario makes 82 a second, so 131 ms of CPU time a second are added."""


def compare_once(head: GatewayCommand, runs: Path, console: Console) -> dict[str, Any]:
    """Run one comparison and return what ``compare.json`` says."""
    outcome = runs / "outcome.json"
    outcome.unlink(missing_ok=True)
    contest = Contest(
        scenario=SCENARIO,
        runs=runs,
        gateways={"base": GatewayCommand(), "head": head},
        outputs=Outputs(json=outcome),
    )
    code = run_contest(contest, os.environ, console)
    if not outcome.exists():
        raise SystemExit(f"the comparison ended with exit code {code} and no outcome")
    found: dict[str, Any] = json.loads(outcome.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Run all, print one line each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate")
    parser.add_argument("--times", type=int, default=3, help="of each kind")
    parser.add_argument("--json", type=Path, help="write what they came to here")
    options = parser.parse_args()
    slower = parse_gateway(
        f"env {VARIABLE}={SLOWER_US} {shlex.quote(sys.executable)} -m tests.benchmarks.gate.slower"
    )
    console = Console(stderr=True)
    told = []
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        for number in range(options.times):
            for kind, head in (("A/A", GatewayCommand()), ("slower", slower)):
                runs = Path(folder) / f"{number}-{kind.replace('/', '')}"
                told.append({"kind": kind, **compare_once(head, runs, console)})
                print(describe(told[-1]))  # noqa: T201 - a command speaks
                if options.json is not None:
                    options.json.write_text(json.dumps(summarise(told), indent=1) + "\n", "utf-8")
    is_wrong = any(one["verdict"] == ("FAIL" if one["kind"] == "A/A" else "PASS") for one in told)
    return ExitCode.BUDGET_BROKEN if is_wrong else ExitCode.PASS


def describe(found: dict[str, Any]) -> str:
    """Return one comparison in a line."""
    parts = [f"{found['kind']:<7} {found['verdict']:<13} {found['pairs']:>2} pairs"]
    for budget in found["budgets"]:
        if budget["relative"] and budget["value"] is not None:
            name = f"{budget['metric']}{'.' + budget['statistic'] if budget['statistic'] else ''}"
            parts.append(f"{name} {budget['value'] - 1:+.0%} {budget['verdict']}")
    return " · ".join(parts)


def summarise(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the document needs of each comparison."""
    names = ("metric", "statistic", "value", "low", "high", "visible", "verdict")
    return [
        {
            **{name: one[name] for name in ("kind", "verdict", "pairs")},
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
