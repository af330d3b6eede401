"""``python -m reports RUN``: judge a run, write its report, say the verdict.

Writes ``verdict.json``, ``junit.xml``, ``summary.md`` and ``report.html`` into the run
directory and prints the verdict. The exit code is ``loadtests.results.ExitCode``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtests.results import JUNIT, REPORT, SUMMARY, VERDICT, ExitCode
from reports.console import print_verdict
from reports.errors import ReportError
from reports.frames import read_run
from reports.junit import render_junit
from reports.page import render_page
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
    """Write a run's verdict and report beside its data, print the verdict, return the exit code.

    Raises:
        ReportError: the directory holds no run that can be read.
    """
    run = read_run(directory)
    outcome = judge(run)
    verdict = json.dumps(outcome.as_json(), indent=2, ensure_ascii=False) + "\n"
    _write(directory / VERDICT, verdict)
    _write(directory / JUNIT, render_junit(outcome, scenario=run.scenario.name))
    _write(directory / SUMMARY, render_summary(run, outcome))
    _write(directory / REPORT, render_page(run, outcome))
    print_verdict(outcome, Console())
    return outcome.exit_code


def _write(path: Path, text: str) -> None:
    """Replace a file whole, so that nobody reads half of it."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
