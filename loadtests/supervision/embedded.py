"""The embedded gateway: start it, restart it when the scenario orders that, stop it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.contract import LISTENING_LINE
from loadtests.record.gateway_orders import GatewayExit, GatewayOrder, read_orders, write_exits
from loadtests.supervision.children import Child


class EmbeddedGateway:
    """The gateway process of a run, and its successors at the same address.

    Args:
        command: starts the gateway.
        environment: of the process; the first one picks its port (``PORT=0``).
        logs: the run's folder of logs.
        cores: the cores it may use; None allows all.
        name: of the gateway, for messages.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        cores: frozenset[int] | None,
        *,
        name: str = "gateway",
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._logs = logs
        self._cores = cores
        self._exits: list[GatewayExit] = []
        self._is_gone = False
        self._port = "0"
        self._children: list[Child] = []
        self._start()

    @property
    def pid(self) -> int:
        """The id of the newest process."""
        return self._child.pid

    @property
    def log(self) -> Path:
        """The log of the newest process."""
        return self._child.log

    @property
    def exit_code(self) -> int | None:
        """The newest process's exit code; None while it runs."""
        return self._child.exit_code

    @property
    def has_died(self) -> bool:
        """Whether it ended without an order."""
        return not self._is_gone and self.exit_code is not None and self._order() is None

    @property
    def is_ordered(self) -> bool:
        """Whether its end was ordered and has not happened yet."""
        return not self._is_gone and self._order() is not None

    def await_address(self, timeout_s: float) -> str:
        """Return the gateway's URL once it listens.

        Raises:
            ChildFailed: it ended or timed out before.
        """
        url = self._child.wait_for_line(LISTENING_LINE, timeout_s)
        self._port = url.rpartition(":")[2].rstrip("/")
        return url

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        return self._child.last_lines()

    def tend(self, *, is_over: bool = False) -> None:
        """Record an ordered end, and start the next gateway if the order says so.

        Args:
            is_over: whether the run is over and needs no other gateway.
        """
        code, order = self.exit_code, self._order()
        if self._is_gone or code is None or order is None:
            return
        exited_ns = time.monotonic_ns()
        self._exits.append(
            GatewayExit(asked_ns=order.asked_ns, exited_ns=exited_ns, exit_code=code)
        )
        if order.do == "restart" and not is_over:
            self._start()
        else:
            self._is_gone = True
        write_exits(self._logs, None if self._is_gone else self.pid, self._exits)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not wait."""
        self._child.ask_to_stop()

    def stop(self, timeout_s: float) -> bool:
        """Stop the gateway; return whether SIGTERM did."""
        self.ask_to_stop()
        return self.finish(timeout_s)

    def finish(self, timeout_s: float) -> bool:
        """Wait for the end, with SIGKILL after the timeout; return whether it came before."""
        was_in_order = self._child.finish(timeout_s)
        self.tend(is_over=True)
        return was_in_order

    def end_group(self) -> None:
        """Kill what any of its processes left behind."""
        for child in self._children:
            child.end_group()

    @property
    def _child(self) -> Child:
        return self._children[-1]

    def _start(self) -> None:
        number = len(self._children) + 1
        log = self._logs / ("gateway.log" if number == 1 else f"gateway-{number}.log")
        environment = {**self._environment, "PORT": self._port}
        self._children.append(
            Child(self.name, self._command, log=log, environment=environment, cores=self._cores)
        )

    def _order(self) -> GatewayOrder | None:
        """Return the order to end the newest process; None without one."""
        return next((order for order in read_orders(self._logs) if order.pid == self.pid), None)
