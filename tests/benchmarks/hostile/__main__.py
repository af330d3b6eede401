"""``python -m tests.benchmarks.hostile``: measure what hostile clients do, print it, keep it."""

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
from typing import Final

from rich.console import Console

from tests.benchmarks.hostile import bystanders, endings, findings, mass_drop, stopped_reader
from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.findings import Finding, Verdict
from tests.benchmarks.hostile.market import Bench
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
    if _DROP in options.only:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < _FILES:
            log.print(f"{_FILES} open files are needed, {hard} allowed: raise ulimit -n, or --only")
            return 2
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _FILES), hard))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    gc.disable()  # a pause of this process would be read as the gateway's
    try:
        with tempfile.TemporaryDirectory(prefix="tidegate-hostile-") as folder:
            found = _measure(options, Bench(core=cores[0], folder=Path(folder)), log)
    finally:
        gc.enable()
        os.sched_setaffinity(0, cores)
    _show(options, found, cores)
    return 0


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.hostile", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--pairs", type=_count, default=6, help="pairs of cells, with and without each attack")
    add("--seconds", type=float, default=4.0, help="measured part of each of those cells")
    add("--patience", type=_count, default=5, help="how often to repeat a cell the host disturbed")
    words = f"measure only these: {', '.join(KEYS)}"
    add("--only", nargs="+", choices=KEYS, default=KEYS, metavar="ROW", help=words)
    add("--json", type=Path, help="write every figure here")
    add("--markdown", type=Path, help="write the table here")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _measure(options: argparse.Namespace, bench: Bench, log: Console) -> list[Finding]:
    """Measure row by row; a row that fails says why, and the others follow."""

    def report(text: str) -> None:
        log.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False)

    tasks: dict[str, Callable[[], list[Finding]]] = {}
    attacks = [key for key in ATTACKS if key in options.only]
    if attacks:
        lengths = options.pairs, options.seconds, options.patience
        tasks["bystanders"] = partial(bystanders.measure, bench, attacks, *lengths, report)
    tasks |= {key: partial(row, bench) for key, row in _SINGLE.items() if key in options.only}
    if _DROP in options.only:
        tasks[_DROP] = partial(mass_drop.measure, bench, options.pairs, report)
    found = []
    for key, task in tasks.items():
        report(key)
        try:
            found += task()
        except (PeerFailed, OSError, subprocess.SubprocessError) as error:
            words, verdict = str(error) or type(error).__name__, Verdict.UNMEASURED
            found.append(Finding(key=key, title=key, measured=words, promise="", verdict=verdict))
        gc.collect()
    return found


def _show(options: argparse.Namespace, found: Sequence[Finding], cores: Sequence[int]) -> None:
    kept = {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": document.machine(),
        "cores": {"server": cores[0], "client": cores[-1]},
        "pairs": options.pairs,
        "findings": [asdict(finding) for finding in found],
    }
    words, notes = document.in_words(kept), doubts(found)
    out = Console(width=None if sys.stdout.isatty() else 180)
    out.print(findings.for_terminal(found))
    out.print(words)
    for note in notes:
        out.print(f"· {note}", markup=False)
    for path in filter(None, (options.json, options.markdown)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    if options.markdown:
        options.markdown.write_text(findings.for_documents(found, words, notes))


def doubts(found: Sequence[Finding]) -> list[str]:
    """Return what else was busy while bystanders were measured."""
    shares = [one.figures.get("others_share", 0) for one in found]
    notes = [
        f"other processes used {share:.0%} of a core beside the cells without an attack: "
        "intervals are wider than the gateway makes them"
        for share in shares
        if share > _BUSY_SHARE
    ]
    disturbed = sum(one.figures.get("disturbed_cells", 0) for one in found)
    if disturbed:
        notes.append(f"in {disturbed} cells the host left too few ticks alone: there all count")
    return notes


if __name__ == "__main__":
    sys.exit(main())
