"""``FaultLog``: the log lines about clients' faults, at a limited rate."""

from __future__ import annotations

from typing import Final, Literal

from gateway.limits.log_lines import LogLines
from gateway.server.clock import Clock
from gateway.server.log import get_logger

_FAULT_LEVELS: Final = {"info": 20, "warning": 30}

log = get_logger(__name__)


class FaultLog:
    """Writes a line for a client's fault, or counts it and sums up later.

    Args:
        clock: the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = LogLines()

    def note(
        self, fault: str, *, level: Literal["info", "warning"] = "warning", **fields: object
    ) -> None:
        """Log a fault of a client.

        Args:
            fault: what happened, the same text for every fault of its kind.
            level: the level of the line.
            **fields: the facts of this fault.
        """
        left_out = self._lines.admit(fault, self._clock.monotonic_ns())
        if left_out is None:
            return
        if left_out:
            fields["left_out"] = left_out
        log.log(_FAULT_LEVELS[level], fault, **fields)

    def sum_up(self) -> None:
        """Log how many lines were left out since, if their rate has dropped."""
        for fault, left_out in self._lines.take_left_out(self._clock.monotonic_ns()).items():
            log.warning("faults of clients summed up", fault=fault, left_out=left_out)
