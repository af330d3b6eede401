"""Record the A/A blocks: ``python -m tests.benchmarks.gate.record --blocks 72 PATH``.

Sixty or more runs of ``block.toml``, one after the other, a fresh gateway each; what budgets
judge of each becomes a row. A block whose times cannot be believed is left out and counted.
About 11 s a block.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.results import ExitCode
from loadtests.supervision.request import RunRequest
from loadtests.supervision.supervisor import run_supervised
from reports.compare.blocks import Block, read_blocks
from scenarios.schema import parse_budget
from tests.benchmarks.gate.__main__ import SCENARIO

FIGURES: Final = (
    "push.p50", "push.p90", "push.p99", "ack.p50", "ack.p99", "cost.per_message",
)  # fmt: skip


def main() -> int:
    """Record, and write what was recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.record")
    parser.add_argument("path", type=Path, help="where the blocks are written, as JSON")
    parser.add_argument("--blocks", type=int, default=72)
    options = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="blocks-") as folder:
        for _ in range(options.blocks):
            request = RunRequest(scenario=SCENARIO, runs=Path(folder), is_judged=False)
            if run_supervised(request, os.environ, console) == ExitCode.INTERRUPTED:
                return ExitCode.INTERRUPTED
        content = describe(read_blocks([Path(folder)]))
    options.path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return ExitCode.PASS


def describe(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Return the document: how the blocks were made, and each figure in each of them."""
    believed = [block for block in blocks if not block.doubt]
    host = blocks[0].run.manifest.part("host")
    budgets = {figure: parse_budget(f"{figure} ratio <= 1.1", 1) for figure in FIGURES}
    values = {
        figure: [block.value(budget) for block in believed] for figure, budget in budgets.items()
    }
    return {
        "made": {
            "blocks": len(believed),
            "what": "one gateway: 100 users, 6 s steady, a fresh gateway each, one after the other",
            "when": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{host.get('cores')} cores ({host.get('cpu')})",
            "left_out": [
                {"block": place, "why": block.doubt}
                for place, block in enumerate(blocks)
                if block.doubt
            ],
            "scenario": SCENARIO.read_text(encoding="utf-8"),
        },
        "figures": {
            figure: [round(value) for value in found if value is not None]
            for figure, found in values.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
