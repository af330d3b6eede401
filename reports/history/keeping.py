"""``python -m reports.history add|show|check``: keep figures of runs, and find their changes.

``check`` ends with 1 when a figure became worse within the last ten runs and did not recover,
with 3 when no figure has enough runs, else with 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtests.ending import run_command
from loadtests.outputs import (
    OutputRefused,
    check_folder,
    check_outputs,
    write_output,
    write_together,
)
from loadtests.results import ExitCode
from reports.gate import console_beside, judge_runs
from reports.history.changes import FEWEST
from reports.history.otava import render_otava
from reports.history.rows import row_of_run
from reports.history.screen import print_changes, print_trends, trends_as_json
from reports.history.store import add_row, read_history
from reports.history.trends import GroupTrends, trends_of
from reports.report_errors import HistoryError, ReportError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    work = {"add": add, "show": show, "check": check}[options.action]
    name = f"tidegate history {options.action}"
    return run_command(name, lambda: work(options), OutputRefused, ReportError)


def add(options: argparse.Namespace) -> int:
    """Append a run's figures to the history.

    Raises:
        OutputRefused: the history cannot be written.
        ReportError: the run cannot be read or is a part of one, or the history is damaged.
        OSError: writing failed.
    """
    check_outputs({"--history": options.history})
    (judged,) = judge_runs([options.run], (), None)
    row = row_of_run(judged.run, judged.outcome, options.commit)
    is_new = not options.history.exists()
    words = "added to" if add_row(options.history, row) else "is in"
    _say(f"{row.run} {words} {options.history}: {len(row.figures)} figures")
    if is_new:
        attribute = f"{options.history.name} merge=union"
        _say(f'so that branches merge without conflicts, put "{attribute}" into .gitattributes')
    return ExitCode.PASS


def show(options: argparse.Namespace) -> int:
    """Print the trend of each figure.

    Raises:
        OutputRefused: an output cannot be written.
        HistoryError: the history is missing or damaged.
        OSError: an output cannot be written.
    """
    check_outputs({"--json": options.json, "--page": options.page})
    if options.otava is not None:
        check_folder("--otava", options.otava)
    found = _read(options.history)
    if options.json is not None:
        write_output(options.json, _as_text(found))
    if options.page is not None:
        from reports.history.page import render_history  # draws; the other actions do not

        write_output(options.page, render_history(found))
    if options.otava is not None:
        write_together({options.otava / name: text for name, text in render_otava(found).items()})
    print_trends(found, console_beside(options.json, options.page))
    return ExitCode.PASS


def check(options: argparse.Namespace) -> int:
    """Print the changes and return whether one is a regression.

    Raises:
        OutputRefused: an output cannot be written.
        HistoryError: the history is missing or damaged.
        OSError: an output cannot be written.
    """
    check_outputs({"--json": options.json})
    found = _read(options.history)
    if options.json is not None:
        write_output(options.json, _as_text(found))
    print_changes(found, console_beside(options.json))
    trends = [trend for one in found if one.is_current for trend in one.trends]
    if any(trend.regression for trend in trends):
        return ExitCode.BUDGET_BROKEN
    if all(trend.unsearched for trend in trends):
        _say(f"nothing was checked: a figure needs {FEWEST} runs of one load on one machine")
        return ExitCode.INCONCLUSIVE
    return ExitCode.PASS


def _read(path: Path) -> list[GroupTrends]:
    rows = read_history(path)
    if not rows:
        raise HistoryError(path, "holds no run; add one with: tidegate history add RUN")
    return trends_of(rows)


def _as_text(found: Sequence[GroupTrends]) -> str:
    return json.dumps(trends_as_json(found), indent=2, ensure_ascii=False) + "\n"


def _say(words: str) -> None:
    Console(stderr=True, soft_wrap=True).print(words, markup=False, highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reports.history", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    adding = actions.add_parser("add", help="append a run")
    adding.add_argument("run", type=Path, help="a run directory")
    adding.add_argument("--commit", help="the commit that was measured")
    for name, words in (("show", "print trends"), ("check", "find changes")):
        actions.add_parser(name, help=words).add_argument("--json", type=Path, help="write here")
    showing = actions.choices["show"]
    showing.add_argument("--page", type=Path, help="write a page here")
    showing.add_argument("--otava", type=Path, help="write files for Apache Otava into this folder")
    for action in actions.choices.values():
        action.add_argument("--history", type=Path, required=True, help="the file of past runs")
    return parser
