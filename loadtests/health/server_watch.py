"""The watch on the gateway: a process that reads it once a second, apart from the load.

``python -m loadtests.health.server_watch`` takes one line of JSON on standard input (``url``,
``pid``), writes one line with each reading, and ends with its input. Further lines tell of
a gateway that is started anew: ``{"pid": …}``, and ``{"gap_until_ns": …}`` before it.

Asking for metrics and for the kernel's account of a process's memory takes ten
milliseconds: in the process that reads pushes each of them would be a late read. It gives
way to whoever needs its core.

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

from loadtests.health.server_probe import ServerProbe
from loadtests.health.time_slice import USUAL_SLICE, ask_for_slices

SECOND_NS: Final = 1_000_000_000
NICENESS: Final = 10
_READ_BYTES: Final = 4_096


class WatchLost(RuntimeError):  # noqa: N818 - the state of the process, said in words
    """Nobody reads the gateway any more."""


class Orders:
    """The lines of the standard input, as they come; not Python's own reader, which hides some."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.has_ended = False

    def wait(self, wait_s: float | None) -> list[dict[str, Any]]:
        """Wait for lines, at most so long, and return what they say; None waits for ever."""
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return []
        data = os.read(self._descriptor, _READ_BYTES)
        self.has_ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def read_second(probe: ServerProbe, at_ns: int) -> dict[str, Any]:
    """Return one reading as what a line says: when, the figures or the error, what is missing."""
    line: dict[str, Any] = {"at_ns": at_ns, "figures": {}, "error": None}
    try:
        line["figures"] = probe.read(at_ns)
    except OSError as error:
        line["error"] = str(error)
    return {**line, "unmeasured": sorted(probe.unmeasured)}


def main() -> int:
    """Run the process; returns its exit code."""
    orders = Orders(sys.stdin.fileno())
    said: list[dict[str, Any]] = []
    while not said:
        said = orders.wait(None)
        if orders.has_ended:
            return 0
    os.nice(NICENESS)
    ask_for_slices(USUAL_SLICE)
    probe = ServerProbe(**said[0])
    _obey(probe, said[1:])
    try:
        _read_on(probe, orders)
    except BrokenPipeError:
        # Whoever listened is gone; the interpreter must not try to flush to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _read_on(probe: ServerProbe, orders: Orders) -> None:
    """Read each second until the input ends."""
    due_ns = time.monotonic_ns()
    while True:
        while (wait_ns := due_ns - time.monotonic_ns()) > 0:
            _obey(probe, orders.wait(wait_ns / SECOND_NS))
            if orders.has_ended:
                return
        _obey(probe, orders.wait(0))
        if orders.has_ended:
            return
        print(json.dumps(read_second(probe, time.monotonic_ns())), flush=True)  # noqa: T201 - the way to whoever started it
        # What was missed is missed: two readings in one second would be told as two.
        due_ns = max(due_ns + SECOND_NS, time.monotonic_ns())


def _obey(probe: ServerProbe, orders: list[dict[str, Any]]) -> None:
    for order in orders:
        if "pid" in order:
            probe.follow(int(order["pid"]))
        if "gap_until_ns" in order:
            probe.expect_gap(int(order["gap_until_ns"]))


if __name__ == "__main__":
    raise SystemExit(main())
