"""``Workers``: the workers of a run, as their master sees them.

ValueError
└── ParcelError      (``loadtests.conducting.worker_parcels``) a message of another version
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

from loadtests.conducting.worker_parcels import ParcelReader
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
    owners: tuple[str, ...] = ()
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
        self._by_id: dict[str, WorkerState] = {}
        for client_id in ranks:
            self._join(client_id)

    def describe(self) -> dict[str, object]:
        """Return what the manifest says of the workers, with the facts that each sent last."""
        workers = self._by_id.values()
        return {
            "names": [worker.name for worker in workers],
            "lost": [worker.name for worker in workers if worker.is_lost],
            "facts": {worker.name: worker.facts for worker in workers if worker.facts},
        }

    def clock_errors_ns(self) -> list[int | None]:
        """Return each worker's error bound of the gateway's clock at its end, in ns."""
        facts = [worker.facts for worker in self._by_id.values() if worker.facts]
        return [found["gateway_clock"]["error_ns"] for found in facts]

    def unmeasured(self) -> set[str]:
        """Return what each worker could not measure."""
        return {
            f"{worker.name}: {words}"
            for worker in self._by_id.values()
            for words in worker.facts.get("unmeasured", ())
        }

    def live(self) -> LiveFigures:
        """Return the newest second of all workers together."""
        return LiveFigures.merged(w.live for w in self._by_id.values() if not w.is_lost)

    def is_complete(self, users: int) -> bool:
        """Return whether ``users`` exist and each has connected, or failed to at least once."""
        here = [worker for worker in self._by_id.values() if not worker.is_lost]
        return all(w.is_complete for w in here) and sum(w.users for w in here) >= users

    def owner_ids(self) -> list[str]:
        """Return the ids of the users that private events may be for."""
        return [user for worker in self._by_id.values() for user in worker.owners]

    def rows(self) -> list[tuple[str, LedgerRow]]:
        """Return the rows of every closed ledger, each with its worker's name."""
        return [(w.name, row) for w in self._by_id.values() for row in w.rows]

    def has(self, client_id: str) -> bool:
        """Return whether a worker takes part, by Locust's id of it."""
        return client_id in self._by_id

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
        return all(w.has_closed or w.is_lost for w in self._by_id.values())

    def find_lost(self) -> list[str]:
        """Return the names of workers lost since the last call."""
        found = []
        for client_id, worker in self._by_id.items():
            if worker.is_lost or (worker.has_closed and not worker.facts.get("left")):
                continue
            node = self._runner.clients.get(client_id)
            if node is None or node.state == STATE_MISSING or worker.has_closed:
                worker.is_lost = True
                found.append(worker.name)
        return found

    def close(self) -> None:
        """End the workers' segments."""
        for worker in self._by_id.values():
            worker.reader.close()

    def report(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take a worker's report, and acknowledge its parcels."""
        if PARCELS not in data:
            return
        worker = self._by_id.get(client_id) or self._join(client_id)
        if LIVE in data:
            worker.live = LiveFigures.unpacked(data[LIVE])
        self._take(client_id, worker, data[PARCELS])

    def status(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take how many users a worker has, and whether all have connected."""
        worker = self._by_id.get(client_id) or self._join(client_id)
        worker.users = int(data["users"])
        worker.is_complete = bool(data["complete"])
        worker.owners = tuple(data["owners"])

    def closed(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Take a worker's last parcels and its ledger."""
        worker = self._by_id.get(client_id) or self._join(client_id)
        self._take(client_id, worker, data[PARCELS])
        if not worker.has_closed:
            worker.rows = [LedgerRow(**row) for row in data["rows"]]
            worker.facts = dict(data["facts"])
            worker.has_closed = True

    def _take(self, client_id: str, worker: WorkerState, parcels: Any) -> None:
        number = worker.reader.accept(parcels)
        self._runner.send_message(TAKEN, {"number": number}, client_id)

    def _join(self, client_id: str) -> WorkerState:
        index = self._runner.get_worker_index(client_id)  # type: ignore[no-untyped-call]  # Locust's own gap
        name = f"worker-{index}"
        worker = WorkerState(name=name, reader=ParcelReader(self._directory, name))
        self._by_id[client_id] = worker
        return worker


def listen_to_workers(environment: Environment, workers: Callable[[], Workers | None]) -> None:
    """Pass the workers' messages to the current run, and answer their questions for the time.

    Args:
        environment: the master's.
        workers: returns the workers of the current run; None between runs.

    Raises:
        TypeError: the environment is not a master's.
    """
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        raise TypeError("only a master has workers to listen to")

    def answer(environment: Environment, msg: Message, **_facts: object) -> None:  # noqa: ARG001 - Locust's shape
        """Tell a worker the master's time (RFC 5905 §8)."""
        stamps = {"sent_ns": msg.data["sent_ns"], "received_ns": time.monotonic_ns()}
        runner.send_message(CLOCK, {**stamps, "answered_ns": time.monotonic_ns()}, msg.node_id)

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
    runner.register_message(CLOCK, answer)
    runner.register_message(STATUS, take_status)
    runner.register_message(CLOSED, take_closed)
