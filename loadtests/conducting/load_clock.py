"""``LoadClock``: changes and ends the load, and gives commands, at the scenario's fixed times."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from locust.env import Environment

from loadtests.conducting.run import Run
from loadtests.health.pulse import sleep_until
from loadtests.plan.schedule import SECOND_NS
from loadtests.results import Event, Phase
from scenarios.schema import GATEWAY_DEEDS


class LoadClock:
    """Applies the load stages of a run, records its commands, and ends its load.

    Args:
        run: the run, whose steady phase the times count from.
        environment: Locust's.
        end: ends the load; called in a greenlet of its own.
        has_stages: whether the scenario's load stages apply. They do not when the command line
            gives another number of users.
    """

    def __init__(
        self, run: Run, environment: Environment, end: Callable[[], None], *, has_stages: bool
    ) -> None:
        self._run = run
        self._environment = environment
        self._end = end
        works = [self._end_when_due, self._give_orders]
        works += [self._walk_stages] if has_stages else []
        self._greenlets = [gevent.spawn(work) for work in works]

    def stop(self) -> None:
        """Stop. A greenlet of this clock may call it and is not killed."""
        others = [g for g in self._greenlets if g is not gevent.getcurrent()]
        gevent.killall(others, block=False)

    def _end_when_due(self) -> None:
        """End the load at the scenario's end. Locust's own timer ends a load with ``-t``."""
        end_ns = self._run.steady_end_ns()
        if end_ns is not None:
            sleep_until(end_ns)
            gevent.spawn(self._end)

    def _give_orders(self) -> None:
        """Record each command when it is due, and carry out those to the gateway.

        Users carry out theirs in their own processes, at the same times.
        """
        steady_ns = self._run.phases.start_ns(Phase.STEADY)
        if steady_ns is None:
            return
        for command in self._run.scenario.commands:
            at_ns = steady_ns + round(command.at_s * SECOND_NS)
            sleep_until(at_ns)
            self._run.recorder.event(
                Event.COMMAND,
                at_ns=at_ns,
                group=command.who,
                outcome=command.do,
                value_ns=round(command.within_s * SECOND_NS),
                detail=f"{command.count} each" if command.count else "",
            )
            if command.do in GATEWAY_DEEDS:
                self._run.order_gateway(command.do, at_ns)

    def _walk_stages(self) -> None:
        steady_ns = self._run.phases.start_ns(Phase.STEADY)
        runner = self._environment.runner
        if steady_ns is None or runner is None:
            return
        for stage in self._run.scenario.stages:
            sleep_until(steady_ns + round(stage.at_s * SECOND_NS))
            runner.start(stage.users, stage.spawn_rate)
