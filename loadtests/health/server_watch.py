"""``ServerWatch``: starts the process that watches the gateway, and reads its lines."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gevent import subprocess

from loadtests.health.node_totals import NodeTotals
from loadtests.health.server_watch_process import WatchLost
from loadtests.plan.nodes import RunNode
from loadtests.processes import child_environment, own_command

WATCH_LOG: Final = "serverwatch.log"
STOP_S: Final = 2.0


class ServerWatch:
    """The watch of one run. Its process logs to ``logs/serverwatch.log``.

    Args:
        nodes: the gateways.
        logs: the run's folder of logs.
        metrics_token: opens the gateways' metrics; None when they are open.
        on_whole_seconds: whether it reads at whole seconds of the monotonic clock; otherwise once a
            second from its start.

    Attributes:
        unmeasured: messages on what could not be measured so far.
        of_nodes: the columns of ``server`` of each node in the newest reading.
    """

    def __init__(
        self,
        nodes: Sequence[RunNode],
        logs: Path,
        metrics_token: str | None = None,
        *,
        on_whole_seconds: bool = False,
    ) -> None:
        self.unmeasured: set[str] = set()
        self.of_nodes: list[dict[str, Any]] = []
        self._nodes = nodes
        self._totals = NodeTotals(len(nodes))
        self._log = (logs / WATCH_LOG).open("ab")
        self._process: Any = subprocess.Popen(
            own_command("loadtests.health.server_watch_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=child_environment(os.environ),
            # A Ctrl-C in the terminal is for the run, which then ends the watch.
            start_new_session=True,
        )
        self._gaps_until_ns = [0] * len(nodes)
        told = [{"url": node.url, "pid": node.pid} for node in nodes]
        self._tell(
            {"nodes": told, "metrics_token": metrics_token, "on_whole_seconds": on_whole_seconds}
        )

    def follow(self, pid: int, node: int = 0) -> None:
        """Read another process from now on: a node has restarted at the same address.

        Figures of a single gateway that count from a process's start (CPU time, messages) restart
        with it.
        """
        self._tell({"node": node, "pid": pid})

    def expect_gap(self, until_ns: int, node: int = 0) -> None:
        """Expect no answers until a time, monotonic: a command is about to end a node.

        Until then a reading without an answer has no figures, and is no error.
        """
        self._gaps_until_ns[node] = until_ns
        self._tell({"node": node, "gap_until_ns": until_ns})

    def read(self) -> tuple[int, dict[str, object]]:
        """Wait for the next reading. Returns its time, monotonic ns, and the columns of ``server``.

        The columns are those of all nodes together.

        Raises:
            OSError: a node did not answer, and no gap was expected.
            WatchLost: the watch process has ended.
        """
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise WatchLost(f"the watch on the gateway ended; see {WATCH_LOG}")
        said = json.loads(line)
        at_ns = int(said["at_ns"])
        self.of_nodes = [dict(each["figures"]) for each in said["nodes"]]
        for node, each, gap_ns in zip(self._nodes, said["nodes"], self._gaps_until_ns, strict=True):
            self.unmeasured |= set(each["unmeasured"])
            if each["error"] is not None and at_ns >= gap_ns:
                raise OSError(each["error"] if self.is_single else f"{node.name}: {each['error']}")
        return at_ns, self.of_nodes[0] if self.is_single else self._totals.add(self.of_nodes)

    @property
    def is_single(self) -> bool:
        """Whether one gateway is watched."""
        return len(self._nodes) == 1

    def _tell(self, order: Mapping[str, object]) -> None:
        with suppress(BrokenPipeError):  # the next reading reports its end
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process by closing its input. Idempotent."""
        if self._log.closed:
            return
        self._log.close()
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # its end was collected elsewhere
                self._process.kill()
        self._process.stdout.close()
