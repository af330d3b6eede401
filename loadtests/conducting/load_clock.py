"""What happens at the scenario's fixed times: ``LoadClock`` for a run, ``CommandClock`` for users.

The times of commands follow from the phases alone, so no messages are needed during the run. The
users of a group are spread over a command's ``within`` by their places, over all processes alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import methodcaller
from typing import Final

import gevent
from gevent.pool import Group
from locust.env import Environment

from gateway.contract import ClientEvent
from loadtests.behaviours.commanded_user import CommandedUser
from loadtests.behaviours.run_context import RunContext
from loadtests.conducting.run import Run
from loadtests.errors import ClientError
from loadtests.health.pulse import sleep_until
from loadtests.plan.nodes import node_name
from loadtests.plan.schedule import SECOND_NS
from loadtests.record.gateway_orders import RESTARTED_WITHIN_S
from loadtests.results import Event, Phase
from scenarios.schema import GATEWAY_DEEDS, Command, Deed

_POLL_S: Final = 0.05


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
            if command.node:
                at_ns = self._await_others(command, at_ns)
            self._run.recorder.event(
                Event.COMMAND,
                at_ns=at_ns,
                group=command.who,
                outcome=command.do,
                value_ns=round(command.within_s * SECOND_NS),
                detail=_detail_of(command),
            )
            if command.do in GATEWAY_DEEDS:
                self._run.order_gateway(command.do, at_ns, command.node)

    def _await_others(self, command: Command, at_ns: int) -> int:
        """Wait until all nodes but the one to end answer: one after the other restarts.

        Returns:
            The time of the command, monotonic ns: the planned one where there was no wait.
        """
        now_ns, until_ns = at_ns, at_ns + round(RESTARTED_WITHIN_S * SECOND_NS)
        while not self._run.nodes.others_answer(command.node):
            if now_ns > until_ns:
                self._run.note(f"{command.do} of {_detail_of(command)}: another node is away")
                break
            gevent.sleep(_POLL_S)
            now_ns = time.monotonic_ns()
        return now_ns

    def _walk_stages(self) -> None:
        steady_ns = self._run.phases.start_ns(Phase.STEADY)
        runner = self._environment.runner
        if steady_ns is None or runner is None:
            return
        for stage in self._run.scenario.stages:
            sleep_until(steady_ns + round(stage.at_s * SECOND_NS))
            runner.start(stage.users, stage.spawn_rate)


def _detail_of(command: Command) -> str:
    """Return which node a command ends, or what each user does."""
    if command.node:
        return node_name(command.node - 1)
    return f"{command.count} each" if command.count else ""


class CommandClock:
    """Has this process's users carry out the commands of their run.

    Args:
        run_context: the users', with a planned steady phase.

    Raises:
        ValueError: the steady phase is not planned.
    """

    def __init__(self, run_context: RunContext) -> None:
        steady_ns = run_context.steady_ns()
        if steady_ns is None:
            raise ValueError("commands count from the steady phase, which is not planned")
        self._run_context = run_context
        self._works = Group()
        self._greenlets = [
            gevent.spawn(self._give, command, steady_ns + round(command.at_s * SECOND_NS))
            for command in run_context.scenario.commands
            if command.do not in GATEWAY_DEEDS
        ]

    def stop(self) -> None:
        """Stop all commands, also those under way."""
        gevent.killall(self._greenlets, block=False)
        self._works.kill(block=False)

    def _give(self, command: Command, at_ns: int) -> None:
        """Have each user of the group carry out a command at its own time."""
        sleep_until(at_ns)
        run_context, within_ns = self._run_context, round(command.within_s * SECOND_NS)
        users = [user for user in run_context.users if isinstance(user, CommandedUser)]
        told = [user for user in users if user.group == command.who]
        for user in sorted(told, key=lambda user: user.index):
            due_ns = at_ns + within_ns * user.index // max(run_context.places.total, user.index + 1)
            if due_ns > time.monotonic_ns():
                sleep_until(due_ns)
            if run_context.is_over():
                return
            self._carry_out(user, command, due_ns)

    def _carry_out(self, user: CommandedUser, command: Command, due_ns: int) -> None:
        at_once = _AT_ONCE.get(command.do)
        if at_once is not None:
            at_once(user)
        elif not user.is_on:
            asked = command.count if command.do == "send" else 1
            for column in ("offered", "missed"):
                self._run_context.recorder.count(column, asked)
        else:
            self._works.spawn(_ask, user, command, due_ns)


def _ask(user: CommandedUser, command: Command, due_ns: int) -> None:
    """Carry out a command that waits for answers. The user records the end of its connection."""
    try:
        if command.do == "subscribe":
            user.hold_more(command.count, due_ns)
        elif command.do == "unsubscribe":
            user.let_go(due_ns)
        else:
            for _ in range(command.count):
                user.request(ClientEvent.GET_SUBSCRIPTIONS, None, due_ns)
    except ClientError:
        return


_AT_ONCE: Final[dict[Deed, Callable[[CommandedUser], None]]] = {
    "drop": methodcaller("drop"),
    "return": methodcaller("come_back"),
    "pause": methodcaller("pause"),
    "resume": methodcaller("resume"),
}
