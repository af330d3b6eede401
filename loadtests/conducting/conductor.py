"""``Conductor``: turns Locust's events into a run of a scenario.

Without workers one process conducts, generates and records. With workers the master conducts
and has the run directory; each worker generates and records (``loadtests.conducting.worker``).

Locust swallows every ``Exception`` of a listener. So a refusal at the start is ``SystemExit`` in
``init`` and ``GreenletExit`` in ``test_start``. The exit code is set here alone: Locust's own
code is 1 after any failed request, but the report decides the verdict.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import gevent
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_STOPPED, MasterRunner, WorkerRunner

from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.conducting.arguments import (
    add_arguments,
    choose_tokens,
    read_arguments,
    read_metrics_token,
    refuse,
)
from loadtests.conducting.late_workers import keep_out
from loadtests.conducting.load_clock import CommandClock, LoadClock
from loadtests.conducting.locust_page import label_table, show_tab, watch_edits
from loadtests.conducting.report import report_run
from loadtests.conducting.run import Run
from loadtests.conducting.run_board import RunBoard
from loadtests.conducting.run_start import CannotBegin, RunStart
from loadtests.conducting.user_counts import follow_users, set_user_counts
from loadtests.conducting.worker import WorkerPart
from loadtests.conducting.workers import listen_to_workers
from loadtests.health.gateway_clock import time_pushes_by
from loadtests.health.time_slice import SHORT_SLICE_NS, ask_for_slices
from loadtests.oracles.ledger import LedgerRow
from loadtests.plan.division import Division
from loadtests.plan.messages import Assignment
from loadtests.plan.schedule import SECOND_NS
from loadtests.results import ExitCode, RunStatus
from loadtests.tokens import SignedTokens, Tokens
from scenarios.schema import Scenario

_ARRIVAL_S: Final = 20.0  # for the last session to connect and subscribe once it was due
_POLL_S: Final = 0.02
_EARLY_S: Final = 1.0  # a run that ends at most this much early is complete

_log = logging.getLogger(__name__)


class Conductor:
    """Runs a scenario under Locust, in the master or the only process.

    Args:
        behaviours: the user class of each group of ``[users]``.
    """

    def __init__(self, behaviours: Mapping[str, type[VirtualUser]]) -> None:
        self._behaviours = behaviours
        self._environment: Environment | None = None
        self._scenario: Scenario | None = None
        self._tokens: Tokens = SignedTokens(None)
        self._metrics_token: str | None = None
        self._run: Run | None = None
        self._context: RunContext | None = None
        self._rows: list[LedgerRow] = []
        self._directory: Path | None = None
        self._users_given = False
        self._is_staged = True
        self._session_rate: float | None = None
        self._is_interrupted = False
        self._load_ends_ns: int | None = None
        self._clock: LoadClock | None = None
        self._judging: gevent.Greenlet | None = None
        self._commands: CommandClock | None = None
        self._board = RunBoard()

    def listen(self, events: Events) -> None:
        """Register with Locust's events."""
        events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]  # Locust's own gap
        events.init.add_listener(self.prepare)  # type: ignore[no-untyped-call]  # Locust's own gap

    def prepare(self, environment: Environment, **_facts: object) -> None:
        """Take this process's part: worker, or master and only process.

        Locust has forked its ``--processes`` by now, and has started nothing.

        Raises:
            SystemExit: an argument, the secret or a token is missing or wrong.
        """
        events = environment.events
        is_worker = isinstance(environment.runner, WorkerRunner)
        scenario = None if is_worker else read_arguments(environment)
        self._tokens = choose_tokens(environment, os.environ)
        if isinstance(environment.runner, WorkerRunner):
            ask_for_slices(SHORT_SLICE_NS)
            WorkerPart(environment.runner, self._behaviours, self._tokens).listen(events)
            return
        self._environment, self._scenario = environment, scenario
        self._prepare_users(environment, scenario or read_arguments(environment))
        for hook, listener in (
            (events.test_start, self.start),
            (events.spawning_complete, self.begin_warm_up),
            (events.test_stopping, self.drain),
            (events.test_stop, self.finish),
            (events.quitting, self.quit),
        ):
            hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust's own gap
        if isinstance(environment.runner, MasterRunner):
            listen_to_workers(environment, lambda: self._run.workers if self._run else None)
            keep_out(environment, lambda: self._run)
        else:
            ask_for_slices(SHORT_SLICE_NS)
        label_table(environment)
        watch_edits(environment, lambda: self._run)
        follow_users(environment, self._behaviours, lambda: self._run)
        show_tab(environment, self._board)
        # gevent's loop time stood still while modules were loaded. Without this, Locust's -t
        # would end that much too early.
        gevent.get_hub().loop.update_now()

    def _prepare_users(self, environment: Environment, scenario: Scenario) -> None:
        """Take the scenario's users where the command line asks for no others."""
        options: Any = environment.parsed_options
        self._metrics_token = read_metrics_token(options.metrics_token)
        self._directory = Path(options.run_dir) if options.run_dir else None
        self._users_given = options.num_users is not None
        set_user_counts(environment, scenario, self._behaviours)
        if not environment.user_classes:
            refuse("none of the chosen user classes has users in the scenario")
        if scenario.phases.arrivals.kind != "constant" and environment.web_ui is None:
            # Sessions that arrive at random or in bursts need their users spawned before.
            self._session_rate = options.spawn_rate
            options.spawn_rate = max(options.spawn_rate, float(options.num_users))

    def start(self, environment: Environment, **_facts: object) -> None:
        """Check the scenario against the target's limits, and start the run.

        Raises:
            GreenletExit: the target is unreachable, or the scenario is above its limits.
        """
        options, scenario = environment.parsed_options, self._scenario
        if options is None or scenario is None:
            self._stop("nothing was prepared: Locust's init did not run")
        self._await_verdict()  # the report of the run before would disturb this one
        self._run, self._context, self._rows = None, None, []
        self._clock = self._commands = None
        self._is_interrupted = False
        begun_ns = time.monotonic_ns()  # Locust's own timer of -t counts from here
        directory, self._directory = self._directory, None  # a second run makes its own
        asked = int(options.num_users)
        if asked < 1:
            self._stop("a run needs at least one user")
        # Locust's page, too, may ask for another number than the scenario's.
        self._is_staged = not self._users_given and asked == scenario.users.total
        run_start = RunStart(
            environment=environment,
            behaviours=self._behaviours,
            scenario=scenario,
            tokens=self._tokens,
            metrics_token=self._metrics_token,
            users=scenario.most_users if self._is_staged else asked,
            session_rate=float(self._session_rate or options.spawn_rate),
            directory=directory,
        )
        try:
            run, assignment = run_start.begin(self._owner_ids, self._end_early)
        except CannotBegin as error:
            self._stop(str(error))
        self._set_context(run, scenario, assignment)
        if scenario.stages and not self._is_staged:
            by = f"{'-u' if self._users_given else 'the page:'} {asked}"
            run.note(f"{by} sets the number of users: the scenario's [[stages]] are left out")
        time_pushes_by(environment, run.clock)
        load_s = options.run_time
        self._load_ends_ns = begun_ns + round(load_s * SECOND_NS) if load_s else None
        # Python would raise KeyboardInterrupt in the greenlet that happens to run, a user's or
        # the recorder's, and end it.
        gevent.signal_handler(signal.SIGINT, self._interrupt)

    def begin_warm_up(self, **_facts: object) -> None:
        """Begin the warm-up once every user is connected and the publisher can publish.

        A spawned user is not yet subscribed.
        """
        run, context = self._run, self._context
        if run is None or context is None or not run.phases.is_ramping():
            return
        last_ns = max(time.monotonic_ns(), context.last_session_ns())
        deadline_ns = last_ns + round(_ARRIVAL_S * SECOND_NS)
        while not self._has_arrived(run, context) and time.monotonic_ns() < deadline_ns:
            gevent.sleep(_POLL_S)
        if self._run is run and self._environment is not None and not context.is_over():
            run.spawning_complete()
            self._clock = LoadClock(
                run, self._environment, self._end_load, has_stages=self._is_staged
            )
            if run.workers is None:
                self._commands = CommandClock(context)

    def drain(self, **_facts: object) -> None:
        """End the requests, wait for owed deliveries and close the ledger, while users are on."""
        run, context = self._run, self._context
        if run is None or context is None or context.is_over():
            return
        self._stop_clocks()
        context.stop_requests(time.monotonic_ns())
        last_numbers = run.drain(context.has_all)
        context.close_oracles(time.monotonic_ns())
        context.close_pushes()
        self._rows = context.ledger.close(last_numbers)

    def finish(self, environment: Environment, **_facts: object) -> None:
        """Close the run, and set the exit code."""
        run, context = self._run, self._context
        if run is None or context is None:
            return
        self._stop_clocks()
        context.sweep()
        run.finish(
            self._rows, status=self._status(run, context), problems=context.pushes.unmeasured()
        )
        environment.process_exit_code = int(self._exit_code(run))
        self._run = None
        is_judged = not (environment.parsed_options and environment.parsed_options.no_report)
        self._board.end(is_judged=is_judged)
        if not is_judged:
            return
        self._judging = gevent.spawn(self._judge, environment, run.directory)
        if environment.web_ui is None:
            self._judging.join()  # the page answers meanwhile

    def _judge(self, environment: Environment, directory: Path) -> None:
        """Finish and judge a run; its verdict is the exit code unless a worse thing happened."""
        code = report_run(directory)
        self._board.judge(directory)
        if environment.process_exit_code == ExitCode.PASS:
            environment.process_exit_code = code

    def quit(self, environment: Environment, **_facts: object) -> None:
        """End a run that a signal cut short, while Locust can still be told the exit code."""
        runner, context = environment.runner, self._context
        if runner is not None and self._run is not None and runner.state != STATE_STOPPED:
            is_ending = context is not None and context.is_over()
            self._is_interrupted = self._is_interrupted or not is_ending
            runner.stop()
        self._await_verdict()

    def _await_verdict(self) -> None:
        if self._judging is not None:
            self._judging.join()

    def _set_context(self, run: Run, scenario: Scenario, assignment: Assignment) -> None:
        """Give this process's users their run context. A master with workers has no users."""
        division = Division(counts=assignment.counts, rank=0)
        context = RunContext.of(
            assignment, scenario, division, recorder=run.recorder, tokens=self._tokens
        )
        for user_class in self._behaviours.values():
            user_class.run_context = context
        self._run, self._context = run, context
        self._board.begin(run.directory, scenario.budgets, run.live)

    def _stop_clocks(self) -> None:
        """Stop load stages and commands."""
        for clock in (self._clock, self._commands):
            if clock is not None:
                clock.stop()

    def _owner_ids(self) -> list[str]:
        run, context = self._run, self._context
        if run is not None and run.workers is not None:
            return run.workers.owner_ids()
        return [] if context is None else list(context.owner_ids())

    def _has_arrived(self, run: Run, context: RunContext) -> bool:
        options: Any = self._environment.parsed_options if self._environment else None
        if not run.publisher.is_ready:
            return False
        if run.workers is not None:
            return run.workers.is_complete(options.num_users) or run.worker_lost
        return context.is_complete()

    def _stop(self, message: str) -> NoReturn:
        """End a run that cannot start. gevent prints no traceback for ``GreenletExit``."""
        _log.error("%s", message)
        if self._environment is not None:
            self._environment.process_exit_code = int(ExitCode.USAGE)
            gevent.spawn(self._end_load)
        raise gevent.GreenletExit

    def _end_early(self, problem: str) -> None:
        """End the load from another greenlet, because ending it also kills the caller."""
        _log.error("%s; the load ends here", problem)
        gevent.spawn(self._end_load)

    def _end_load(self) -> None:
        environment = self._environment
        if environment is None or environment.runner is None:
            return
        if environment.web_ui is None:
            environment.runner.quit()
        else:
            environment.runner.stop()

    def _interrupt(self) -> None:
        """End the load on Ctrl-C. The run is already closing on a second one."""
        environment = self._environment
        if self._is_interrupted or environment is None or environment.runner is None:
            return
        if self._run is not None:
            self._is_interrupted = True
        environment.runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()  # type: ignore[no-untyped-call]  # Locust's own gap

    def _status(self, run: Run, context: RunContext) -> RunStatus:
        if run.has_lost:
            return RunStatus.ABORTED
        ended_ns = context.end_ns or time.monotonic_ns()
        planned_ns = self._load_ends_ns or run.steady_end_ns()
        if self._is_interrupted or planned_ns is None or ended_ns < planned_ns - _EARLY_S * 1e9:
            return RunStatus.INTERRUPTED
        return RunStatus.COMPLETE

    def _exit_code(self, run: Run) -> ExitCode:
        if run.has_lost:
            return ExitCode.INVALID
        return ExitCode.INTERRUPTED if self._is_interrupted else ExitCode.PASS
