"""``python -m tests.nodes.proof``: do each fault of the table to real nodes, and keep what it did.

``--only WORDS`` does those whose name has the words, and ``--small`` takes the size of the tests;
``--json FILE`` keeps the rows, and ``--markdown FILE`` gets the table that ``docs/generate.py``
makes of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from loadtests.processes import PROJECT
from loadtests.record.manifest import read_json, write_json
from tests.proof.__main__ import tree_id

sys.path[:0] = [str(PROJECT / "tests" / "support"), str(PROJECT / "docs")]

from node_faults import with_table  # noqa: E402 - needs the path above

from tests.nodes.faults.cluster import SMALL, Size  # noqa: E402 - as above
from tests.nodes.faults.table import FAULTS  # noqa: E402 - as above
from tests.nodes.faults.trial import Row, problems, run_trial  # noqa: E402 - as above

_REAL_PAUSE_S: Final = 0.1
_MANY: Final = 1_000
_MANY_PAUSE_S: Final = 0.5


def main() -> int:
    """Do the faults; return 0 if no row has a problem."""
    parser = argparse.ArgumentParser(description="Do faults to nodes with a real Redis.")
    parser.add_argument("--only", action="append", metavar="WORDS", help="of the fault's name")
    parser.add_argument("--small", action="store_true", help="the size of the tests")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="document with the table of all rows")
    options = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    rows: list[Row] = []
    wrong = 0
    for fault in FAULTS:
        if options.only and not any(words in fault.name for words in options.only):
            continue
        many = fault.real_clients >= _MANY
        real = Size(fault.real_clients, _MANY_PAUSE_S if many else _REAL_PAUSE_S, is_real=True)
        with tempfile.TemporaryDirectory(prefix="tidegate-faults-") as folder:
            try:
                row = asyncio.run(run_trial(fault, SMALL if options.small else real, Path(folder)))
            except (AssertionError, TimeoutError) as error:  # the others are tried all the same
                wrong += 1
                console.print(f"{fault.name}: not finished: {error!r:.400}", markup=False)
                continue
        row |= {"load": round(os.getloadavg()[0], 1), "tree": tree_id()}
        rows.append(row)
        wrong += bool(problems(row))
        console.print(f"{fault.name}: {problems(row) or 'held'} {row}", markup=False)
        if options.json:
            _keep(options.json, rows)
            if options.markdown:
                text = with_table(options.markdown.read_text("utf-8"), options.json)
                options.markdown.write_text(text, "utf-8")
    console.print(f"{len(rows)} faults, {wrong} with problems", markup=False)
    return 1 if wrong else 0


def _keep(path: Path, rows: list[Row]) -> None:
    """Write the rows into a file, in place of those of the same faults."""
    new = {row["fault"] for row in rows}
    held = [row for row in (read_json(path) or {}).get("rows", []) if row["fault"] not in new]
    order = [fault.name for fault in FAULTS]
    kept = sorted([*held, *rows], key=lambda row: order.index(row["fault"]))
    kernel = f"Linux {platform.release().partition('-')[0]}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {kernel}"
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    write_json(path, {"day": day, "machine": machine, "rows": kept})


if __name__ == "__main__":
    sys.exit(main())
