"""``python -m reports RUN``: judge a run, write its report, print the verdict.

Writes ``verdict.json``, ``junit.xml``, ``summary.md`` and ``report.html`` into the run
directory, and the figures where ``--export`` says. In a GitHub Actions step it also annotates
the budgets and adds to the step summary.
The exit code is a ``loadtests.results.ExitCode``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests.ending import run_command
from loadtests.outputs import (
    OutputRefused,
    check_exports,
    check_outputs,
    write_output,
    write_together,
)
from loadtests.results import JUNIT, REPORT, SUMMARY, VERDICT
from reports.comment import render_comment
from reports.console import print_verdict
from reports.exports import RENDERERS, spoilt_words
from reports.gate import Judged, console_beside, summarize, tell_github
from reports.junit import render_junit
from reports.page import render_page
from reports.report_errors import ReportError
from reports.run_frames import find_baseline, read_run
from reports.verdict import judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reports", description="Judge a run and write its report."
    )
    parser.add_argument(
        "run", type=Path, help="a run directory, such as runs/<time>_<scenario>_<id>"
    )
    parser.add_argument(
        "--export", action="append", default=[], metavar="FORMAT=FILE", help="write the figures"
    )
    parser.add_argument("--comment", type=Path, help="write the text of a comment here")
    parser.add_argument("--history", type=Path, help="file of past runs, whose trend is told")
    options = parser.parse_args(arguments)

    def work() -> int:
        return report(options.run, options.export, options.comment, options.history)

    return run_command("tidegate report", work, OutputRefused, ReportError)


def report(
    directory: Path,
    exports: Sequence[str] = (),
    comment: Path | None = None,
    history: Path | None = None,
) -> int:
    """Write a run's verdict and report into its directory, print the verdict, return the exit code.

    Args:
        directory: the run directory.
        exports: ``FORMAT=FILE`` of each export.
        comment: takes the text of a comment on a pull request.
        history: file of past runs; the summary then has the trend of each figure.

    Raises:
        OutputRefused: an export has an unknown format or cannot be written.
        ReportError: the directory holds no run that can be read.
        OSError: a file cannot be written; then the old verdict and report stay.
    """
    files = check_exports(exports)
    check_outputs({"--comment": comment})
    run = read_run(directory)
    baseline = find_baseline(run)
    outcome = judge(run, baseline=baseline)
    judged = [Judged(run=run, outcome=outcome)]
    summaries = summarize(judged, history)
    verdict = json.dumps(outcome.as_json(), indent=2, ensure_ascii=False) + "\n"
    # The verdict last, so that a new verdict means a complete report.
    write_together(
        {
            directory / JUNIT: render_junit((run, outcome)),
            directory / SUMMARY: summaries[0],
            directory / REPORT: render_page(run, outcome, baseline),
            directory / VERDICT: verdict,
        }
    )
    for name, path in files.items():
        write_output(path, RENDERERS[name](run, outcome))
    if comment is not None:
        write_output(comment, render_comment(summaries))
    if files and (words := spoilt_words(run, outcome)):
        print(f"tidegate report: {words}", file=sys.stderr)  # noqa: T201 - a command speaks
    console = console_beside(*files.values(), comment)
    print_verdict(outcome, console)
    tell_github(judged, summaries, os.environ, console)
    return outcome.exit_code
