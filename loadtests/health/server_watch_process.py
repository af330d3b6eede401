"""The process that watches the gateway: it reads the figures once a second, apart from the load.

``python -m loadtests.health.server_watch_process`` takes a line of JSON on standard input
(``nodes``, each with ``url`` and ``pid``; ``metrics_token``; ``on_whole_seconds``), writes a line
for each reading, and ends when its input ends. Later lines have the place of a ``node``, with
``gap_until_ns`` before it restarts and ``pid`` after it.

Reading metrics and a process's memory takes ten milliseconds. In the process that reads pushes,
that would delay pushes. This process has a low priority, so it yields its core.

RuntimeError
└── WatchLost        the process exited early: the gateway's figures have a hole
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from loadtests.health.server_probe import ServerProbe
from loadtests.health.time_slice import USUAL_SLICE, ask_for_slices
from loadtests.plan.turns import whole_second

SECOND_NS: Final = 1_000_000_000
NICENESS: Final = 10
_READ_BYTES: Final = 4_096


class WatchLost(RuntimeError):  # noqa: N818 - a state, not a mistake of the program
    """The watch process has ended, and the gateway is no longer read."""


class Orders:
    """Reads lines from standard input. Python's own reader would buffer some out of sight."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.has_ended = False

    def wait(self, wait_s: float | None) -> list[dict[str, Any]]:
        """Return the orders that arrive within ``wait_s``; None waits for ever."""
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return []
        data = os.read(self._descriptor, _READ_BYTES)
        self.has_ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def read_second(at_ns: int, probe: ServerProbe) -> dict[str, Any]:
    """Return one node's reading: the figures or the error, and what is unmeasured."""
    line: dict[str, Any] = {"figures": {}, "error": None}
    try:
        line["figures"] = probe.read(at_ns)
    except OSError as error:
        line["error"] = str(error)
    return {**line, "unmeasured": sorted(probe.unmeasured)}


def main() -> int:
    """Run the process. Returns its exit code."""
    orders = Orders(sys.stdin.fileno())
    said: list[dict[str, Any]] = []
    while not said:
        said = orders.wait(None)
        if orders.has_ended:
            return 0
    os.nice(NICENESS)
    ask_for_slices(USUAL_SLICE)
    token = said[0]["metrics_token"]
    probes = [ServerProbe(**node, metrics_token=token) for node in said[0]["nodes"]]
    _obey(probes, said[1:])
    try:
        with ThreadPoolExecutor(len(probes)) as readers:
            _read_on(probes, orders, readers, is_whole=said[0]["on_whole_seconds"])
    except BrokenPipeError:
        # The reader has ended. The interpreter must not flush to the pipe when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _read_on(
    probes: Sequence[ServerProbe], orders: Orders, readers: ThreadPoolExecutor, *, is_whole: bool
) -> None:
    """Read all nodes at once each second, at whole ones if told so, until the input ends."""
    read_all = map if len(probes) == 1 else readers.map
    due_ns = _from_now_ns(is_whole=is_whole)
    while True:
        while (wait_ns := due_ns - time.monotonic_ns()) > 0:
            _obey(probes, orders.wait(wait_ns / SECOND_NS))
            if orders.has_ended:
                return
        _obey(probes, orders.wait(0))
        if orders.has_ended:
            return
        at_ns = time.monotonic_ns()
        line = {"at_ns": at_ns, "nodes": list(read_all(partial(read_second, at_ns), probes))}
        print(json.dumps(line), flush=True)  # noqa: T201 - to the parent process
        # A missed reading is not made up for: two in one second would count as two seconds.
        due_ns = max(due_ns + SECOND_NS, _from_now_ns(is_whole=is_whole))


def _from_now_ns(*, is_whole: bool) -> int:
    now_ns = time.monotonic_ns()
    return whole_second(now_ns) if is_whole else now_ns


def _obey(probes: Sequence[ServerProbe], orders: list[dict[str, Any]]) -> None:
    for order in orders:
        probe = probes[order["node"]]
        if "pid" in order:
            probe.follow(int(order["pid"]))
        if "gap_until_ns" in order:
            probe.expect_gap(int(order["gap_until_ns"]))


if __name__ == "__main__":
    raise SystemExit(main())
