"""``Run``: one run in the Locust process that has the run directory.

With workers this is the master's part: the workers generate and record, and send their rows
here. ``run_publisher`` holds the publisher, ``run_manifest`` writes the manifest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gevent

from loadtests.conducting.run_manifest import RunManifest
from loadtests.conducting.run_nodes import RunNodes
from loadtests.conducting.run_publisher import RunPublisher
from loadtests.conducting.workers import Workers
from loadtests.health.gateway_clock import GatewayClock
from loadtests.health.generator_probe import GeneratorProbe, freeze_objects, unfreeze_objects
from loadtests.health.live_file import LiveFile
from loadtests.health.pulse import Pulse
from loadtests.plan.nodes import nodes_of
from loadtests.plan.turns import Turns, whole_second
from loadtests.record.live_figures import LiveFigures
from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import LOGS, TABLES, Event, Phase, RunStatus
from loadtests.tokens import Tokens
from scenarios.schema import Scenario

WORKER: Final = "locust"
MASTER: Final = "master"
LIVE: Final = "live.json"
_POLL_S: Final = 0.05

_log = logging.getLogger(__name__)


class Run:
    """A run that goes on: ``run_start`` makes one, ``start`` starts it, ``finish`` ends it.

    Args:
        scenario: the scenario of the run.
        directory: the run directory.
        facts: the members of the manifest that do not change (``loadtests.record.manifest``).
        tokens: gives each client its token.
        metrics_token: opens the gateway's metrics; None when they are open.
        user_ids: returns the ids of the users that private events may be for.
        on_lost: called once with a message when the publisher, a worker or the gateway is lost,
            so that the load can be ended.
        workers: the run's workers; None where this process generates the load.
        turns: the slices of a run that takes turns with another. Its seconds and phases begin at
            whole seconds of the monotonic clock, which both runs share.

    Attributes:
        recorder: records all measurements.
        t0_ns: the run's start, monotonic.
        phases: when each phase begins.
        worker_lost: whether a worker exited early or went silent.
        live: writes the newest second, for the terminal and the web page.
        clock: the gateway's clock, as this process sees it.
        nodes: the gateways.
    """

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        facts: dict[str, Any],
        *,
        tokens: Tokens,
        metrics_token: str | None,
        user_ids: Callable[[], Sequence[str]],
        on_lost: Callable[[str], None],
        workers: Workers | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.scenario = scenario
        self.directory = directory
        self.turns = turns
        now_ns = time.monotonic_ns()
        self.t0_ns = now_ns if turns is None else now_ns // SECOND_NS * SECOND_NS
        self.phases = PhaseTimes(self.t0_ns)
        self.workers = workers
        self.worker_lost = False
        self._on_lost: Callable[[str], None] | None = on_lost
        self._url = str(facts["target"]["url"]).rstrip("/")
        self._facts = facts
        self._tokens = tokens
        self._user_ids = user_ids
        self._recorded_phases = 0
        self.live = LiveFile(directory / LOGS / LIVE, scenario.health)
        self.clock = GatewayClock(self._url, tokens.probe, is_ours=facts["clock"]["same"])
        generator = None if workers else GeneratorProbe()
        self.recorder = Recorder(
            directory,
            worker=MASTER if workers else WORKER,
            t0_ns=self.t0_ns,
            phases=self.phases,
        )
        self.nodes = RunNodes(
            nodes_of(facts),
            directory / LOGS,
            metrics_token,
            self.recorder,
            on_whole_seconds=turns is not None,
        )
        self._pulse = Pulse(
            self.recorder,
            self.nodes.read,
            generator,
            on_second=self._each_second,
            on_lost=self._lose,
        )
        self.publisher = RunPublisher(
            scenario=scenario,
            directory=directory,
            url=self._url,
            tokens=tokens,
            phases=self.phases,
            clock=self.clock,
            turns=turns,
        )
        self._manifest = self._make_manifest([] if generator is None else [generator])

    def _make_manifest(self, probes: list[GeneratorProbe]) -> RunManifest:
        return RunManifest(
            directory=self.directory,
            facts=self._facts,
            phases=self.phases,
            clock=self.clock,
            publisher=self.publisher,
            probes=[self.nodes.watch, self.clock, *probes],
            workers=self.workers,
        )

    def start(self) -> None:
        """Write the first manifest, and start the clock and the probes."""
        self.clock.start()
        self._manifest.write()
        self._pulse.start()

    @property
    def has_lost(self) -> bool:
        """Whether the publisher, a worker or the gateway was lost."""
        return self.publisher.is_lost or self.worker_lost or self._pulse.target_lost

    def steady_end_ns(self) -> int | None:
        """Return when the steady phase ends, monotonic; None while that is not planned.

        The scenario gives its length. A run time from the command line (``-t``) ends the load
        instead, and the answer is None.
        """
        begin_ns = self.phases.start_ns(Phase.STEADY)
        if begin_ns is None or self._facts["load_s"] is not None:
            return None
        return begin_ns + round(self.scenario.phases.steady_s * SECOND_NS)

    def note(self, problem: str) -> None:
        """Log a problem and add it to the manifest."""
        _log.warning("%s", problem)
        self._manifest.problems.append(problem)
        self._manifest.write()

    def take_users(self, users: Mapping[str, int]) -> None:
        """Put the largest number of users that each group has had into the manifest."""
        known = self._facts["users"]
        self._facts["users"] = {
            group: max(known.get(group, 0), users.get(group, 0)) for group in {**known, **users}
        }
        self._manifest.write()

    def spawning_complete(self, not_before_ns: int = 0) -> None:
        """Begin the warm-up and the publisher: all users are connected. Idempotent.

        Args:
            not_before_ns: the earliest begin, monotonic.
        """
        if not self.phases.is_ramping():
            return
        freeze_objects()
        # Both phases have their whole length, so that each run publishes as much.
        begin_ns = max(time.monotonic_ns(), self.publisher.ready_ns, not_before_ns)
        steady_ns = begin_ns + max(1, round(self.scenario.phases.warm_up_s * SECOND_NS))
        if self.turns is not None:
            steady_ns = whole_second(steady_ns)
        self.phases.begin(Phase.WARM_UP, begin_ns)
        self.phases.begin(Phase.STEADY, steady_ns)
        load_s = self._facts["load_s"] or self.scenario.load_s
        self.publisher.begin(self._user_ids(), load_s, self.steady_end_ns())
        self._send_phases()
        self._manifest.write()

    def order_gateway(self, do: str, at_ns: int, number: int = 0) -> None:
        """Terminate or restart a gateway. Its supervisor starts the next one.

        Args:
            do: the command.
            at_ns: when it is given, monotonic.
            number: of the node, from 1; 0 for all that have not been terminated.

        Raises:
            RuntimeError: the gateway is not ours.
        """
        for problem in self.nodes.order(do, at_ns, number):
            self.note(problem)

    def drain(self, all_delivered: Callable[[Mapping[str, int]], bool]) -> Mapping[str, int]:
        """Stop the publisher and wait until all is delivered, at most the scenario's drain.

        Args:
            all_delivered: takes the last number of every stream, and returns whether all
                events up to them have arrived.

        Returns:
            The last numbers. They are the publisher's own when the gateway does not answer, and
            the manifest's problems say so.
        """
        self.phases.begin(Phase.DRAIN, time.monotonic_ns())
        self._send_phases()
        self._stop_publisher()
        last_numbers: dict[str, int] = {}  # a terminated gateway owes nothing more
        if not self.nodes.are_gone:
            last_numbers, problem = self.publisher.last_numbers()
            if problem is not None:
                self.note(problem)
        if self.workers is not None:
            if not self.workers.close_ledgers(last_numbers, self.scenario.phases.drain_s):
                self.worker_lost = True
                self._lose("a worker was lost: it did not close its ledger in time")
            return last_numbers
        deadline_ns = time.monotonic_ns() + round(self.scenario.phases.drain_s * SECOND_NS)
        while not all_delivered(last_numbers) and time.monotonic_ns() < deadline_ns:
            gevent.sleep(_POLL_S)
        self._manifest.write()
        return last_numbers

    def finish(
        self, ledger_rows: Iterable[object], *, status: RunStatus, problems: Iterable[str]
    ) -> None:
        """Stop all that the run started, write the ledger, close the record. Idempotent.

        Args:
            ledger_rows: objects with the columns of ``ledger`` as attributes, except worker.
            status: how far the run came.
            problems: messages for the manifest.
        """
        if self._manifest.end_ns is not None:
            return
        self._stop_publisher()
        self._pulse.stop()
        self.nodes.watch.close()
        self.clock.stop()
        unfreeze_objects()
        end_ns = time.monotonic_ns()
        names = [column.name for column in TABLES["ledger"] if column.name != "worker"]
        named = [(self.recorder.worker, row) for row in ledger_rows]
        if self.workers is not None:
            named += self.workers.rows()
            self.workers.close()
        for worker, row in named:
            columns = {name: getattr(row, name) for name in names}
            self.recorder.writer.row("ledger", {"worker": worker, **columns})
        self._record_phases(end_ns)
        self.recorder.close(end_ns)
        self._manifest.status, self._manifest.end_ns = status, end_ns
        self._manifest.problems.extend([*problems, *self._tokens.problems])
        self._manifest.write()

    def _each_second(self, seen: SecondSeen) -> None:
        self._record_phases(seen.at_ns)
        self._watch_publisher()
        self.publisher.renew_token()
        self.nodes.follow()
        figures = LiveFigures.of(seen, self.recorder)
        if self.workers is not None:
            for name in self.workers.find_lost():
                self.worker_lost = True
                self._lose(f"{name} was lost: it exited early or went silent")
            figures = LiveFigures.merged([figures, self.workers.live()])
        self.live.write(
            t_s=(seen.at_ns - self.t0_ns) / SECOND_NS,
            phase=self.phases.at(seen.at_ns),
            phase_from_s=(self.phases.began_ns(seen.at_ns) - self.t0_ns) / SECOND_NS,
            figures=figures,
            server=seen.server,
            publisher=self.publisher.ledger(),
            nodes=self.nodes.figures(),
        )

    def _send_phases(self) -> None:
        if self.workers is not None:
            self.workers.tell_phases(self.phases)

    def _record_phases(self, now_ns: int) -> None:
        """Record each phase that has begun since the last call."""
        marks = list(zip(self.phases.starts_ns, self.phases.phases, strict=True))
        for start_ns, phase in marks[self._recorded_phases :]:
            if start_ns <= now_ns:
                self.recorder.event(Event.PHASE, at_ns=start_ns, outcome=str(phase))
                self._recorded_phases += 1

    def _lose(self, problem: str) -> None:
        self.recorder.event(Event.LOST_PROCESS, at_ns=time.monotonic_ns(), detail=problem)
        self.note(problem)
        if self._on_lost is not None:
            on_lost, self._on_lost = self._on_lost, None
            on_lost(problem)

    def _watch_publisher(self) -> None:
        problem = self.publisher.find_loss()
        if problem is not None:
            self._lose(problem)

    def _stop_publisher(self) -> None:
        self._watch_publisher()
        problem = self.publisher.stop()
        if problem is not None:
            self.note(problem)
