"""Who plays what: the scenario's groups as Locust's user classes, and how many go where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerNode

from loadtests.behaviours.users import VirtualUser
from scenarios.schema import Scenario

FIXED: Final = ("abuser", "bad_token", "expiring", "dead_peer", "slow_reader", "never_reader")
"""Groups of a fixed count: a stage or ``-u`` brings more or fewer of the others alone."""
LOCAL: Final = "local"
"""The id of the only process of a run without workers."""


def cast_users(
    environment: Environment, scenario: Scenario, behaviours: Mapping[str, type[VirtualUser]]
) -> None:
    """Give each behaviour its weight; those who ask for trouble are a fixed count.

    A class without users in the scenario is taken out of the environment.
    """
    for group, user_class in behaviours.items():
        settings = getattr(scenario.users, group)
        if settings is None or settings.count == 0:
            if user_class in environment.user_classes:
                environment.user_classes.remove(user_class)
        elif group in FIXED:
            user_class.fixed_count = settings.count
        else:
            user_class.weight = settings.count


def worker_nodes(environment: Environment) -> list[WorkerNode]:
    """Return the workers that a run can begin with; one of a made-up id where there are none."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return [WorkerNode(LOCAL)]
    states = (STATE_INIT, STATE_SPAWNING, STATE_RUNNING)
    return [node for node in runner.clients.values() if node.state in states]


def divide_users(
    environment: Environment,
    behaviours: Mapping[str, type[VirtualUser]],
    nodes: Sequence[WorkerNode],
    users: int,
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Return how Locust will spread so many users: asked of its own dispatcher, ahead.

    Returns:
        For each group how many users each worker has, by rank; and each worker's rank.
    """
    dispatcher = UsersDispatcher(list(nodes), list(environment.user_classes))
    dispatcher.new_dispatch(users, float(users))
    spread = next(dispatcher)
    ranks = {node_id: rank for rank, node_id in enumerate(sorted(spread))}
    counts = {
        group: [spread[node_id].get(user_class.__name__, 0) for node_id in ranks]
        for group, user_class in behaviours.items()
        if user_class in environment.user_classes
    }
    return counts, ranks
