"""Say whether a run that did not pass failed in what it counted, or only in what it timed.

Pipelines run on shared machines, whose milliseconds nobody answers for: a time budget
that is missed there is printed, and a count that is wrong fails. ``python .ci/counted.py RUN``
exits with 0 when every counted budget of the run passed, and there was a verdict at all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST = 8  # counted budgets of the smoke scenario: fewer would mean that they were dropped


def main(run: Path) -> int:
    """Return the exit code for a run directory."""
    path = run / "verdict.json"
    if not path.exists():
        print(f"{path} is not there: the run came to no verdict")
        return 1
    budgets = json.loads(path.read_text("utf-8"))["budgets"]
    counted = [one for one in budgets if one["statistic"] is None]
    broken = [one for one in counted if one["verdict"] != "PASS"]
    for one in budgets:
        if one["statistic"] is not None and one["verdict"] != "PASS":
            print(
                f"timed on a shared machine, printed and no more: {one['text']}: {one['verdict']}"
            )
    for one in broken:
        print(f"counted: {one['text']}: {one['verdict']}, {one['value']}")
    return 1 if broken or len(counted) < LEAST else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
