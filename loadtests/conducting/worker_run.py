"""``WorkerRun``: a worker's users, its record, and the rows that it sends to its master.

All this happens after Locust's ``--processes`` has forked. No watcher, thread or socket may
exist before a fork.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import gevent
from locust.runners import WorkerRunner

from loadtests.behaviours.run_context import RunContext
from loadtests.conducting.load_clock import CommandClock
from loadtests.conducting.worker_parcels import ParcelWriter
from loadtests.health.clock_id import is_one_clock, read_clock_id
from loadtests.health.clock_offset import OffsetFilter
from loadtests.health.gateway_clock import GatewayClock, time_pushes_by
from loadtests.health.generator_probe import GeneratorProbe, freeze_objects, unfreeze_objects
from loadtests.health.pulse import Pulse
from loadtests.plan.division import Division
from loadtests.plan.messages import CLOCK, CLOSED, LIVE, PARCELS, STATUS, Assignment
from loadtests.record.live_figures import LiveFigures
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import Phase
from loadtests.tokens import Tokens
from scenarios.schema import parse_scenario

_STATUS_EACH_S: Final = 0.1
_CLOCK_EACH_S: Final = 0.5
_POLL_S: Final = 0.05

_log = logging.getLogger(__name__)


class MasterClock:
    """The master's clock, which the worker asks for until it ends."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._filter = OffsetFilter()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin to ask for the time."""
        self._greenlet = gevent.spawn(self._ask_on)

    def take(self, data: Mapping[str, int]) -> None:
        """Take an answer."""
        self._filter.add(
            data["sent_ns"], data["received_ns"], data["answered_ns"], time.monotonic_ns()
        )

    def to_ours(self, clock_id: str | None) -> tuple[int, int | None]:
        """Return what to add to the master's times to get ours, and its error bound, in ns.

        Both are 0 when the processes read one clock. The bound is None when it is unknown.
        """
        if clock_id is not None and clock_id == read_clock_id():
            return 0, 0
        found = self._filter.at(time.monotonic_ns())
        return (0, None) if found is None else (-found.offset_ns, found.error_ns)

    def _ask_on(self) -> None:
        while True:
            self._runner.send_message(CLOCK, {"sent_ns": time.monotonic_ns()})
            gevent.sleep(_CLOCK_EACH_S)


class WorkerRun:
    """One worker in one run.

    Args:
        runner: the worker's.
        assignment: the run, as the master sent it.
        clock: the master's clock.
        tokens: gives each client its token.

    Attributes:
        run_context: shared by this worker's users.
    """

    def __init__(
        self, runner: WorkerRunner, assignment: Assignment, clock: MasterClock, tokens: Tokens
    ) -> None:
        self.name = f"worker-{runner.worker_index}"
        self._runner = runner
        self._shift_ns, self._shift_error_ns = clock.to_ours(assignment.clock_id)
        self._parcels = ParcelWriter()
        self._is_closed = False
        self._commands: CommandClock | None = None
        self._said: dict[str, Any] = {}
        self._live = LiveFigures()
        t0_ns = assignment.t0_ns + self._shift_ns
        self._phases = PhaseTimes(t0_ns)
        self.recorder = Recorder(self._parcels, worker=self.name, t0_ns=t0_ns, phases=self._phases)
        self.run_context = self._set_run_context(assignment, tokens)
        self._gateway_clock = GatewayClock(
            str(runner.environment.host).rstrip("/"),
            tokens.probe,
            is_ours=is_one_clock(read_clock_id(), assignment.gateway_clock_id),
        )
        time_pushes_by(runner.environment, self._gateway_clock)
        self._gateway_clock.start()
        self._generator = GeneratorProbe()
        self._pulse = Pulse(
            self.recorder,
            None,
            self._generator,
            on_second=self._each_second,
            on_lost=self.lose,
        )
        self._status = gevent.spawn(self._send_status)
        self._pulse.start()

    def take_phases(self, data: Mapping[str, Any]) -> None:
        """Take the run's phases, by the master's clock."""
        if self._phases.phases == [Phase.RAMP]:
            freeze_objects()  # all users are connected: warm-up begins
        self._phases.replace(
            [int(start_ns) + self._shift_ns for start_ns in data["starts_ns"]],
            [Phase(name) for name in data["phases"]],
        )
        if self._commands is None and self.run_context.steady_ns() is not None:
            self._commands = CommandClock(self.run_context)

    def take_receipt(self, data: Mapping[str, int]) -> None:
        """Forget the parcels that the master has."""
        self._parcels.forget(data["number"])

    def report(self, data: dict[str, Any]) -> None:
        """Add the rows and figures of this worker to a report to the master."""
        data[PARCELS] = self._parcels.pending()
        data[LIVE] = self._live.packed()

    def close(self, data: Mapping[str, Any]) -> None:
        """End the requests, wait for owed deliveries, close the ledger and tell the master."""
        if self._is_closed:
            return
        self._stop_requests()
        last_numbers: Mapping[str, int] = data["last_numbers"]
        deadline_ns = time.monotonic_ns() + round(data["drain_s"] * SECOND_NS)
        while not self.run_context.has_all(last_numbers):
            if time.monotonic_ns() >= deadline_ns:
                break
            gevent.sleep(_POLL_S)
        self._send_end(last_numbers, has_left=False)

    def leave(self) -> None:
        """End before the run does. Deliveries after this point are not accounted for."""
        if not self._is_closed:
            self._stop_requests()
            self._send_end({}, has_left=True)

    def lose(self, problem: str) -> None:
        """Leave a run in which this worker cannot do its part."""
        _log.error("%s", problem)
        self.run_context.lose(problem)
        gevent.spawn(self.leave)

    def _stop_requests(self) -> None:
        if self._commands is not None:
            self._commands.stop()
        self.run_context.stop_requests(time.monotonic_ns())

    def _set_run_context(self, assignment: Assignment, tokens: Tokens) -> RunContext:
        division = Division(
            counts=assignment.counts,
            rank=assignment.ranks.get(self._runner.client_id),
            worker=self._runner.worker_index,
        )
        return RunContext.of(
            assignment,
            parse_scenario(assignment.scenario, path="the master's scenario"),
            division,
            recorder=self.recorder,
            tokens=tokens,
            shift_ns=self._shift_ns,
        )

    def _send_end(self, last_numbers: Mapping[str, int], *, has_left: bool) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._status.kill()
        self._pulse.stop()
        self._gateway_clock.stop()
        unfreeze_objects()
        now_ns = time.monotonic_ns()
        self.run_context.close_oracles(now_ns)
        self.run_context.close_pushes()
        rows = [asdict(row) for row in self.run_context.ledger.close(last_numbers)]
        self.recorder.close(now_ns)
        facts = {
            "left": has_left,
            "unmeasured": sorted(
                self._generator.unmeasured
                | self._gateway_clock.unmeasured
                | self.run_context.pushes.unmeasured()
                | set(self.run_context.tokens.problems)
            ),
            "gateway_clock": self._gateway_clock.describe(self.recorder.t0_ns, now_ns),
            "clock_shift_ns": self._shift_ns,
            "clock_error_ns": self._shift_error_ns,
        }
        content = {PARCELS: self._parcels.pending(), "rows": rows, "facts": facts}
        self._runner.send_message(CLOSED, content)

    def _each_second(self, seen: SecondSeen) -> None:
        self._live = LiveFigures.of(seen, self.recorder)

    def _send_status(self) -> None:
        while True:
            complete = self.run_context.is_complete()
            status = {
                "users": len(self.run_context.users),
                "complete": complete,
                "owners": list(self.run_context.owner_ids()) if complete else [],
            }
            if status != self._said:
                self._said = status
                self._runner.send_message(STATUS, status)
            gevent.sleep(_STATUS_EACH_S)
