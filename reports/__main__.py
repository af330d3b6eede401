"""``python -m reports RUN``: judge a run, write its report, print the verdict.

Writes ``verdict.json``, ``junit.xml``, ``summary.md`` and ``report.html`` into the run
directory. In a GitHub Actions step it also annotates the budgets and adds to the step summary.
The exit code is a ``loadtests.results.ExitCode``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtests.results import JUNIT, REPORT, SUMMARY, VERDICT, ExitCode
from reports.console import print_verdict
from reports.files import write_whole
from reports.gate import Judged, tell_github
from reports.junit import render_junit
from reports.page import render_page
from reports.report_errors import ReportError
from reports.run_frames import find_baseline, read_run
from reports.summary import render_summary
from reports.verdict import judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reports", description="Judge a run and write its report."
    )
    parser.add_argument(
        "run", type=Path, help="a run directory, such as runs/<time>_<scenario>_<id>"
    )
    options = parser.parse_args(arguments)
    try:
        return report(options.run)
    except ReportError as error:
        Console(stderr=True).print(f"tidegate report: {error}", markup=False, soft_wrap=True)
        return ExitCode.USAGE


def report(directory: Path) -> int:
    """Write a run's verdict and report into its directory, print the verdict, return the exit code.

    Raises:
        ReportError: the directory holds no run that can be read.
    """
    run = read_run(directory)
    baseline = find_baseline(run)
    outcome = judge(run, baseline=baseline)
    verdict = json.dumps(outcome.as_json(), indent=2, ensure_ascii=False) + "\n"
    write_whole(directory / JUNIT, render_junit(outcome))
    write_whole(directory / SUMMARY, render_summary(run, outcome))
    write_whole(directory / REPORT, render_page(run, outcome, baseline))
    # Last, so that a fresh verdict means a complete report.
    write_whole(directory / VERDICT, verdict)
    print_verdict(outcome, Console())
    tell_github([Judged(run=run, outcome=outcome)], os.environ)
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
