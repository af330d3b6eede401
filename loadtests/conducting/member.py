"""A worker's part of a run: its users, its record, and what it sends to its master.

Everything here happens after Locust's ``--processes`` has forked: no watcher, thread or
socket is made before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import gevent
from locust.runners import WorkerRunner

from loadtests.behaviours.stage import Stage
from loadtests.conducting.command_clock import CommandClock
from loadtests.conducting.shipments import ParcelWriter
from loadtests.conducting.staging import set_stage, take_gateway_clock
from loadtests.health.clock_offset import OffsetFilter
from loadtests.health.clocks import is_one_clock, read_clock_id
from loadtests.health.collecting import freeze_what_stays, release_what_stayed
from loadtests.health.gateway_clock import GatewayClock
from loadtests.health.probes import GeneratorProbe
from loadtests.health.pulse import Pulse
from loadtests.plan.division import Division
from loadtests.plan.messages import CLOCK, CLOSED, LIVE, PARCELS, STATUS, Assignment
from loadtests.record.live_figures import LiveFigures
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import Event, Phase
from scenarios.schema import parse_scenario

_STATUS_EACH_S: Final = 0.1
_CLOCK_EACH_S: Final = 0.5
_POLL_S: Final = 0.05

_log = logging.getLogger(__name__)


class MasterClock:
    """What the master's clock shows, asked for until the worker ends."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._filter = OffsetFilter()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._greenlet = gevent.spawn(self._ask_on)

    def take(self, data: Mapping[str, int]) -> None:
        """Take an answer."""
        self._filter.add(
            data["sent_ns"], data["received_ns"], data["answered_ns"], time.monotonic_ns()
        )

    def to_ours(self, clock_id: str | None) -> tuple[int, int | None]:
        """Return what to add to the master's times to get ours, and its error bound, in ns.

        Both are 0 where the clocks are one; the bound is None where nobody could tell.
        """
        if clock_id is not None and clock_id == read_clock_id():
            return 0, 0
        found = self._filter.at(time.monotonic_ns())
        return (0, None) if found is None else (-found.offset_ns, found.error_ns)

    def _ask_on(self) -> None:
        while True:
            self._runner.send_message(CLOCK, {"sent_ns": time.monotonic_ns()})
            gevent.sleep(_CLOCK_EACH_S)


class CrewMember:
    """One worker in one run.

    Args:
        runner: the worker's.
        assignment: what the master said of the run.
        clock: the master's clock.
        secret: the gateway's.

    Attributes:
        stage: what this worker's users share.
    """

    def __init__(
        self, runner: WorkerRunner, assignment: Assignment, clock: MasterClock, secret: str
    ) -> None:
        self.run_id = assignment.run_id
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
        self.stage = self._set_stage(assignment, secret)
        self._gateway_clock = GatewayClock(
            str(runner.environment.host).rstrip("/"),
            secret,
            is_ours=is_one_clock(read_clock_id(), assignment.gateway_clock_id),
        )
        take_gateway_clock(runner.environment, self._gateway_clock)
        self._gateway_clock.start()
        self._generator = GeneratorProbe()
        self._pulse = Pulse(
            self.recorder,
            None,
            self._generator,
            on_second=self._each_second,
            on_lost=self._lose,
        )
        self._status = gevent.spawn(self._tell_status)
        self._pulse.start()

    def take_phases(self, data: Mapping[str, Any]) -> None:
        """Take the run's phases, by the master's clock."""
        if self._phases.phases == [Phase.RAMP]:
            freeze_what_stays()  # the users are there: warm-up begins
        self._phases.replace(
            [int(start_ns) + self._shift_ns for start_ns in data["starts_ns"]],
            [Phase(name) for name in data["phases"]],
        )
        if self._commands is None and self.stage.steady_ns() is not None:
            self._commands = CommandClock(self.stage)

    def take_receipt(self, number: int) -> None:
        """Forget the parcels up to a number: the master has them."""
        self._parcels.forget(number)

    def report(self, data: dict[str, Any]) -> None:
        """Put what was measured into a report to the master."""
        data[PARCELS] = self._parcels.pending()
        data[LIVE] = self._live.packed()

    def close(self, last_numbers: Mapping[str, int], drain_s: float) -> None:
        """End the requests, wait for what is owed, close the ledger and tell the master."""
        if self._is_closed:
            return
        self._stop_requests()
        deadline_ns = time.monotonic_ns() + round(drain_s * SECOND_NS)
        while not self.stage.ledger.owes_nothing(last_numbers):
            if time.monotonic_ns() >= deadline_ns:
                break
            gevent.sleep(_POLL_S)
        self._tell_end(last_numbers, has_left=False)

    def leave(self) -> None:
        """End this worker's part before the run's: what it was owed since, nobody can say."""
        if not self._is_closed:
            self._stop_requests()
            self._tell_end({}, has_left=True)

    def _stop_requests(self) -> None:
        if self._commands is not None:
            self._commands.stop()
        self.stage.stop_requests(time.monotonic_ns())

    def _set_stage(self, assignment: Assignment, secret: str) -> Stage:
        division = Division(
            counts=assignment.counts,
            rank=assignment.ranks.get(self._runner.client_id),
            worker=self._runner.worker_index,
        )
        return set_stage(
            parse_scenario(assignment.scenario, path="the master's scenario"),
            assignment,
            division,
            recorder=self.recorder,
            secret=secret,
            shift_ns=self._shift_ns,
        )

    def _tell_end(self, last_numbers: Mapping[str, int], *, has_left: bool) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._status.kill()
        self._pulse.stop()
        self._gateway_clock.stop()
        release_what_stayed()
        now_ns = time.monotonic_ns()
        self.stage.close_oracles(now_ns)
        self.stage.close_pushes()
        rows = [asdict(row) for row in self.stage.ledger.close(last_numbers)]
        self.recorder.close(now_ns)
        facts = {
            "left": has_left,
            "unmeasured": sorted(
                self._generator.unmeasured
                | self._gateway_clock.unmeasured
                | self.stage.pushes.unmeasured()
            ),
            "gateway_clock": self._gateway_clock.describe(self.recorder.t0_ns, now_ns),
            "clock_shift_ns": self._shift_ns,
            "clock_error_ns": self._shift_error_ns,
        }
        content = {PARCELS: self._parcels.pending(), "rows": rows, "facts": facts}
        self._runner.send_message(CLOSED, content)

    def _each_second(self, seen: SecondSeen) -> None:
        self._live = LiveFigures.of(seen, self.recorder)

    def _lose(self, problem: str) -> None:
        """Leave a run whose record broke here: what is not recorded cannot be judged."""
        _log.error("%s", problem)
        self.recorder.event(Event.LOST_PROCESS, at_ns=time.monotonic_ns(), detail=problem)
        gevent.spawn(self.leave)

    def _tell_status(self) -> None:
        while True:
            complete = self.stage.is_complete()
            status = {
                "users": len(self.stage.users),
                "complete": complete,
                "traders": list(self.stage.trader_ids()) if complete else [],
            }
            if status != self._said:
                self._said = status
                self._runner.send_message(STATUS, status)
            gevent.sleep(_STATUS_EACH_S)
