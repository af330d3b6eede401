"""Say before a run which relative budgets it could hardly decide.

``python -m reports.ratio_foresight BASELINE BUDGET…`` takes the coming run to scatter as its
baseline does, and prints a line for each relative budget that is too tight for that scatter.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests.results import ExitCode
from reports.decisions import ratio_of
from reports.measures.registry import measure
from reports.ratios import change
from reports.report_errors import ReportError
from reports.run_frames import RunFrames, read_run
from scenarios.schema import Budget, ScenarioError, parse_budget


def foresee_ratios(baseline: RunFrames, budgets: Sequence[Budget]) -> list[str]:
    """Return a message for each relative budget that a run like its baseline could hardly decide.

    Args:
        baseline: the run to compare with.
        budgets: absolute ones are ignored.
    """
    found = [(budget, _foresee(baseline, budget)) for budget in budgets if budget.is_relative]
    return [f"{budget.text}: {words}" for budget, words in found if words]


def _foresee(baseline: RunFrames, budget: Budget) -> str:
    base = measure(baseline, budget.metric, budget.statistic)
    ratio = ratio_of(budget, base, base)
    if ratio.low is None or ratio.high is None:
        return f"{ratio.why}; this budget cannot be decided"
    if ratio.high / ratio.low <= math.exp(abs(math.log(budget.limit))):
        return ""
    return (
        f"two runs like the baseline show no change below {change(ratio.visible)}, but the limit "
        f"is {change(budget.limit - 1)}; run longer, or use tidegate compare"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the budgets that cannot be decided; return 2 when the input cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m reports.ratio_foresight")
    parser.add_argument("baseline", type=Path, help="a run directory")
    parser.add_argument("budget", nargs="+", help="such as 'push.p99 ratio <= 1.10'")
    options = parser.parse_args(arguments)
    try:
        budgets = [parse_budget(text, 1) for text in options.budget]
        lines = foresee_ratios(read_run(options.baseline), budgets)
    except (ReportError, ScenarioError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE
    for line in lines:
        print(line)  # noqa: T201 - a command speaks
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
