"""When users carry out the scenario's commands: at times that follow from the phases alone.

Each process has its own, so nobody has to be told anything in mid-run. The users of a group
are spread over a command's ``within`` by their places in the run, over all processes alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import methodcaller
from typing import Final

import gevent
from gevent.pool import Group

from gateway.contract import ClientEvent
from loadtests.behaviours.stage import Stage, StagedUser
from loadtests.errors import ClientError
from loadtests.plan.schedule import SECOND_NS
from scenarios.schema import GATEWAY_DEEDS, Command, Deed


class CommandClock:
    """Has this process's users carry out the commands of their run.

    Args:
        stage: the users', whose steady phase is known by now.

    Raises:
        ValueError: it is not known.
    """

    def __init__(self, stage: Stage) -> None:
        steady_ns = stage.steady_ns()
        if steady_ns is None:
            raise ValueError("commands count from the steady phase, which is not planned yet")
        self._stage = stage
        self._works = Group()
        self._greenlets = [
            gevent.spawn(self._give, command, steady_ns + round(command.at_s * SECOND_NS))
            for command in stage.scenario.commands
            if command.do not in GATEWAY_DEEDS
        ]

    def stop(self) -> None:
        """Have nothing more carried out; what is under way is ended."""
        gevent.killall(self._greenlets, block=False)
        self._works.kill(block=False)

    def _give(self, command: Command, at_ns: int) -> None:
        """Have each user of the group carry out a command when its own moment comes."""
        _sleep_until(at_ns)
        stage, within_ns = self._stage, round(command.within_s * SECOND_NS)
        users = [user for user in stage.users if user.group == command.who]
        for user in sorted(users, key=lambda user: user.index):
            due_ns = at_ns + within_ns * user.index // max(stage.places.total, user.index + 1)
            if due_ns > time.monotonic_ns():
                _sleep_until(due_ns)
            if stage.is_over():
                return
            self._carry_out(user, command, due_ns)

    def _carry_out(self, user: StagedUser, command: Command, due_ns: int) -> None:
        at_once = _AT_ONCE.get(command.do)
        if at_once is not None:
            at_once(user)
        elif not user.is_on:
            asked = command.count if command.do == "send" else 1
            for column in ("offered", "missed"):
                self._stage.recorder.count(column, asked)
        else:
            self._works.spawn(_ask, user, command, due_ns)


def _ask(user: StagedUser, command: Command, due_ns: int) -> None:
    """Carry out what waits for answers; a connection that ends meanwhile is the user's news."""
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


def _sleep_until(due_ns: int) -> None:
    gevent.sleep(max(0, due_ns - time.monotonic_ns()) / SECOND_NS)


_AT_ONCE: Final[dict[Deed, Callable[[StagedUser], None]]] = {
    "drop": methodcaller("drop"),
    "return": methodcaller("come_back"),
    "pause": methodcaller("pause"),
    "resume": methodcaller("resume"),
}
