"""The watch on the gateway: a process that reads it once a second, apart from the load.

``python -m loadtests.serverwatch`` takes one line of JSON on standard input (``url``,
``pid``), writes one line with each reading, and ends with its input. Asking for metrics and
for the kernel's account of a process's memory takes ten milliseconds: in the process that
reads pushes each of them would be a late read. It gives way to whoever needs its core.

RuntimeError
└── WatchLost        the process ended unasked: the gateway's figures have a hole
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any, Final

from loadtests.probes import ServerProbe
from loadtests.timeslice import USUAL_SLICE, ask_for_slices

SECOND_NS: Final = 1_000_000_000
NICENESS: Final = 10


class WatchLost(RuntimeError):  # noqa: N818 - the state of the process, said in words
    """Nobody reads the gateway any more."""


def read_second(probe: ServerProbe, at_ns: int) -> dict[str, Any]:
    """Return one reading as what a line says: when, the figures or the error, what is missing."""
    line: dict[str, Any] = {"at_ns": at_ns, "figures": {}, "error": None}
    try:
        line["figures"] = probe.read()
    except OSError as error:
        line["error"] = str(error)
    return {**line, "unmeasured": sorted(probe.unmeasured)}


def main() -> int:
    """Run the process; returns its exit code."""
    plan = sys.stdin.readline()
    if not plan:
        return 0
    os.nice(NICENESS)
    ask_for_slices(USUAL_SLICE)
    probe = ServerProbe(**json.loads(plan))
    due_ns = time.monotonic_ns()
    try:
        while not _has_input_ended(due_ns):
            print(json.dumps(read_second(probe, time.monotonic_ns())), flush=True)  # noqa: T201 - the way to whoever started it
            # What was missed is missed: two readings in one second would be told as two.
            due_ns = max(due_ns + SECOND_NS, time.monotonic_ns())
    except BrokenPipeError:
        # Whoever listened is gone; the interpreter must not try to flush to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _has_input_ended(due_ns: int) -> bool:
    """Wait until the next reading is due; return whether the input ended before."""
    wait_s = max(0, due_ns - time.monotonic_ns()) / SECOND_NS
    return bool(select.select([sys.stdin], [], [], wait_s)[0])


if __name__ == "__main__":
    raise SystemExit(main())
