"""``RunNodes``: the gateways of a run: their figures, and the commands that end them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from loadtests.health.server_watch import ServerWatch
from loadtests.plan.nodes import RunNode, folder_of
from loadtests.plan.schedule import SECOND_NS
from loadtests.record.gateway_orders import RESTARTED_WITHIN_S, OrderedGateway
from loadtests.record.recording import Recorder
from loadtests.results import NODE_COLUMNS

_NEVER_S: Final = 86_400.0


class RunNodes:
    """One gateway, or several nodes.

    Args:
        nodes: the gateways.
        logs: the run's folder of logs.
        metrics_token: opens the gateways' metrics; None when they are open.
        recorder: gets a row a second of each of several nodes.
        on_whole_seconds: whether they are read at whole seconds of the monotonic clock.

    Attributes:
        watch: reads their figures.
    """

    def __init__(
        self,
        nodes: Sequence[RunNode],
        logs: Path,
        metrics_token: str | None,
        recorder: Recorder,
        *,
        on_whole_seconds: bool = False,
    ) -> None:
        self.watch = ServerWatch(nodes, logs, metrics_token, on_whole_seconds=on_whole_seconds)
        self._nodes = nodes
        self._recorder = recorder
        self._gateways = [
            OrderedGateway(folder_of(logs, place, len(nodes)), node.pid)
            for place, node in enumerate(nodes)
        ]

    @property
    def are_gone(self) -> bool:
        """Whether all were terminated, so that no gateway follows."""
        return all(gateway.is_gone for gateway in self._gateways)

    def read(self) -> tuple[int, dict[str, object]]:
        """Wait for the next figures, and record each of several nodes by itself.

        Returns:
            Their time, monotonic ns, and the columns of ``server``, of all nodes together.

        Raises:
            OSError: a node did not answer, and no gap was expected.
            WatchLost: the watch process has ended.
        """
        at_ns, figures = self.watch.read()
        for name, own in self.figures().items():
            columns = {column: own[column] for column in NODE_COLUMNS if column in own}
            if columns:
                self._recorder.row("nodes", at_ns, {"node": name, **columns})
        return at_ns, figures

    def figures(self) -> dict[str, dict[str, object]]:
        """Return the newest figures of each of several nodes; none for one gateway."""
        told = () if self.watch.is_single else self.watch.of_nodes
        return {node.name: own for node, own in zip(self._nodes, told, strict=False)}

    def others_answer(self, number: int) -> bool:
        """Return whether all other nodes that were not terminated answered a second ago.

        Args:
            number: of the node that may be away, from 1.
        """
        told = self.figures()
        return all(
            place + 1 == number or gateway.is_gone or bool(told.get(node.name))
            for place, (node, gateway) in enumerate(zip(self._nodes, self._gateways, strict=True))
        )

    def order(self, do: str, at_ns: int, number: int) -> Iterator[str]:
        """Terminate or restart gateways, and yield words on each that had ended before.

        Args:
            do: the command.
            at_ns: when it is given, monotonic.
            number: of the node, from 1; 0 for all that have not been terminated.

        Raises:
            RuntimeError: the gateway is not ours.
        """
        patience_s = RESTARTED_WITHIN_S if do == "restart" else _NEVER_S
        for place, gateway in enumerate(self._gateways):
            if number not in (0, place + 1) or (gateway.is_gone and not self.watch.is_single):
                continue
            self.watch.expect_gap(time.monotonic_ns() + round(patience_s * SECOND_NS), place)
            if not gateway.order(do, at_ns):
                yield f"the {self._nodes[place].name} had ended before the command to {do} it"

    def follow(self) -> None:
        """Read the processes that have replaced restarted ones."""
        for place, gateway in enumerate(self._gateways):
            pid = gateway.follow()
            if pid is not None:
                self.watch.follow(pid, place)
