"""``Workers``: the workers of a run, as their master sees them.

ValueError
└── ParcelError      (``loadtests.conducting.shipments``) a message of another version
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner

from loadtests.conducting.shipments import ParcelReader
from loadtests.oracles.ledger import LedgerRow
from loadtests.plan.messages import CLOCK, CLOSE, CLOSED, LIVE, PARCELS, PHASES, STATUS, TAKEN
from loadtests.record.live_figures import LiveFigures
from loadtests.record.recording import SECOND_NS, PhaseTimes

_CLOSE_S: Final = 10.0  # for a worker to close its ledger and send it, beyond the drain
_POLL_S: Final = 0.05


@dataclass(kw_only=True)
class WorkerState:
    """What the master knows of one worker."""

    name: str
    reader: ParcelReader
    live: LiveFigures = field(default_factory=LiveFigures)
    users: int = 0
    is_complete: bool = False
    traders: tuple[str, ...] = ()
    has_closed: bool = False
    is_lost: bool = False
    rows: list[LedgerRow] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Workers:
    """Every worker that takes part in a run.

    Args:
        runner: the master's.
        directory: the run directory, which gets segments for each worker.
        ranks: the workers that the run begins with, by Locust's id of each.
    """

    def __init__(self, runner: MasterRunner, directory: Path, ranks: Mapping[str, int]) -> None:
        self._runner = runner
        self._directory = directory
        self._members: dict[str, WorkerState] = {}
        for client_id in ranks:
            self._join(client_id)

    def describe(self) -> dict[str, object]:
        """Return what the manifest says of the workers, with the facts that each sent last."""
        members = self._members.values()
        return {
            "names": [member.name for member in members],
            "lost": [member.name for member in members if member.is_lost],
            "facts": {member.name: member.facts for member in members if member.facts},
        }

    def clock_errors_ns(self) -> list[int | None]:
        """Return each worker's error bound of the gateway's clock at its end, in ns."""
        facts = [member.facts for member in self._members.values() if member.facts]
        return [found["gateway_clock"]["error_ns"] for found in facts]

    def unmeasured(self) -> set[str]:
        """Return what each worker could not measure."""
        return {
            f"{member.name}: {words}"
            for member in self._members.values()
            for words in member.facts.get("unmeasured", ())
        }

    def live(self) -> LiveFigures:
        """Return the newest second of all workers together."""
        return LiveFigures.merged(m.live for m in self._members.values() if not m.is_lost)

    def is_complete(self, users: int) -> bool:
        """Return whether ``users`` exist and each has connected, or failed to at least once."""
        here = [member for member in self._members.values() if not member.is_lost]
        return all(m.is_complete for m in here) and sum(m.users for m in here) >= users

    def trader_ids(self) -> list[str]:
        """Return the ids of the traders that are connected."""
        return [user for member in self._members.values() for user in member.traders]

    def rows(self) -> list[tuple[str, LedgerRow]]:
        """Return the rows of every closed ledger, each with its worker's name."""
        return [(m.name, row) for m in self._members.values() for row in m.rows]

    def tell_phases(self, phases: PhaseTimes) -> None:
        """Tell all workers when each phase begins."""
        content = {"starts_ns": phases.starts_ns, "phases": [str(p) for p in phases.phases]}
        self._runner.send_message(PHASES, content)

    def close_ledgers(self, last_numbers: Mapping[str, int], drain_s: float) -> bool:
        """Have every worker end its requests, wait for owed deliveries, and close its ledger.

        Args:
            last_numbers: the last number of every stream.
            drain_s: how long a worker waits for owed deliveries, in s.

        Returns:
            Whether every worker that is not lost did so in time.
        """
        self._runner.send_message(CLOSE, {"last_numbers": dict(last_numbers), "drain_s": drain_s})
        deadline_ns = time.monotonic_ns() + round((drain_s + _CLOSE_S) * SECOND_NS)
        while not self._has_closed():
            if time.monotonic_ns() >= deadline_ns:
                return False
            gevent.sleep(_POLL_S)
        return True

    def _has_closed(self) -> bool:
        return all(m.has_closed or m.is_lost for m in self._members.values())

    def find_lost(self) -> list[str]:
        """Return the names of workers lost since the last call."""
        found = []
        for client_id, member in self._members.items():
            if member.is_lost or (member.has_closed and not member.facts.get("left")):
                continue
            node = self._runner.clients.get(client_id)
            if node is None or node.state == STATE_MISSING or member.has_closed:
                member.is_lost = True
                found.append(member.name)
        return found

    def close(self) -> None:
        """End the workers' segments."""
        for member in self._members.values():
            member.reader.close()

    def report(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take a worker's report, and acknowledge its parcels."""
        if PARCELS not in data:
            return
        member = self._members.get(client_id) or self._join(client_id)
        if LIVE in data:
            member.live = LiveFigures.unpacked(data[LIVE])
        self._take(client_id, member, data[PARCELS])

    def status(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take how many users a worker has, and whether all have connected."""
        member = self._members.get(client_id) or self._join(client_id)
        member.users = int(data["users"])
        member.is_complete = bool(data["complete"])
        member.traders = tuple(data["traders"])

    def closed(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take a worker's last parcels and its ledger."""
        member = self._members.get(client_id) or self._join(client_id)
        self._take(client_id, member, data[PARCELS])
        if not member.has_closed:
            member.rows = [LedgerRow(**row) for row in data["rows"]]
            member.facts = dict(data["facts"])
            member.has_closed = True

    def _take(self, client_id: str, member: WorkerState, parcels: Any) -> None:
        number = member.reader.accept(parcels)
        self._runner.send_message(TAKEN, {"number": number}, client_id)

    def _join(self, client_id: str) -> WorkerState:
        index = self._runner.get_worker_index(client_id)  # type: ignore[no-untyped-call]  # Locust's own gap
        name = f"worker-{index}"
        member = WorkerState(name=name, reader=ParcelReader(self._directory, name))
        self._members[client_id] = member
        return member


def answer_clocks(runner: MasterRunner) -> None:
    """Answer each worker's question for the master's time (RFC 5905 §8)."""

    def answer(environment: Environment, msg: Message, **_facts: object) -> None:  # noqa: ARG001 - Locust's shape
        stamps = {"sent_ns": msg.data["sent_ns"], "received_ns": time.monotonic_ns()}
        runner.send_message(CLOCK, {**stamps, "answered_ns": time.monotonic_ns()}, msg.node_id)

    runner.register_message(CLOCK, answer)


def listen_to_workers(environment: Environment, workers: Callable[[], Workers | None]) -> None:
    """Pass the workers' messages to the current run.

    Args:
        environment: the master's.
        workers: returns the workers of the current run; None between runs.

    Raises:
        TypeError: the environment is not a master's.
    """
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        raise TypeError("only a master has workers to listen to")
    answer_clocks(runner)

    def take_report(client_id: str, data: Mapping[str, Any], **_facts: object) -> None:
        found = workers()
        if found is not None:
            found.report(client_id, data)

    def take_status(environment: Environment, msg: Message, **_facts: object) -> None:  # noqa: ARG001 - Locust's shape
        found = workers()
        if found is not None:
            found.status(msg.node_id, msg.data)

    def take_closed(environment: Environment, msg: Message, **_facts: object) -> None:  # noqa: ARG001 - Locust's shape
        found = workers()
        if found is not None:
            found.closed(msg.node_id, msg.data)

    environment.events.worker_report.add_listener(take_report)  # type: ignore[no-untyped-call]  # Locust's own gap
    runner.register_message(STATUS, take_status)
    runner.register_message(CLOSED, take_closed)
