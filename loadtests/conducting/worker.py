"""``WorkerPart``: listens to Locust and the master, and runs the worker's part of each run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import gevent
from locust import argument_parser, runners
from locust.env import Environment
from locust.event import Events
from locust.rpc import Message
from locust.runners import WorkerRunner

from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.conducting.worker_parcels import load_packer
from loadtests.conducting.worker_run import MasterClock, WorkerRun
from loadtests.health.descriptors import raise_limit
from loadtests.plan.messages import CLOCK, CLOSE, PHASES, RUN_OPTION, TAKEN, Assignment
from loadtests.plan.preflight import GENERATOR_DESCRIPTORS, descriptors_problem
from loadtests.processes import die_with_parent
from loadtests.tokens import Tokens

REPORT_EACH_S: Final = 1.0
PATIENCE_S: Final = 30.0


class WorkerPart:
    """A worker's part of every run that its master begins.

    Args:
        runner: the worker's.
        behaviours: the user class of each group.
        tokens: gives each client its token.
    """

    def __init__(
        self, runner: WorkerRunner, behaviours: Mapping[str, type[VirtualUser]], tokens: Tokens
    ) -> None:
        self._runner = runner
        self._behaviours = behaviours
        self._tokens = tokens
        self._clock = MasterClock(runner)
        self._run: WorkerRun | None = None
        self._is_interrupted = False
        # With Locust's default the live figures of a run would be three seconds old.
        runners.WORKER_REPORT_INTERVAL = REPORT_EACH_S
        remember_default_options()
        load_packer()

    def listen(self, events: Events) -> None:
        """Register with Locust, and begin to ask for the master's time."""
        for hook, listener in (
            (events.test_start, self.start),
            (events.test_stop, self.finish),
            (events.report_to_master, self.report),
            (events.quitting, self.finish),
        ):
            hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust's own gap
        self._runner.register_message(CLOCK, lambda msg, **_facts: self._clock.take(msg.data))
        self._runner.register_message(PHASES, self._pass(WorkerRun.take_phases))
        self._runner.register_message(TAKEN, self._pass(WorkerRun.take_receipt))
        self._runner.register_message(CLOSE, self._pass(WorkerRun.close), concurrent=True)
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        options = self._runner.environment.parsed_options
        if options is not None and options.processes:
            die_with_parent(signal.SIGTERM, os.getppid())
        self._clock.start()

    def start(self, environment: Environment, **_facts: object) -> None:
        """Begin the run that came with the first users."""
        assignment = Assignment(**getattr(environment.parsed_options, RUN_OPTION))
        self._run = WorkerRun(self._runner, assignment, self._clock, self._tokens)
        own = self._run.run_context.places.own
        problem = descriptors_problem("load generator", own, GENERATOR_DESCRIPTORS, raise_limit())
        if problem is not None:
            self._run.lose(problem)
        for user_class in self._behaviours.values():
            user_class.run_context = self._run.run_context

    def report(self, client_id: str, data: dict[str, Any], **_facts: object) -> None:  # noqa: ARG002 - Locust's shape
        """Add this worker's rows to Locust's report."""
        if self._run is not None:
            self._run.report(data)

    def finish(self, **_facts: object) -> None:
        """Leave a run that is not closed, and close the connections that users left open."""
        if self._run is not None:
            self._run.leave()
            self._run.run_context.sweep()

    def _pass(self, take: Callable[[WorkerRun, Any], None]) -> Callable[..., None]:
        """Return a listener that passes a message's content to the current run."""

        def listener(msg: Message, **_facts: object) -> None:
            if self._run is not None:
                take(self._run, msg.data)

        return listener

    def _interrupt(self) -> None:
        """Leave a first Ctrl-C to the master, which gets it too. A second one ends this process."""
        if self._is_interrupted or self._run is None:
            self._runner.quit()
            return
        self._is_interrupted = True
        gevent.spawn_later(PATIENCE_S, self._runner.quit)


def remember_default_options() -> None:
    """Cache which options are Locust's own (Locust 2.47, ``WorkerRunner``).

    Locust builds a parser, 4 ms, for each of about 80 options of each spawn message, and gets
    one message a second during the ramp. That uses a third of a core, which then reads no sockets.
    """
    argument_parser.default_args_dict = lru_cache(maxsize=1)(_default_options)


_default_options: Final = argument_parser.default_args_dict
