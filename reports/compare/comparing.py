"""``python -m reports.compare --base RUN… --head RUN…``: judge stored blocks.

Prints the comparison and writes the outputs named by options. The exit code is a
``loadtests.results.ExitCode``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from loadtests.ending import run_command
from loadtests.outputs import OutputRefused, check_outputs, write_output
from loadtests.results import SCENARIO
from reports.comment import render_comment
from reports.compare.blocks import read_sides
from reports.compare.outcome import Comparison, compare_blocks
from reports.compare.screen import print_comparison, render_comparison
from reports.gate import console_beside
from reports.github import annotate, is_github, tell_step
from reports.junit import add_suite, as_text
from reports.report_errors import ReportError
from reports.run_frames import RunFrames
from scenarios.overlay import read_overlay
from scenarios.schema import ScenarioError

_OUTPUTS: Final = {
    "json": "compare.json",
    "junit": "JUnit XML",
    "summary": "Markdown",
    "comment": "the text of a comment",
}
"""The files that the command writes, by option, with what each holds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        "tidegate compare", lambda: _compare(options), OutputRefused, ReportError, ScenarioError
    )


def _compare(options: argparse.Namespace) -> int:
    outputs = {f"--{name}": getattr(options, name) for name in _OUTPUTS}
    check_outputs(outputs)
    over = read_overlay(options.budgets) if options.budgets else ()
    base, head = read_sides(options.base, options.head)
    found = compare_blocks(base, head, over, options.looks)
    _write(found, head[0].run, options)
    console = console_beside(*outputs.values())
    print_comparison(found, console)
    if is_github(os.environ):
        scenario = head[0].run.manifest.part("files").get("scenario")
        lines = annotate(
            found.decisions, str(scenario or head[0].run.directory / SCENARIO), os.environ
        )
        tell_step(lines, render_comparison(found), os.environ, console.file)
    return found.exit_code


def _write(found: Comparison, head: RunFrames, options: argparse.Namespace) -> None:
    if options.json is not None:
        content = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
        write_output(options.json, content + "\n")
    if options.junit is not None:
        root = ET.Element("testsuites")
        name = f"tidegate.compare.{found.scenario}"
        add_suite(root, name, head, found.decisions, found.circumstances, found.length_s)
        write_output(options.junit, as_text(root))
    if options.summary is not None:
        write_output(options.summary, render_comparison(found))
    if options.comment is not None:
        write_output(options.comment, render_comment([render_comparison(found)]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports.compare",
        description="Compare the blocks of head with those of base.",
    )
    runs = "a run directory, or a directory of runs; several may be given"
    parser.add_argument("--base", type=Path, nargs="+", required=True, help=runs)
    parser.add_argument("--head", type=Path, nargs="+", required=True, help=runs)
    parser.add_argument(
        "--budgets", type=Path, help="TOML file of budgets to lay over the head's own"
    )
    parser.add_argument(
        "--looks",
        type=int,
        nargs="+",
        default=(),
        metavar="PAIRS",
        help="pairs at each look of a comparison that goes on",
    )
    for name, words in _OUTPUTS.items():
        parser.add_argument(f"--{name}", type=Path, help=f"write {words} here")
    return parser
