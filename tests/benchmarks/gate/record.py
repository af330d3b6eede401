"""Record pairs of the gateway with itself: ``python -m tests.benchmarks.gate.record PATH``.

Each pair has a fresh gateway on both sides, and its load alternates, as in ``tidegate compare``.
What budgets judge of each pair becomes a row. A pair whose times cannot be believed is left out and
counted. The runs stay in ``runs/gate-pairs``, and the next call goes on with them. About 25 s a
pair.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console

from loadtests.comparing.contest import Contest, Contestant, Methods
from loadtests.comparing.pair_runs import TURNS, finish_runs, requests_of
from loadtests.comparing.side_by_side import run_side_by_side
from loadtests.results import ExitCode
from reports.compare.blocks import NO_SIDES, Fields, read_sides
from reports.compare.slices import ratio_in_slices
from scenarios.schema import parse_budget
from tests.benchmarks.gate.__main__ import SCENARIO

RUNS: Final = Path("runs/gate-pairs")
FIGURES: Final = (
    "push.p50", "push.p90", "push.p99", "ack.p50", "ack.p99", "cost.per_message",
)  # fmt: skip
_SLICES: Final = Methods(in_slices=True, in_blocks=False)


def main() -> int:
    """Record, and write what was recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.record")
    parser.add_argument("path", type=Path, help="where the pairs are written, as JSON")
    parser.add_argument("--pairs", type=int, default=40, help="pairs in all, earlier ones included")
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    sides = {"base": Contestant(), "head": Contestant()}
    contest = Contest(scenario=SCENARIO, runs=options.runs, sides=sides)  # type: ignore[arg-type]  # both are sides
    console = Console(stderr=True)
    done = len(list((options.runs / TURNS).glob("pair-*")))
    for pair in range(done + 1, options.pairs + 1):
        for requests in requests_of(contest, _SLICES, options.runs, pair):
            code = run_side_by_side(requests, os.environ, console)
            print(f"pair {pair}: exit code {code}", file=sys.stderr)  # noqa: T201 - a command speaks
            if code == ExitCode.INTERRUPTED:
                return code
    finish_runs(options.runs, os.environ)
    base, head = read_sides([options.runs / "base"], [options.runs / "head"])
    content = json.dumps(describe(Fields.of(base, head, ())), indent=1, ensure_ascii=False) + "\n"
    options.path.write_text(content, encoding="utf-8")
    return ExitCode.PASS


def describe(fields: Fields) -> dict[str, Any]:
    """Return the document: how the pairs were made, and head/base of each figure in each pair.

    A figure has the pairs that count for it: more for CPU time than for times.
    """
    run = fields.costs or NO_SIDES
    host = run.base[0].run.manifest.part("host")
    left_out = fields.main.excluded
    return {
        "made": {
            "pairs": run.had,
            "what": "one gateway beside itself: 100 users a side, 20 s steady, the load "
            "alternating each 230 ms, a fresh gateway on both sides of each pair",
            "when": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{host.get('cores')} cores ({host.get('cpu')})",
            "left_out": [{"run": run_id, "why": why} for run_id, why in left_out],
            "scenario": SCENARIO.read_text(encoding="utf-8"),
        },
        "figures": {figure: _figure(figure, fields) for figure in FIGURES},
    }


def _figure(figure: str, fields: Fields) -> dict[str, Any]:
    """Return the base's median and head/base of each pair that counts."""
    budget = parse_budget(f"{figure} ratio <= 1.1", 1)
    sides = fields.of_metric(budget.metric) or NO_SIDES
    together = zip(sides.base, sides.head, strict=True)
    ratios = [ratio_in_slices(one, two, budget) for one, two in together]
    values = [value for one in sides.base if (value := one.value(budget)) is not None]
    return {
        "value": round(median(values)) if values else None,
        "ratios": [round(ratio, 5) for ratio in ratios if ratio is not None],
    }


if __name__ == "__main__":
    sys.exit(main())
