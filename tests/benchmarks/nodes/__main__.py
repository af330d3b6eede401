"""``python -m tests.benchmarks.nodes``: measure, print, keep."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.brokers.redis.log_state import LogAway
from tests.benchmarks.nodes import log_rates, pushes, redis_memory, simulate, text, two_nodes
from tests.benchmarks.nodes.ground import Ground, Lengths, RedisServer
from tests.benchmarks.nodes.rows import ROWS
from tests.benchmarks.transport.crowd import PeerFailed
from tests.benchmarks.transport.rows import POPULATIONS

_QUICK: Final = Lengths(seconds=1.5, warm_s=0.5, turns=1, publications=20_000, users=1_000)
_FILES: Final = 2 * POPULATIONS["many"] + 400
_REDIS: Final = ("--appendfsync", "everysec")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for.

    Returns:
        0 when the table was printed, whatever it says; 2 when nothing can be measured.
    """
    options = _read(arguments)
    log = Console(stderr=True)
    problem = _prepare(options.shrink)
    if problem:
        log.print(problem)
        return 2
    with _ground(options, log) as (ground, advance):
        if options.simulate:
            _show(options, text.of_simulation(ground, simulate.measure(ground)))
        else:
            stored = _measure(ground, set(options.rows), options.pairs, advance)
            _show(options, text.of_rows(ground, options.rows, options.pairs, stored))
    return 0


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.nodes", description=__doc__, allow_abbrev=False
    )
    keys = [row.key for row in ROWS]
    add = parser.add_argument
    add("--pairs", type=_count, help="how often each side is measured: 5, or 1 with --quick")
    add("--quick", action="store_true", help="short cells and one pair, under 90 seconds")
    words = f"only these: {', '.join(keys)}"
    add("--rows", nargs="+", choices=keys, default=keys, metavar="ROW", help=words)
    words = "predict 10, 100 and 1,000 nodes from 1 and 2, checked against 3 and 4"
    add("--simulate", action="store_true", help=words)
    words = "divide every number of clients and publications: for trying the bench itself"
    add("--shrink", type=_count, default=1, help=words)
    add("--json", type=Path, help="keep every figure here")
    add("--markdown", type=Path, help="write the table here")
    options = parser.parse_args(arguments)
    options.pairs = options.pairs or (1 if options.quick else 5)
    return options


def _count(given: str) -> int:
    number = int(given)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _prepare(shrink: int) -> str:
    """Raise the limit of open files; return why nothing can be measured, or nothing."""
    if shutil.which("redis-server") is None:
        return "redis-server is not on the PATH: install it (Debian: apt install redis-server)"
    needed = _FILES // shrink + _FILES % 400
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"{needed} open files are needed and {hard} allowed: raise ulimit -n, or --shrink"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    return ""


@contextlib.contextmanager
def _ground(
    options: argparse.Namespace, log: Console
) -> Iterator[tuple[Ground, Callable[[], None]]]:
    """Start Redis, and give what the cells share and what notes that a pair is done."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    # No thread of its own beside the measuring loop: it is drawn between cells.
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-nodes-") as folder,
        Progress(*columns, console=log, auto_refresh=False) as progress,
    ):
        task = progress.add_task("starting", total=None if options.simulate else options.pairs)

        def report(words: str) -> None:
            progress.update(task, description=words, refresh=True)
            if not log.is_terminal:
                log.print(f"{time.strftime('%H:%M:%S')} {words}", highlight=False)

        redis = RedisServer(Path(folder), *_REDIS, is_kept=True)
        ground = Ground(
            redis=redis,
            cores=sorted(os.sched_getaffinity(0)),
            folder=Path(folder),
            lengths=replace(_QUICK if options.quick else Lengths(), shrink=options.shrink),
            report=report,
        )
        gc.disable()  # a pause of this process would be read as a gateway's
        try:
            yield ground, lambda: progress.update(task, advance=1, refresh=True)
        finally:
            gc.enable()
            redis.stop()


def _measure(
    ground: Ground, rows: set[str], pairs: int, advance: Callable[[], None]
) -> redis_memory.Stored | None:
    """Measure pair by pair; a step that fails says why, and the others follow."""
    wanted = {row.cell for row in ROWS if row.key in rows}
    stored: list[redis_memory.Stored] = []
    steps: dict[str, tuple[Collection[str], Callable[[], Any]]] = {
        population: (cells, partial(pushes.measure, ground, population, wanted))
        for population, cells in pushes.CELLS.items()
    }
    steps["log"] = ("log",), partial(log_rates.measure, ground)
    steps["two nodes"] = ("two",), partial(two_nodes.measure, ground)
    memory = ("memory",), lambda: stored.append(redis_memory.measure(ground))
    for ground.pair in range(1, pairs + 1):
        due = steps | {"memory of Redis": memory} if ground.pair == 1 else steps
        for name, (cells, measure) in due.items():
            if wanted.isdisjoint(cells):
                continue
            try:
                measure()
            except (PeerFailed, LogAway, OSError, subprocess.SubprocessError) as error:
                words = str(error) or type(error).__name__
                ground.notes.append(
                    {"pair": ground.pair, "peer": "nodes", "stage": name, "failed": words}
                )
                ground.report(f"{name}: {words}")
            gc.collect()
        advance()
    return stored[0] if stored else None


def _show(options: argparse.Namespace, shown: text.Shown) -> None:
    out = Console(width=None if sys.stdout.isatty() else 160)
    for part in shown.parts:
        out.print(part)
    for path in filter(None, (options.json, options.markdown)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        options.json.write_text(json.dumps(shown.kept, indent=1, ensure_ascii=False) + "\n")
    if options.markdown:
        options.markdown.write_text(shown.markdown)


if __name__ == "__main__":
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)  # of the writers' own links
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    sys.exit(main())
