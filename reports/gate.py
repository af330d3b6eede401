"""``python -m reports.gate RUN…``: judge stored runs again.

Budgets are the runs' own, or a file laid over them. The run directories do not change. Outputs go
where ``--junit`` and ``--json`` say. The exit code is the worst of the runs: 5, 1, 4, 3, 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from loadtests.ending import launch, run_command
from loadtests.outputs import OutputRefused, check_outputs, is_standard_output, write_output
from loadtests.results import ExitCode
from reports.comment import render_comment
from reports.console import print_verdict
from reports.github import annotate_run, is_github, tell_step
from reports.junit import render_junit
from reports.report_errors import ReportError
from reports.run_frames import RunFrames, find_baseline, read_run
from reports.summary import render_summary
from reports.verdict import RunVerdict, judge
from scenarios.overlay import read_overlay
from scenarios.schema import Budget, ScenarioError

SEVERITY: Final = (
    ExitCode.PASS,
    ExitCode.INCONCLUSIVE,
    ExitCode.INVALID,
    ExitCode.BUDGET_BROKEN,
    ExitCode.GATEWAY_FAILED,
)
"""Exit codes of judged runs, from mildest to worst."""
_REFUSALS: Final = (OutputRefused, ReportError, ScenarioError)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One run and its verdict."""

    run: RunFrames
    outcome: RunVerdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command("tidegate gate", lambda: gate(options), *_REFUSALS)


def gate(options: argparse.Namespace) -> int:
    """Judge the runs, write the outputs, print the verdicts; return the exit code.

    Raises:
        OutputRefused: an output cannot be written; nothing was judged.
        ReportError: see ``judge_runs`` and ``summarize``.
        ScenarioError: the budgets are not valid.
        OSError: writing an output failed.
    """
    outputs = {"--junit": options.junit, "--json": options.json, "--comment": options.comment}
    check_outputs(outputs)
    over = read_overlay(options.budgets) if options.budgets else ()
    judged = judge_runs(options.runs, over, options.baseline)
    summaries = summarize(judged, options.history)
    _write(judged, options.junit, options.json)
    if options.comment is not None:
        write_output(options.comment, render_comment(summaries))
    console = console_beside(*outputs.values())
    for one in judged:
        print_verdict(one.outcome, console)
    tell_github(judged, summaries, os.environ, console)
    return worst_code([one.outcome.exit_code for one in judged])


def console_beside(*outputs: Path | None) -> Console:
    """Return where to print: standard error when an output has standard output for itself."""
    return Console(stderr=any(is_standard_output(path) for path in outputs))


def judge_runs(
    directories: Sequence[Path], over: Sequence[Budget], baseline: Path | None
) -> list[Judged]:
    """Return the verdict of each run directory.

    Args:
        directories: run directories.
        over: budgets laid over the runs' own.
        baseline: run directory for relative budgets; None for the one that each run names.

    Raises:
        ReportError: a directory is not a readable run, or a budget does not fit its scenario.
    """
    base_run = None if baseline is None else read_run(baseline)
    judged = []
    for directory in directories:
        run = read_run(directory)
        outcome = judge(run, over=over, baseline=base_run or find_baseline(run))
        judged.append(Judged(run=run, outcome=outcome))
    return judged


def summarize(judged: Sequence[Judged], history: Path | None) -> list[str]:
    """Return the summary of each run, with the trend of its figures where a history is named.

    Raises:
        HistoryError: the history is damaged.
        OSError: the history cannot be read.
    """
    if history is None:
        return [render_summary(one.run, one.outcome) for one in judged]
    from reports.history.markdown import render_trend  # searches for changes; few runs need it
    from reports.history.store import read_history

    rows = read_history(history)
    return [
        render_summary(one.run, one.outcome, render_trend(one.run, rows, history)) for one in judged
    ]


def worst_code(codes: Sequence[ExitCode]) -> ExitCode:
    """Return the worst of several exit codes; INCONCLUSIVE for none."""
    return max(codes, key=SEVERITY.index, default=ExitCode.INCONCLUSIVE)


def tell_github(
    judged: Sequence[Judged],
    summaries: Sequence[str],
    environment: Mapping[str, str],
    console: Console,
) -> None:
    """Annotate the budgets and add the summaries when running in GitHub Actions.

    Args:
        judged: runs with their verdicts.
        summaries: the summary of each.
        environment: of the process.
        console: where to print.
    """
    if not is_github(environment):
        return
    for one, summary in zip(judged, summaries, strict=True):
        lines = annotate_run(one.run, one.outcome, environment)
        tell_step(lines, summary, environment, console.file)


def _write(judged: Sequence[Judged], junit: Path | None, verdicts: Path | None) -> None:
    if junit is not None:
        write_output(junit, render_junit(*((one.run, one.outcome) for one in judged)))
    if verdicts is not None:
        content = [one.outcome.as_json() for one in judged]
        write_output(verdicts, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports.gate", description="Judge stored runs again."
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run directories")
    parser.add_argument(
        "--budgets", type=Path, help="TOML file of budgets to lay over the runs' own"
    )
    parser.add_argument(
        "--baseline", type=Path, help="run directory that relative budgets compare with"
    )
    parser.add_argument("--junit", type=Path, help="write JUnit XML here")
    parser.add_argument("--json", type=Path, help="write the verdicts here")
    parser.add_argument("--comment", type=Path, help="write the text of a comment here")
    parser.add_argument("--history", type=Path, help="file of past runs, whose trend is told")
    return parser


if __name__ == "__main__":
    launch(["reports.gate", *sys.argv[1:]])
