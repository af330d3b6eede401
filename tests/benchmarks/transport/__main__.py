"""``python -m tests.benchmarks.transport``: measure, print, keep."""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.benchmarks.transport import chart, document, table
from tests.benchmarks.transport.peers import Peer, find_peers
from tests.benchmarks.transport.rows import (
    BASE,
    GROWTH,
    OURS,
    POPULATIONS,
    ROWS,
    Answer,
    add_growth,
    against_base,
    answer,
    sized,
)
from tests.benchmarks.transport.stages import Lengths, Run

_QUICK: Final = Lengths(seconds=2.0, warm_s=0.5, ping_s=2.0, is_quick=True)
_FILES_BESIDE_CLIENTS: Final = 200
_WITHOUT_ASKING: Final = ("tidegate", "node", "stock", "floor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for.

    Returns:
        0 when the table was printed, whatever it says; 2 when nothing can be measured.
    """
    options = _read(arguments)
    log = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        peers = _choose_peers(options, Path(folder), log)
        problem = _prepare(peers, options.shrink)
        if problem:
            log.print(problem)
            return 2
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[-1]})
        try:
            run = _measure(options, peers, cores[0], Path(folder), log)
        finally:
            os.sched_setaffinity(0, cores)
    rows = [sized(row, options.shrink) for row in ROWS if row.key in options.rows]
    if options.base:
        rows = [against_base(row) for row in rows]
    answers = [answer(row, run.figures) for row in rows]
    _show(options, run, answers, cores, log)
    return 0


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.transport", description=__doc__, allow_abbrev=False
    )
    keys = [row.key for row in ROWS]
    parser.add_argument("--pairs", type=_count, default=5, help="how often each peer is measured")
    parser.add_argument("--quick", action="store_true", help="short cells, for a quick version")
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=keys,
        default=keys,
        metavar="ROW",
        help=f"only these: {', '.join(keys)}",
    )
    parser.add_argument(
        "--peers", nargs="+", metavar="PEER", help="only these; by default all that can run here"
    )
    parser.add_argument(
        "--shrink",
        type=_count,
        default=1,
        help="divide every number of clients: for trying the bench itself",
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="CHECKOUT",
        help="compare with the gateway of another checkout, and with no other peer unless --peers",
    )
    parser.add_argument("--json", type=Path, help="keep every figure here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--chart", type=Path, help="draw the picture here, .svg or .png")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _choose_peers(options: argparse.Namespace, built: Path, log: Console) -> list[Peer]:
    """Return the peers that are asked for and can run; say what the others lack."""
    chosen = []
    asked = options.peers or ([OURS, BASE] if options.base else [])
    for peer in find_peers(options.base, built):
        if asked and peer.key not in asked:
            continue
        if not peer.missing:
            chosen.append(peer)
        elif asked or peer.key in _WITHOUT_ASKING:
            log.print(f"without {peer.title}: {peer.missing}")
    return chosen


def _prepare(peers: Sequence[Peer], shrink: int) -> str:
    """Raise the limit of open files; return why nothing can be measured, or nothing."""
    if not peers:
        return "no peer can be measured here"
    needed = max(POPULATIONS.values()) // shrink + _FILES_BESIDE_CLIENTS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"{needed} open files are needed and {hard} allowed: raise ulimit -n, or --shrink"
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return ""


def _measure(
    options: argparse.Namespace, peers: Sequence[Peer], core: int, folder: Path, log: Console
) -> Run:
    lengths = replace(_QUICK if options.quick else Lengths(), shrink=options.shrink)
    # No thread of its own beside the measuring loop: it is drawn between cells.
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=log, auto_refresh=False) as progress:
        task = progress.add_task("starting", total=options.pairs)

        def report(text: str) -> None:
            progress.update(task, description=text, refresh=True)
            if not log.is_terminal:
                log.print(f"{time.strftime('%H:%M:%S')} {text}")

        run = Run(
            peers=peers,
            wanted=_cells(options),
            lengths=lengths,
            server_core=core,
            folder=folder,
            report=report,
        )
        gc.disable()  # a pause of this process would be read as a peer's
        try:
            for number in range(1, options.pairs + 1):
                run.pair(number)
                gc.collect()
                progress.update(task, advance=1, refresh=True)
        finally:
            gc.enable()
    add_growth(run.figures)
    return run


def _cells(options: argparse.Namespace) -> set[str]:
    keys = set(options.rows)
    if GROWTH[0] in keys:
        keys |= set(GROWTH)
    return {row.cell for row in ROWS if row.key in keys} - {""}


def _show(
    options: argparse.Namespace,
    run: Run,
    answers: Sequence[Answer],
    cores: Sequence[int],
    log: Console,
) -> None:
    kept = document.describe(run, answers, options.pairs, cores)
    words = document.in_words(kept)
    notes = document.limits_reached(run.notes)
    ceiling = document.client_ceiling(run.notes)
    if ceiling is not None:
        notes.insert(0, f"the measuring client's own ceiling: about {ceiling:,.0f} messages/s")
    out = Console(width=None if sys.stdout.isatty() else 160)
    out.print(table.for_terminal(answers, run.peers))
    out.print(words)
    for note in notes:
        out.print(f"· {note}", markup=False)
    if any(peer.key == OURS and peer.version.endswith("+") for peer in run.peers):
        out.print("· the gateway's checkout holds changes that are not committed")
    for path in filter(None, (options.json, options.markdown, options.chart)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    if options.markdown:
        options.markdown.write_text(table.for_documents(answers, run.peers, words, notes))
    if options.chart and not chart.draw(answers, run.peers, words, options.chart):
        log.print("nothing to draw: none of these rows is in the chart")


if __name__ == "__main__":
    sys.exit(main())
