"""The conductor: Locust's events made into a run of a scenario.

Locust swallows each ``Exception`` that a listener raises; so a refusal
at the start is ``SystemExit`` in ``init`` and ``GreenletExit`` in ``test_start``.
The exit code is set here wholly: Locust's own (1 for any failed request) would
judge what the report has to.
"""

from __future__ import annotations

import logging
import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import gevent
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_STOPPED

from loadtests.errors import ClientError
from loadtests.handshake import parse_target
from loadtests.ledger import LedgerRow
from loadtests.preflight import (
    fetch_welcome,
    heartbeat_problem,
    limits_exceeded,
    planned_users,
)
from loadtests.results import ExitCode, RunStatus
from loadtests.run import Run
from loadtests.stage import Stage
from loadtests.users import VirtualUser
from scenarios.schema import Scenario, ScenarioError, read_scenario

SECRET_VARIABLE: Final = "JWT_SECRET"  # noqa: S105 - a variable's name
_DISTRIBUTED: Final = {
    "processes": "--processes",
    "master": "--master",
    "worker": "--worker",
}
_ARRIVAL_S: Final = 20.0  # for the last user spawned to be connected and subscribed
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
        self._problems: list[str] = []
        self._directory: Path | None = None
        self._is_interrupted = False
        self._load_ends_ns: int | None = None

    def listen(self, events: Events) -> None:
        """Register with Locust's events."""
        for hook, listener in (
            (events.init_command_line_parser, self.add_arguments),
            (events.init, self.prepare),
            (events.test_start, self.start),
            (events.spawning_complete, self.begin_warm_up),
            (events.test_stopping, self.drain),
            (events.test_stop, self.finish),
            (events.quitting, self.quit),
        ):
            hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust's own gap

    def add_arguments(self, parser: LocustArgumentParser, **_facts: object) -> None:
        """Add our arguments. The secret is none of them: a command line is public."""
        for name, variable, words in (
            ("--scenario", "LOCUST_SCENARIO", "scenario file, such as scenarios/smoke.toml"),
            ("--run-dir", "LOCUST_RUN_DIR", "run directory; by default a new one under runs/"),
            ("--gateway-pid", "LOCUST_GATEWAY_PID", "the gateway's process when it is our own"),
        ):
            parser.add_argument(
                name,
                env_var=variable,
                include_in_web_ui=False,
                metavar="<int>" if name == "--gateway-pid" else "<path>",
                type=int if name == "--gateway-pid" else str,
                help=words,
            )
        parse = parser.parse_args

        def parse_here(*arguments: Any, **keywords: Any) -> Any:
            # --processes forks right after the arguments are read: refuse before.
            options = parse(*arguments, **keywords)
            refuse_distribution(options)
            return options

        setattr(parser, "parse_args", parse_here)  # noqa: B010 - mypy takes no assignment to a method

    def prepare(self, environment: Environment, **_facts: object) -> None:
        """Read scenario and secret; give Locust the scenario's users, rate and time as defaults."""
        options = environment.parsed_options
        if options is None or not options.scenario:
            _refuse("--scenario is missing; try --scenario scenarios/smoke.toml")
        try:
            scenario = read_scenario(Path(options.scenario))
        except ScenarioError as error:
            _refuse(str(error))
        except OSError as error:
            _refuse(f"--scenario {options.scenario}: {error.strerror}")
        self._secret = os.environ.get(SECRET_VARIABLE, "")
        if not self._secret:
            _refuse(f"{SECRET_VARIABLE} is not set; it must hold the gateway's own secret")
        self._environment = environment
        self._scenario = scenario
        self._directory = Path(options.run_dir) if options.run_dir else None
        self._cast(environment, scenario)
        if options.num_users is None:
            options.num_users = scenario.users.total
        if options.spawn_rate is None:
            options.spawn_rate = scenario.phases.spawn_rate
        if options.run_time is None:
            options.run_time = math.ceil(scenario.load_s)

    def start(self, environment: Environment, **_facts: object) -> None:
        """Hold the scenario to the target's limits, and begin the run.

        Raises:
            GreenletExit: the target is unreachable, or the scenario is above its limits.
        """
        options = environment.parsed_options
        scenario = self._scenario
        if options is None or scenario is None:
            self._stop("nothing was prepared: Locust's init did not run")
        self._run, self._stage, self._rows, self._problems = None, None, [], []
        self._is_interrupted = False
        begun_ns = time.monotonic_ns()  # Locust's own timer of -t runs from here
        url = (environment.host or "").rstrip("/")
        welcome = self._probe(url, scenario, options.num_users, options.spawn_rate)
        run = self._begin(url, scenario, welcome, options)
        problem = heartbeat_problem(scenario, welcome)
        if problem is not None:
            run.note(problem)
        load_s = options.run_time
        self._load_ends_ns = begun_ns + round(load_s * 1e9) if load_s else None
        self._handle_interrupt()

    def begin_warm_up(self, **_facts: object) -> None:
        """Let the publisher begin once everybody is there; spawned is not yet subscribed."""
        run, stage = self._run, self._stage
        if run is None or stage is None:
            return
        deadline_ns = time.monotonic_ns() + round(_ARRIVAL_S * 1e9)
        while not stage.is_complete() and time.monotonic_ns() < deadline_ns:
            gevent.sleep(_POLL_S)
        if self._run is run and not stage.is_over():
            run.spawning_complete()

    def drain(self, **_facts: object) -> None:
        """End the requests, wait for what is owed, close the ledger; users are still connected."""
        run, stage = self._run, self._stage
        if run is None or stage is None or stage.end_ns is not None:
            return
        stage.stop_requests(time.monotonic_ns())
        last_numbers = run.drain(stage.ledger.owes_nothing)
        stage.close_oracles(time.monotonic_ns())
        self._rows = stage.ledger.close(last_numbers)

    def finish(self, environment: Environment, **_facts: object) -> None:
        """Sweep what the users left, end the run, set the exit code."""
        run, stage = self._run, self._stage
        if run is None or stage is None:
            return
        self._sweep(stage)
        status = self._status(run, stage)
        run.finish(self._rows, status=status, problems=self._problems)
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
            self._is_interrupted = True
            runner.stop()

    def _cast(self, environment: Environment, scenario: Scenario) -> None:
        """Give each behaviour its weight; the few abusers are a fixed count."""
        for group, user_class in self._behaviours.items():
            settings = getattr(scenario.users, group)
            if settings is None or settings.count == 0:
                if user_class in environment.user_classes:
                    environment.user_classes.remove(user_class)
            elif group == "abuser":
                user_class.fixed_count = settings.count
            else:
                user_class.weight = settings.count
        if not environment.user_classes:
            _refuse("none of the chosen user classes has users in the scenario")

    def _probe(self, url: str, scenario: Scenario, users: int, spawn_rate: float) -> dict[str, Any]:
        try:
            welcome = fetch_welcome(url, self._secret)
            host = parse_target(url).host
        except ClientError as error:
            self._stop(f"no welcome from the target: {error}")
        problems = limits_exceeded(
            scenario,
            host=host,
            users=users,
            spawn_rate=spawn_rate,
            limits=welcome.get("limits", {}),
        )
        if problems:
            self._stop("the scenario is above the target's limits: " + "; ".join(problems))
        return welcome

    def _begin(self, url: str, scenario: Scenario, welcome: dict[str, Any], options: Any) -> Run:
        directory, self._directory = self._directory, None  # a second run has one of its own
        stages: list[Stage] = []
        try:
            run = Run.begin(
                scenario,
                directory=directory,
                target_url=url,
                secret=self._secret,
                welcome=welcome,
                users=planned_users(scenario, options.num_users),
                user_ids=lambda: stages[0].trader_ids(),  # noqa: PLW0108 - the stage comes after the run
                spawn_rate=options.spawn_rate,
                load_s=options.run_time,
                command=sys.argv,
                embedded_pid=options.gateway_pid,
                on_lost=self._end_early,
            )
        except FileExistsError as error:
            self._stop(f"--run-dir holds a run already: {error}")
        stage = Stage(
            scenario=scenario, secret=self._secret, recorder=run.recorder, t0_ns=run.t0_ns
        )
        stages.append(stage)
        for user_class in self._behaviours.values():
            user_class.stage = stage
        self._run, self._stage = run, stage
        return run

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

    def _sweep(self, stage: Stage) -> None:
        left = [user for user in stage.users if user.client and not user.client.is_closed]
        for user in left:
            user.close()

    def _status(self, run: Run, stage: Stage) -> RunStatus:
        if run.publisher_lost or run.target_lost:
            return RunStatus.ABORTED
        ended_ns = stage.end_ns or time.monotonic_ns()
        planned_ns = self._load_ends_ns
        if self._is_interrupted or (planned_ns and ended_ns < planned_ns - _EARLY_S * 1e9):
            return RunStatus.INTERRUPTED
        return RunStatus.COMPLETE

    def _exit_code(self, run: Run) -> ExitCode:
        if run.publisher_lost or run.target_lost:
            return ExitCode.INVALID
        return ExitCode.INTERRUPTED if self._is_interrupted else ExitCode.PASS


def refuse_distribution(options: Any) -> None:
    """End the program with 2 when several processes are asked for."""
    asked = [flag for name, flag in _DISTRIBUTED.items() if getattr(options, name, None)]
    if asked:
        _refuse(f"{', '.join(asked)}: runs of several processes are not there yet; leave it out")


def _refuse(words: str) -> NoReturn:
    sys.stderr.write(f"tidegate: {words}\n")
    raise SystemExit(int(ExitCode.USAGE))
