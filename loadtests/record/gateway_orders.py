"""Files in which a run tells its supervisor that it stopped or restarted the gateway.

Two files in the run's ``logs/``, or in that of each of several nodes, each with one writer::

    run        ─► gateway-orders.json  {"orders": [{do, pid, asked_ns}, …]}
    supervisor ─► gateway-exits.json   {"pid", "exits": [{asked_ns, exited_ns, exit_code}, …]}

So the supervisor can tell a commanded exit from a crash, and the run knows which process is
the gateway now. Times are monotonic ns of the machine, which both share.
"""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from loadtests.record.manifest import read_json, write_json

ORDERS: Final = "gateway-orders.json"
EXITS: Final = "gateway-exits.json"
_NS_PER_S: Final = 1_000_000_000
RESTARTED_WITHIN_S: Final = 30.0
"""A restarted gateway that does not answer within this time is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayOrder:
    """A command to the gateway: ``terminate`` or ``restart``, its process, and when."""

    do: str
    pid: int
    asked_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayExit:
    """A commanded exit: when it was ordered, when it happened, and the exit code."""

    asked_ns: int
    exited_ns: int
    exit_code: int


class OrderedGateway:
    """An embedded gateway, as the run that gives it commands sees it.

    Args:
        logs: the run's folder of logs.
        pid: the gateway's process; None when it is not ours.

    Attributes:
        is_gone: whether it was terminated, so that no gateway follows.
    """

    def __init__(self, logs: Path, pid: int | None) -> None:
        self.is_gone = False
        self._logs = logs
        self._pid = pid
        self._orders: list[GatewayOrder] = []

    def order(self, do: str, at_ns: int) -> bool:
        """End the gateway with SIGTERM. Returns whether its process still existed.

        Raises:
            RuntimeError: the gateway is not ours.
        """
        if self._pid is None:
            raise RuntimeError(f"cannot {do} the gateway: it is not an embedded one")
        self._orders.append(GatewayOrder(do=do, pid=self._pid, asked_ns=at_ns))
        # First, so that the exit does not look like a crash.
        write_json(self._logs / ORDERS, {"orders": [asdict(order) for order in self._orders]})
        self.is_gone = do == "terminate"
        try:
            os.kill(self._pid, signal.SIGTERM)
        except ProcessLookupError:
            return False
        return True

    def follow(self) -> int | None:
        """Return the process that replaced the gateway since the last call; None if none did."""
        if not self._orders:
            return None
        pid, _ = read_exits(self._logs)
        if pid is None or pid == self._pid:
            return None
        self._pid = pid
        return pid


def read_orders(logs: Path) -> list[GatewayOrder]:
    """Return all commands so far."""
    said = read_json(logs / ORDERS) or {}
    return [GatewayOrder(**order) for order in said.get("orders", ())]


def write_exits(logs: Path, pid: int | None, exits: list[GatewayExit]) -> None:
    """Write all commanded exits so far.

    Args:
        logs: the run's folder of logs.
        pid: the process that is the gateway now; None when there is none.
        exits: the commanded exits.
    """
    write_json(logs / EXITS, {"pid": pid, "exits": [asdict(each) for each in exits]})


def read_exits(logs: Path) -> tuple[int | None, list[GatewayExit]]:
    """Return the process that is the gateway now, None when unknown, and all commanded exits."""
    said = read_json(logs / EXITS) or {}
    exits = [GatewayExit(**each) for each in said.get("exits", ())]
    return said.get("pid"), exits


def describe_exits(logs: Path, t0_ns: int) -> list[dict[str, object]]:
    """Return all commanded exits as the manifest has them, in seconds of the run.

    Args:
        logs: the run's folder of logs.
        t0_ns: the run's start, monotonic.
    """
    files = sorted(logs.glob(f"**/{EXITS}"))
    exits = [each for file in files for each in read_exits(file.parent)[1]]
    exits.sort(key=lambda each: each.asked_ns)
    return [
        {
            "asked_s": (each.asked_ns - t0_ns) / _NS_PER_S,
            "exited_s": (each.exited_ns - t0_ns) / _NS_PER_S,
            "exit_code": each.exit_code,
        }
        for each in exits
    ]
