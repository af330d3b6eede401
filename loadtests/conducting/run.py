"""One run inside the Locust process: its directory, phases, recorder, probes and publisher.

With workers this is the master's part: they record, it has the run directory. The module is
long because a run's phases hand the same parts on to each other, in this order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import gevent

from gateway.contract import Scope
from loadtests.conducting.crew import Crew
from loadtests.endpoints import fetch_streams
from loadtests.health.clocks import read_clock_id
from loadtests.health.collecting import freeze_what_stays, release_what_stayed
from loadtests.health.gateway_clock import GatewayClock, widest_error_ns
from loadtests.health.live_file import LiveFile
from loadtests.health.probes import GeneratorProbe
from loadtests.health.pulse import Pulse
from loadtests.health.watching import ServerWatch
from loadtests.plan.publish_plan import describe_plan
from loadtests.publication.publishing import PublisherProcess
from loadtests.record.gateway_orders import RESTARTED_WITHIN_S, OrderedGateway
from loadtests.record.live_figures import LiveFigures
from loadtests.record.manifest import create_run_directory, write_json
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.run_facts import describe_run
from loadtests.record.second_seen import SecondSeen
from loadtests.results import LOGS, MANIFEST, TABLES, Event, Phase, RunStatus
from loadtests.tokens import mint
from scenarios.schema import GATEWAY_DEEDS, Scenario

WORKER: Final = "locust"
MASTER: Final = "master"
RUNS: Final = Path("runs")
LIVE: Final = "live.json"
LAB_USER: Final = "tidegate-lab"
_POLL_S: Final = 0.05
_NEVER_S: Final = 86_400.0
_STREAMS_TIMEOUT_S: Final = 5.0
_LONGEST_TOKEN_S: Final = 23 * 3_600  # a gateway takes 24 h at most

_log = logging.getLogger(__name__)


class Run:
    """A run that goes on. ``Run.begin`` makes one, ``finish`` ends it.

    Attributes:
        directory: the run directory.
        recorder: takes what is measured.
        t0_ns: the run's start, monotonic.
        publisher_lost: whether the publisher ended unasked or not in order.
        worker_lost: whether a worker did.
        target_lost: whether the gateway stopped answering.
        live: the newest second, for those who watch.
        clock: the gateway's, as this process sees it.
    """

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        facts: dict[str, Any],
        *,
        secret: str,
        user_ids: Callable[[], Sequence[str]],
        on_lost: Callable[[str], None] | None,
        has_workers: bool,
    ) -> None:
        self.scenario = scenario
        self.directory = directory
        self.t0_ns = time.monotonic_ns()
        self.publisher_lost = self.worker_lost = False
        self.live = LiveFile(directory / LOGS / LIVE, scenario.health)
        self.crew: Crew | None = None
        self.on_lost = on_lost
        self._facts = facts
        self._url = str(facts["target"]["url"]).rstrip("/")
        self._secret = secret
        self._user_ids = user_ids
        self._phases = PhaseTimes(self.t0_ns)
        self._told_phases = 0
        self._problems: list[str] = []
        self._gateway = OrderedGateway(directory / LOGS, facts["target"]["pid"])
        self._status = RunStatus.RUNNING
        self._end_ns: int | None = None
        self.clock = GatewayClock(self._url, secret, is_ours=facts["clock"]["same"])
        self._server = ServerWatch(self._url, facts["target"]["pid"], directory / LOGS)
        self._generator = None if has_workers else GeneratorProbe()
        self.recorder = Recorder(
            directory,
            worker=MASTER if has_workers else WORKER,
            t0_ns=self.t0_ns,
            phases=self._phases,
        )
        self._pulse = Pulse(
            self.recorder,
            self._server,
            self._generator,
            on_second=self._each_second,
            on_lost=self._lose,
        )
        self._publisher = PublisherProcess(directory) if scenario.publish else None

    @classmethod
    def begin(
        cls,
        scenario: Scenario,
        *,
        directory: Path | None,
        target_url: str,
        secret: str,
        welcome: Mapping[str, object],
        users: Mapping[str, int],
        user_ids: Callable[[], Sequence[str]],
        spawn_rate: float,
        load_s: float | None,
        command: Sequence[str],
        embedded_pid: int | None,
        on_lost: Callable[[str], None] | None = None,
        has_workers: bool = False,
    ) -> Self:
        """Make the run directory, start the publisher's process and the probes.

        Args:
            scenario: what is run.
            directory: an existing or new directory; None makes one under ``runs/``.
            target_url: ``http://HOST:PORT`` of the gateway.
            secret: its ``JWT_SECRET``; it is kept in memory alone.
            welcome: a welcome event, for ``limits``, ``clock`` and ``heartbeatInterval``.
            users: virtual users by behaviour.
            user_ids: returns the ids of the traders that are connected.
            spawn_rate: users a second.
            load_s: seconds until the load ends; None when a human will end it.
            command: the command line, for the manifest.
            embedded_pid: the gateway's process when it is ours.
            on_lost: called once with words when the publisher, a worker or the target is
                lost, so that the load can be ended.
            has_workers: whether others generate the load (``crew`` is set then).

        Raises:
            FileExistsError: the directory already holds a run.
        """
        unix_s = time.time()
        directory = create_run_directory(RUNS, scenario, unix_s, name=directory)
        facts = describe_run(
            scenario,
            directory=directory,
            target_url=target_url,
            welcome=welcome,
            users=users,
            spawn_rate=spawn_rate,
            load_s=load_s,
            command=command,
            embedded_pid=embedded_pid,
            clock_id=read_clock_id(),
            unix_s=unix_s,
        )
        run = cls(
            scenario,
            directory,
            facts,
            secret=secret,
            user_ids=user_ids,
            on_lost=on_lost,
            has_workers=has_workers,
        )
        run.clock.start()
        run._write_manifest()
        run._pulse.start()
        return run

    @property
    def target_lost(self) -> bool:
        """Whether the gateway stopped answering."""
        return self._pulse.target_lost

    @property
    def gateway_clock_id(self) -> str | None:
        """The id of the gateway's clock, as its welcome said."""
        found = self._facts["clock"]["gateway"]
        return found if isinstance(found, str) else None

    def phase(self) -> Phase:
        """Return the phase that the run is in."""
        return self._phases.at(time.monotonic_ns())

    def is_ramping(self) -> bool:
        """Return whether the users are still coming on."""
        return self._phases.phases[-1] is Phase.RAMP

    def steady_ns(self) -> int | None:
        """Return when the steady phase begins, None before that is known."""
        marks = zip(self._phases.phases, self._phases.starts_ns, strict=True)
        return next((start_ns for phase, start_ns in marks if phase is Phase.STEADY), None)

    def steady_end_ns(self) -> int | None:
        """Return when the steady phase ends; None before that is known, or where a human ends it.

        The scenario says how long it lasts; a run time that somebody gave (``-t``) wins.
        """
        begin_ns = self.steady_ns()
        if begin_ns is None or self._facts["load_s"] is not None:
            return None
        return begin_ns + round(self.scenario.phases.steady_s * SECOND_NS)

    def note(self, problem: str) -> None:
        """Keep words about something that went wrong for the manifest, and log them."""
        _log.warning("%s", problem)
        self._problems.append(problem)
        self._write_manifest()

    def spawning_complete(self) -> None:
        """Begin the warm-up: all users are there, the publisher begins. The first call counts."""
        if not self.is_ramping():
            return
        freeze_what_stays()
        begin_ns = time.monotonic_ns()
        if self._publisher is not None:
            # Both phases have their whole length, so that each run publishes as much.
            begin_ns = max(begin_ns, self._publisher.ready_ns)
        steady_ns = begin_ns + max(1, round(self.scenario.phases.warm_up_s * SECOND_NS))
        self._phases.begin(Phase.WARM_UP, begin_ns)
        self._phases.begin(Phase.STEADY, steady_ns)
        if self._publisher is not None:
            self._publisher.begin(self._plan(begin_ns, steady_ns))
            self.clock.listen(self._publisher.tell_clock_offset)
        self._tell_crew()
        self._write_manifest()

    def order_gateway(self, do: str, at_ns: int) -> None:
        """Have the gateway terminate, or restart: its supervisor starts the next one.

        Raises:
            RuntimeError: the gateway is none of ours.
        """
        patience_s = RESTARTED_WITHIN_S if do == "restart" else _NEVER_S
        self._server.expect_gap(time.monotonic_ns() + round(patience_s * SECOND_NS))
        if not self._gateway.order(do, at_ns):
            self.note(f"the gateway was gone before it could be told to {do}")

    def drain(self, wait_until_owed: Callable[[Mapping[str, int]], bool]) -> Mapping[str, int]:
        """Stop the publisher and wait until nothing is owed, at most the scenario's drain.

        Args:
            wait_until_owed: is given the last number of every stream, and says whether
                everything up to them has arrived.

        Returns:
            The last numbers. When the gateway no longer tells them they are the publisher's
            own, and the manifest's problems say so.
        """
        self._phases.begin(Phase.DRAIN, time.monotonic_ns())
        self._tell_crew()
        self._stop_publisher()
        last_numbers = self._last_numbers()
        if self.crew is not None:
            self._close_crew(self.crew, last_numbers)
            return last_numbers
        deadline_ns = time.monotonic_ns() + round(self.scenario.phases.drain_s * SECOND_NS)
        while not wait_until_owed(last_numbers) and time.monotonic_ns() < deadline_ns:
            gevent.sleep(_POLL_S)
        self._write_manifest()
        return last_numbers

    def finish(
        self, ledger_rows: Iterable[object], *, status: RunStatus, problems: Iterable[str]
    ) -> None:
        """End the run: stop what was started, write the ledger, close the record.

        A second call does nothing.

        Args:
            ledger_rows: records with the columns of ``ledger`` as attributes, but for worker.
            status: how far the run came.
            problems: words for the manifest.
        """
        if self._end_ns is not None:
            return
        self._stop_publisher()
        self._pulse.stop()
        self._server.close()
        self.clock.stop()
        release_what_stayed()
        self._end_ns = time.monotonic_ns()
        names = [column.name for column in TABLES["ledger"] if column.name != "worker"]
        named = [(self.recorder.worker, row) for row in ledger_rows]
        if self.crew is not None:
            named += self.crew.rows()
            self.crew.close()
        for worker, row in named:
            columns = {name: getattr(row, name) for name in names}
            self.recorder.writer.row("ledger", {"worker": worker, **columns})
        self._tell_phases(self._end_ns)
        self.recorder.close(self._end_ns)
        self._status = status
        self._problems.extend(problems)
        self._write_manifest()

    def _plan(self, first_ns: int, steady_ns: int) -> dict[str, object]:
        load_s = self._facts["load_s"] or self.scenario.load_s
        lifetime_s = min(_LONGEST_TOKEN_S, int(load_s) + 3_600)
        return describe_plan(
            self.scenario,
            directory=self.directory,
            url=self._url,
            token=mint(self._secret, LAB_USER, lifetime_s=lifetime_s, scopes=[Scope.PUBLISH]),
            user_ids=list(self._user_ids()),
            t0_ns=self.t0_ns,
            first_ns=first_ns,
            steady_ns=steady_ns,
            end_ns=self._publish_end_ns(steady_ns),
            orders_ns=[
                at for do in GATEWAY_DEEDS for at in self.scenario.ordered_ns(do, steady_ns)
            ],
            clock_offset_ns=self.clock.offset_ns,
        )

    def _publish_end_ns(self, steady_ns: int) -> int | None:
        """Return from when on nothing is published: the end, or when the gateway has to end."""
        ends_ns = [*self.scenario.ordered_ns("terminate", steady_ns), self.steady_end_ns()]
        return min((end_ns for end_ns in ends_ns if end_ns is not None), default=None)

    def _each_second(self, seen: SecondSeen) -> None:
        self._tell_phases(seen.at_ns)
        self._watch_publisher()
        pid = self._gateway.follow()
        if pid is not None:
            self._server.follow(pid)
        figures = LiveFigures.of(seen, self.recorder)
        if self.crew is not None:
            self._watch_crew(self.crew)
            figures = LiveFigures.merged([figures, self.crew.live()])
        self.live.write(
            t_s=(seen.at_ns - self.t0_ns) / SECOND_NS,
            phase=self._phases.at(seen.at_ns),
            phase_from_s=(self._phases.began_ns(seen.at_ns) - self.t0_ns) / SECOND_NS,
            figures=figures,
            server=seen.server,
            publisher=None if self._publisher is None else self._publisher.ledger(),
        )

    def _tell_crew(self) -> None:
        if self.crew is not None:
            self.crew.tell_phases(self._phases)

    def _watch_crew(self, crew: Crew) -> None:
        for name in crew.find_lost():
            self.worker_lost = True
            self._lose(f"{name} was lost: it ended unasked or went silent")

    def _close_crew(self, crew: Crew, last_numbers: Mapping[str, int]) -> None:
        if not crew.close_ledgers(last_numbers, self.scenario.phases.drain_s):
            self.worker_lost = True
            self._lose("a worker was lost: it did not close its ledger in time")

    def _tell_phases(self, now_ns: int) -> None:
        marks = list(zip(self._phases.starts_ns, self._phases.phases, strict=True))
        for start_ns, phase in marks[self._told_phases :]:
            if start_ns <= now_ns:
                self.recorder.event(Event.PHASE, at_ns=start_ns, outcome=str(phase))
                self._told_phases += 1

    def _lose(self, problem: str) -> None:
        self.recorder.event(Event.LOST_PROCESS, at_ns=time.monotonic_ns(), detail=problem)
        self.note(problem)
        if self.on_lost is not None:
            callback, self.on_lost = self.on_lost, None
            callback(problem)

    def _watch_publisher(self) -> None:
        if self._publisher is None or self.publisher_lost or not self._publisher.is_lost:
            return
        self.publisher_lost = True
        code = self._publisher.exit_code
        self._lose(f"the publisher was lost: it ended unasked with exit code {code}")

    def _stop_publisher(self) -> None:
        if self._publisher is None or self._publisher.status == "complete":
            return
        self._watch_publisher()
        self._publisher.stop()
        if self._publisher.is_lost and not self.publisher_lost:
            self.publisher_lost = True
            self.note(f"the publisher did not end in order: code {self._publisher.exit_code}")

    def _unmeasured(self) -> list[str]:
        found = self._server.unmeasured | self.clock.unmeasured
        if self._generator is not None:
            found |= self._generator.unmeasured
        if self.crew is not None:
            found |= self.crew.unmeasured()
        return sorted(found)

    def _last_numbers(self) -> Mapping[str, int]:
        if self._gateway.is_gone:
            return {}  # every stay has ended with its connection
        token = mint(self._secret, LAB_USER, lifetime_s=600, scopes=[Scope.PUBLISH])
        try:
            return fetch_streams(self._url, token, timeout_s=_STREAMS_TIMEOUT_S)
        except (OSError, ValueError) as error:
            self.note(
                f"the gateway does not tell its last numbers ({error}); the publisher's stand in"
            )
        ledger = self._publisher.ledger() if self._publisher is not None else {}
        return {str(name): int(number) for name, number in ledger.get("streams", {}).items()}

    def _describe_clock(self) -> dict[str, object]:
        """Return what the manifest says of the clocks: the bound is that of every process."""
        now_ns = self._end_ns or time.monotonic_ns()
        told = self.clock.describe(self.t0_ns, now_ns)
        errors_ns = [told["error_ns"], *(self.crew.clock_errors_ns() if self.crew else ())]
        return {**self._facts["clock"], **told, "error_ns": widest_error_ns(errors_ns)}

    def _write_manifest(self) -> None:
        is_embedded = self._facts["target"]["embedded"]
        manifest = {
            **self._facts,
            "clock": self._describe_clock(),
            "status": str(self._status),
            "t0_monotonic_ns": self.t0_ns,
            "phases": self._phases.describe(self.t0_ns, self._end_ns or time.monotonic_ns()),
            "unmeasured": self._unmeasured(),
            "workers": self.crew.describe() if self.crew is not None else None,
            "publisher": self._publisher.figures() if self._publisher is not None else None,
            "gateway": self._gateway.describe(self.t0_ns) if is_embedded else None,
            "problems": self._problems,
        }
        write_json(self.directory / MANIFEST, manifest)
