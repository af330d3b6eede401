"""The gateway of our own: started, followed through the ends that a scenario orders, stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.contract import LISTENING_LINE
from loadtests.record.gateway_orders import GatewayExit, GatewayOrder, read_orders, write_exits
from loadtests.supervision.children import Child


class EmbeddedGateway:
    """One gateway after the other, all at one address; usually one in all.

    Args:
        command: that starts it.
        environment: of the process; with ``PORT=0`` for the first, which picks the port.
        logs: the run's folder of logs.
        cores: where it may run; None leaves that to the system.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        cores: frozenset[int] | None,
    ) -> None:
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
        """The newest process's exit code, None while it runs."""
        return self._child.exit_code

    @property
    def has_died(self) -> bool:
        """Whether it ended and nobody had ordered that."""
        return not self._is_gone and self.exit_code is not None and self._order() is None

    @property
    def is_ordered(self) -> bool:
        """Whether its end was ordered and has not come."""
        return not self._is_gone and self._order() is not None

    def await_address(self, timeout_s: float) -> str:
        """Return the address when it listens. Raises ``ChildFailed``."""
        url = self._child.wait_for_line(LISTENING_LINE, timeout_s)
        self._port = url.rpartition(":")[2].rstrip("/")
        return url

    def last_lines(self) -> str:
        """Return the end of its log."""
        return self._child.last_lines()

    def tend(self, *, is_over: bool = False) -> None:
        """Take note of an ordered end, and start another gateway where that was ordered too.

        Args:
            is_over: whether the run is, so that no other is needed.
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

    def stop(self, timeout_s: float) -> bool:
        """End it; return whether SIGTERM did."""
        was_in_order = self._child.stop(timeout_s)
        self.tend(is_over=True)
        return was_in_order

    def end_group(self) -> None:
        """End what any of its processes left behind."""
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
            Child("gateway", self._command, log=log, environment=environment, cores=self._cores)
        )

    def _order(self) -> GatewayOrder | None:
        """Return the order that the newest process has to end, None without one."""
        return next((order for order in read_orders(self._logs) if order.pid == self.pid), None)
