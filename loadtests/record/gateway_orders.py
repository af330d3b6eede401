"""What a run and its supervisor tell each other of a gateway that is ordered to end.

Two files in the run's ``logs/``; each has one writer::

    run        ─► gateway-orders.json  {"orders": [{do, pid, asked_ns}, …]}
    supervisor ─► gateway-exits.json   {"pid", "exits": [{asked_ns, exited_ns, exit_code}, …]}

So the supervisor knows a commanded end from a death, and the run which process is the gateway
now. Moments are monotonic ns of the machine that both are on.
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
"""A gateway that was told to restart answers again within this, or is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayOrder:
    """An order to end: ``terminate`` or ``restart``, to which process, given when."""

    do: str
    pid: int
    asked_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayExit:
    """An end that was ordered: when, when it came, and the exit code."""

    asked_ns: int
    exited_ns: int
    exit_code: int


class OrderedGateway:
    """A gateway of our own, as the run that gives it orders sees it.

    Args:
        logs: the run's folder of logs.
        pid: the gateway's process; None where it is not ours.

    Attributes:
        is_gone: whether it was told to terminate, so that there is none from then on.
    """

    def __init__(self, logs: Path, pid: int | None) -> None:
        self.is_gone = False
        self._logs = logs
        self._pid = pid
        self._orders: list[GatewayOrder] = []

    def order(self, do: str, at_ns: int) -> bool:
        """Tell the gateway to end; return whether it was still there to be told.

        Raises:
            RuntimeError: the gateway is none of ours.
        """
        if self._pid is None:
            raise RuntimeError(f"{do} is for a gateway of our own, and this one is not")
        self._orders.append(GatewayOrder(do=do, pid=self._pid, asked_ns=at_ns))
        write_orders(self._logs, self._orders)  # first: its end must not look like a death
        self.is_gone = do == "terminate"
        try:
            os.kill(self._pid, signal.SIGTERM)
        except ProcessLookupError:
            return False
        return True

    def follow(self) -> int | None:
        """Return the process that has taken the gateway's place since the last call, if one has."""
        if not self._orders:
            return None
        pid, _ = read_exits(self._logs)
        if pid is None or pid == self._pid:
            return None
        self._pid = pid
        return pid

    def describe(self, t0_ns: int) -> dict[str, object]:
        """Return what the manifest says of it; ordered exits in seconds of the run."""
        exits = describe_exits(self._logs, t0_ns)
        return {"status": "ok", "exit_code": None, "exits": exits}


def write_orders(logs: Path, orders: list[GatewayOrder]) -> None:
    """Write every order given so far."""
    write_json(logs / ORDERS, {"orders": [asdict(order) for order in orders]})


def read_orders(logs: Path) -> list[GatewayOrder]:
    """Return every order given so far."""
    said = read_json(logs / ORDERS) or {}
    return [GatewayOrder(**order) for order in said.get("orders", ())]


def write_exits(logs: Path, pid: int | None, exits: list[GatewayExit]) -> None:
    """Write every ordered end so far, and which process is the gateway now; None: there is none."""
    write_json(logs / EXITS, {"pid": pid, "exits": [asdict(each) for each in exits]})


def read_exits(logs: Path) -> tuple[int | None, list[GatewayExit]]:
    """Return which process is the gateway now, as far as it was told, and every ordered end."""
    said = read_json(logs / EXITS) or {}
    exits = [GatewayExit(**each) for each in said.get("exits", ())]
    return said.get("pid"), exits


def describe_exits(logs: Path, t0_ns: int) -> list[dict[str, object]]:
    """Return every ordered end as the manifest has it: in seconds of the run that began then."""
    _, exits = read_exits(logs)
    return [
        {
            "asked_s": (each.asked_ns - t0_ns) / _NS_PER_S,
            "exited_s": (each.exited_ns - t0_ns) / _NS_PER_S,
            "exit_code": each.exit_code,
        }
        for each in exits
    ]
