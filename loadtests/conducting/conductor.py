"""The conductor: Locust's events made into a run of a scenario.

Alone, one process conducts, generates and records. With workers the master conducts and
has the run directory, and each worker generates and records (``loadtests.conducting.member``).

Locust swallows each ``Exception`` that a listener raises; so a refusal
at the start is ``SystemExit`` in ``init`` and ``GreenletExit`` in ``test_start``.
The exit code is set here wholly: Locust's own (1 for any failed request) would
judge what the report has to.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import gevent
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_STOPPED, MasterRunner, WorkerRunner

from loadtests.behaviours.stage import Stage
from loadtests.behaviours.users import VirtualUser
from loadtests.conducting.arguments import (
    GATEWAY_START_S,
    SECRET_VARIABLE,
    add_arguments,
    await_host,
    refuse,
)
from loadtests.conducting.casting import cast_users
from loadtests.conducting.command_clock import CommandClock
from loadtests.conducting.crew import listen_to_workers
from loadtests.conducting.face import label_table, show_tab
from loadtests.conducting.load_clock import LoadClock
from loadtests.conducting.opening import CannotBegin, Opening
from loadtests.conducting.run import Run
from loadtests.conducting.staging import plan_sessions, set_stage, take_gateway_clock
from loadtests.conducting.worker import WorkerPart
from loadtests.health.live_file import LiveFile
from loadtests.health.time_slice import SHORT_SLICE_NS, ask_for_slices
from loadtests.oracles.ledger import LedgerRow
from loadtests.plan.division import Division
from loadtests.plan.messages import Assignment
from loadtests.plan.schedule import SECOND_NS
from loadtests.results import ExitCode, RunStatus
from scenarios.schema import Scenario, ScenarioError, read_scenario

_ARRIVAL_S: Final = 20.0  # for the last session to be connected and subscribed once it was due
_POLL_S: Final = 0.02
_EARLY_S: Final = 1.0  # a run that lasted all but this of its time is complete

_log = logging.getLogger(__name__)


class Conductor:
    """Runs a scenario under Locust.

    Args:
        behaviours: the user class of each group of ``[users]``.
    """

    def __init__(self, behaviours: Mapping[str, type[VirtualUser]]) -> None:
        self._behaviours = behaviours
        self._environment: Environment | None = None
        self._scenario: Scenario | None = None
        self._secret = ""
        self._run: Run | None = None
        self._stage: Stage | None = None
        self._rows: list[LedgerRow] = []
        self._directory: Path | None = None
        self._users_given = False
        self._session_rate: float | None = None
        self._is_interrupted = False
        self._load_ends_ns: int | None = None
        self._sessions_end_ns = 0
        self._clock: LoadClock | None = None
        self._commands: CommandClock | None = None
        self._live: LiveFile | None = None  # outlives its run: the page still shows the end

    def listen(self, events: Events) -> None:
        """Register with Locust's events."""
        _listen(events.init_command_line_parser, add_arguments)
        _listen(events.init, self.prepare)

    def prepare(self, environment: Environment, **_facts: object) -> None:
        """Take the part that this process has: master, worker, or all at once.

        Locust has forked its ``--processes`` by now, and has not started anything.
        """
        self._secret = os.environ.get(SECRET_VARIABLE, "")
        events = environment.events
        if isinstance(environment.runner, WorkerRunner):
            if not self._secret:
                refuse(f"{SECRET_VARIABLE} is not set; a worker needs the gateway's own secret")
            ask_for_slices(SHORT_SLICE_NS)
            WorkerPart(environment.runner, self._behaviours, self._secret).listen(events)
            return
        self._environment = environment
        self._read(environment)
        for hook, listener in (
            (events.test_start, self.start),
            (events.spawning_complete, self.begin_warm_up),
            (events.test_stopping, self.drain),
            (events.test_stop, self.finish),
            (events.quitting, self.quit),
        ):
            _listen(hook, listener)
        if isinstance(environment.runner, MasterRunner):
            listen_to_workers(environment, lambda: self._run.crew if self._run else None)
        else:
            ask_for_slices(SHORT_SLICE_NS)
        label_table(environment)
        show_tab(environment, lambda: self._live.newest if self._live else {})
        # Timers count from the loop's own time, which stood still while modules were loaded:
        # Locust's -t would end that much too early.
        gevent.get_hub().loop.update_now()

    def _read(self, environment: Environment) -> None:
        """Read the scenario; give Locust its users and rate as defaults."""
        options = environment.parsed_options
        if options is None or not options.scenario:
            refuse("--scenario is missing; try --scenario scenarios/smoke.toml")
        try:
            scenario = read_scenario(Path(options.scenario))
        except ScenarioError as error:
            refuse(str(error))
        except OSError as error:
            refuse(f"--scenario {options.scenario}: {error.strerror}")
        if not self._secret:
            refuse(f"{SECRET_VARIABLE} is not set; it must hold the gateway's own secret")
        self._scenario = scenario
        self._directory = Path(options.run_dir) if options.run_dir else None
        if options.gateway_log:
            environment.host = await_host(Path(options.gateway_log), GATEWAY_START_S)
        cast_users(environment, scenario, self._behaviours)
        if not environment.user_classes:
            refuse("none of the chosen user classes has users in the scenario")
        self._users_given = options.num_users is not None
        if options.num_users is None:
            options.num_users = scenario.users.total
        if options.spawn_rate is None:
            options.spawn_rate = scenario.phases.spawn_rate
        if scenario.phases.arrivals.kind != "constant" and environment.web_ui is None:
            # Sessions that come at random or at once must find their users there already.
            self._session_rate = options.spawn_rate
            options.spawn_rate = max(options.spawn_rate, float(options.num_users))

    def start(self, environment: Environment, **_facts: object) -> None:
        """Hold the scenario to the target's limits, and begin the run.

        Raises:
            GreenletExit: the target is unreachable, or the scenario is above its limits.
        """
        options, scenario = environment.parsed_options, self._scenario
        if options is None or scenario is None:
            self._stop("nothing was prepared: Locust's init did not run")
        self._run, self._stage, self._rows = None, None, []
        self._clock = self._commands = None
        self._is_interrupted = False
        begun_ns = time.monotonic_ns()  # Locust's own timer of -t runs from here
        directory, self._directory = self._directory, None  # a second run has one of its own
        asked = int(options.num_users)
        opening = Opening(
            environment=environment,
            behaviours=self._behaviours,
            scenario=scenario,
            secret=self._secret,
            users=asked if self._users_given else max(scenario.most_users, asked),
            session_rate=float(self._session_rate or options.spawn_rate),
            directory=directory,
        )
        try:
            run, assignment = opening.begin(self._trader_ids, self._end_early)
        except CannotBegin as error:
            self._stop(str(error))
        self._take_stage(run, scenario, assignment)
        load_s = options.run_time
        self._load_ends_ns = begun_ns + round(load_s * SECOND_NS) if load_s else None
        self._handle_interrupt()

    def begin_warm_up(self, **_facts: object) -> None:
        """Let the publisher begin once everybody is there; spawned is not yet subscribed."""
        run = self._run
        if run is None or not run.is_ramping():
            return
        now_ns = time.monotonic_ns()
        deadline_ns = max(now_ns, self._sessions_end_ns) + round(_ARRIVAL_S * SECOND_NS)
        while not self._has_arrived(run) and time.monotonic_ns() < deadline_ns:
            gevent.sleep(_POLL_S)
        if self._run is run and self._environment is not None and not self._is_ending():
            run.spawning_complete()
            self._clock = LoadClock(
                run, self._environment, self._end_load, has_stages=not self._users_given
            )
            if run.crew is None and self._stage is not None:
                self._commands = CommandClock(self._stage)

    def drain(self, **_facts: object) -> None:
        """End the requests, wait for what is owed, close the ledger; users are still connected."""
        run, stage = self._run, self._stage
        if run is None or stage is None or stage.end_ns is not None:
            return
        self._stop_clocks()
        stage.stop_requests(time.monotonic_ns())
        last_numbers = run.drain(stage.ledger.owes_nothing)
        stage.close_oracles(time.monotonic_ns())
        stage.close_pushes()
        self._rows = stage.ledger.close(last_numbers)

    def finish(self, environment: Environment, **_facts: object) -> None:
        """Sweep what the users left, end the run, set the exit code."""
        run, stage = self._run, self._stage
        if run is None or stage is None:
            return
        self._stop_clocks()
        stage.sweep()
        run.finish(self._rows, status=self._status(run, stage), problems=stage.pushes.unmeasured())
        environment.process_exit_code = int(self._exit_code(run))
        self._run = None
        print(  # noqa: T201 - the line to type next
            f"\nrun directory: {run.directory}\nnext: tidegate report "
            f"{shlex.quote(str(run.directory))}",
            flush=True,
        )

    def quit(self, environment: Environment, **_facts: object) -> None:
        """End a run that a signal cuts short while Locust can still be told the exit code."""
        runner = environment.runner
        if runner is not None and self._run is not None and runner.state != STATE_STOPPED:
            self._is_interrupted = self._is_interrupted or not self._is_ending()
            runner.stop()

    def _take_stage(self, run: Run, scenario: Scenario, assignment: Assignment) -> None:
        """Set the stage for this process's users; with workers it stays empty."""
        division = Division(counts=assignment.counts, rank=0)
        stage = set_stage(
            scenario, assignment, division, recorder=run.recorder, secret=self._secret
        )
        if self._environment is not None:
            take_gateway_clock(self._environment, run.clock)
        last = max(0, assignment.session_count - 1)
        self._sessions_end_ns = plan_sessions(scenario, assignment).due_ns(last)
        for user_class in self._behaviours.values():
            user_class.stage = stage
        self._run, self._stage, self._live = run, stage, run.live

    def _stop_clocks(self) -> None:
        """Have nothing more ordered or changed."""
        for clock in (self._clock, self._commands):
            if clock is not None:
                clock.stop()

    def _trader_ids(self) -> list[str]:
        run, stage = self._run, self._stage
        if run is not None and run.crew is not None:
            return run.crew.trader_ids()
        return [] if stage is None else list(stage.trader_ids())

    def _has_arrived(self, run: Run) -> bool:
        options: Any = self._environment.parsed_options if self._environment else None
        if run.crew is not None:
            return run.crew.is_complete(options.num_users) or run.worker_lost
        return self._stage is not None and self._stage.is_complete()

    def _is_ending(self) -> bool:
        return self._stage is not None and self._stage.is_over()

    def _stop(self, words: str) -> NoReturn:
        """End what has hardly begun; gevent prints no traceback for GreenletExit."""
        _log.error("%s", words)
        if self._environment is not None:
            self._environment.process_exit_code = int(ExitCode.USAGE)
            gevent.spawn(self._end_load)
        raise gevent.GreenletExit

    def _end_early(self, words: str) -> None:
        """End the load from another greenlet: the caller is part of what is stopped."""
        _log.error("%s; the load ends here", words)
        gevent.spawn(self._end_load)

    def _end_load(self) -> None:
        environment = self._environment
        if environment is None or environment.runner is None:
            return
        if environment.web_ui is None:
            environment.runner.quit()
        else:
            environment.runner.stop()

    def _handle_interrupt(self) -> None:
        # Python would raise KeyboardInterrupt in whichever greenlet happens to run,
        # a user's or the recorder's, and that one would be lost.
        gevent.signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        if self._is_interrupted:
            return  # a second one finds the run being closed already
        environment = self._environment
        if environment is None or environment.runner is None:
            return
        if self._run is not None:
            self._is_interrupted = True
        environment.runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()  # type: ignore[no-untyped-call]  # Locust's own gap

    def _status(self, run: Run, stage: Stage) -> RunStatus:
        if run.publisher_lost or run.target_lost or run.worker_lost:
            return RunStatus.ABORTED
        ended_ns = stage.end_ns or time.monotonic_ns()
        planned_ns = self._load_ends_ns or run.steady_end_ns()
        if self._is_interrupted or planned_ns is None or ended_ns < planned_ns - _EARLY_S * 1e9:
            return RunStatus.INTERRUPTED
        return RunStatus.COMPLETE

    def _exit_code(self, run: Run) -> ExitCode:
        if run.publisher_lost or run.target_lost or run.worker_lost:
            return ExitCode.INVALID
        return ExitCode.INTERRUPTED if self._is_interrupted else ExitCode.PASS


def _listen(hook: Any, listener: Callable[..., None]) -> None:
    hook.add_listener(listener)
