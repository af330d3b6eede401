"""``python -m reports.compare --base RUN… --head RUN…``: judge stored blocks.

Prints the comparison and writes the outputs named by options. The exit code is a
``loadtests.results.ExitCode``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console

from loadtests.results import SCENARIO, ExitCode
from reports.compare.blocks import Block, read_blocks
from reports.compare.outcome import Comparison, compare_blocks
from reports.compare.screen import print_comparison, render_comparison
from reports.files import write_whole
from reports.github import annotate, append_summary, is_github
from reports.junit import add_suite, as_text
from reports.report_errors import ReportError
from scenarios.overlay import read_overlay
from scenarios.schema import ScenarioError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        over = read_overlay(options.budgets) if options.budgets else ()
        base, head = read_blocks(options.base), read_blocks(options.head)
        found = compare_blocks(base, head, over)
        _write(found, options)
    except (ReportError, ScenarioError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename} cannot be written: {error.strerror}")
    print_comparison(found, Console())
    _tell_github(found, head, os.environ)
    return found.exit_code


def _write(found: Comparison, options: argparse.Namespace) -> None:
    if options.json is not None:
        content = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
        write_whole(options.json, content + "\n")
    if options.junit is not None:
        root = ET.Element("testsuites")
        name = f"tidegate.compare.{found.scenario}"
        add_suite(root, name, found.decisions, found.circumstances)
        write_whole(options.junit, as_text(root))
    if options.summary is not None:
        write_whole(options.summary, render_comparison(found))


def _tell_github(found: Comparison, head: Sequence[Block], environment: Mapping[str, str]) -> None:
    if not is_github(environment):
        return
    run = head[0].run
    scenario = str(run.manifest.part("files").get("scenario") or run.directory / SCENARIO)
    for line in annotate(found.decisions, scenario, environment):
        print(line)  # noqa: T201 - a workflow command is a line on standard output
    append_summary(render_comparison(found), environment)


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
    parser.add_argument("--json", type=Path, help="write compare.json here")
    parser.add_argument("--junit", type=Path, help="write JUnit XML here")
    parser.add_argument("--summary", type=Path, help="write Markdown here")
    return parser


def _complain(words: str) -> int:
    Console(stderr=True).print(f"tidegate compare: {words}", markup=False, soft_wrap=True)
    return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main())
