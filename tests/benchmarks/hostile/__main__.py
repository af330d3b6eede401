"""``python -m tests.benchmarks.hostile``: measure, print, keep."""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.benchmarks.hostile import bystanders, endings, mass_drop, stopped_reader, table
from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.gateways import Bench
from tests.benchmarks.hostile.verdicts import Finding, Verdict
from tests.benchmarks.transport import document
from tests.benchmarks.transport.crowd import PeerFailed

FORMAT: Final = 1
_SINGLE: Final[dict[str, Callable[[Bench], list[Finding]]]] = {
    "stopped-reader": stopped_reader.measure,
    "stop": endings.measure_stop,
    "kick": endings.measure_kick,
    "expiry": endings.measure_expiry,
}
_DROP: Final = "mass-drop"
KEYS: Final = (*ATTACKS, "stopped-reader", _DROP, "stop", "kick", "expiry")
_FILES: Final = max(mass_drop.SIZES) + 1_000
_BUSY_SHARE: Final = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for.

    Returns:
        0 when the table was printed, whatever it says; 2 when nothing can be measured.
    """
    options = _read(arguments)
    log = Console(stderr=True)
    problem = _allow_files() if _DROP in options.only else ""
    if problem:
        log.print(problem)
        return 2
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    gc.disable()  # a pause of this process would be read as the gateway's
    try:
        with tempfile.TemporaryDirectory(prefix="tidegate-hostile-") as folder:
            findings = _measure(options, Bench(core=cores[0], folder=Path(folder)), log)
    finally:
        gc.enable()
        os.sched_setaffinity(0, cores)
    _show(options, findings, cores)
    return 0


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.hostile", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--pairs", type=_count, default=6, help="of cells with and without each hostile client"
    )
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="measured of each of those cells"
    )
    parser.add_argument(
        "--patience",
        type=_count,
        default=5,
        help="how often a cell is measured again that the host disturbed",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=KEYS,
        default=KEYS,
        metavar="ROW",
        help=f"only these: {', '.join(KEYS)}",
    )
    parser.add_argument("--json", type=Path, help="keep every figure here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _allow_files() -> str:
    """Raise the limit of open files; return why it cannot be raised, or nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        return f"{_FILES} open files are needed and {hard} allowed: raise ulimit -n, or --only"
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return ""


def _measure(options: argparse.Namespace, bench: Bench, log: Console) -> list[Finding]:
    """Measure row by row; one that fails says why, and the others follow."""

    def report(text: str) -> None:
        log.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False)

    attacks = [key for key in ATTACKS if key in options.only]
    tasks: list[tuple[str, Callable[[], list[Finding]]]] = []
    if attacks:
        lengths = options.pairs, options.seconds, options.patience
        row = partial(bystanders.measure, bench, attacks, *lengths, report)
        tasks.append(("bystanders", row))
    tasks += [(key, partial(row, bench)) for key, row in _SINGLE.items() if key in options.only]
    if _DROP in options.only:
        tasks.append((_DROP, partial(mass_drop.measure, bench, options.pairs, report)))
    findings = []
    for key, task in tasks:
        report(key)
        findings += _attempt(key, task)
        gc.collect()
    return findings


def _attempt(key: str, task: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return task()
    except (PeerFailed, OSError, subprocess.SubprocessError) as error:
        return [
            Finding(
                key=key,
                title=key,
                measured=str(error) or type(error).__name__,
                promise="",
                verdict=Verdict.UNMEASURED,
            )
        ]


def _show(options: argparse.Namespace, findings: Sequence[Finding], cores: Sequence[int]) -> None:
    kept: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": document.machine(),
        "cores": {"server": cores[0], "client": cores[-1]},
        "pairs": options.pairs,
        "findings": [asdict(finding) for finding in findings],
    }
    words = document.in_words(kept)
    notes = doubts(findings)
    out = Console(width=None if sys.stdout.isatty() else 180)
    out.print(table.for_terminal(findings))
    out.print(words)
    for note in notes:
        out.print(f"· {note}", markup=False)
    for path in filter(None, (options.json, options.markdown)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    if options.markdown:
        options.markdown.write_text(table.for_documents(findings, words, notes))


def doubts(findings: Sequence[Finding]) -> list[str]:
    """Return, in words, what else was busy while bystanders were measured."""
    shares = [
        finding.figures["others_share"] for finding in findings if "others_share" in finding.figures
    ]
    notes = [
        f"other processes used {share:.0%} of a core beside the cells without an attack: "
        "intervals are wider than the gateway makes them"
        for share in shares
        if share > _BUSY_SHARE
    ]
    disturbed = sum(finding.figures.get("disturbed_cells", 0) for finding in findings)
    if disturbed:
        notes.append(f"in {disturbed} cells the host left too few ticks alone: there all count")
    return notes


if __name__ == "__main__":
    sys.exit(main())
