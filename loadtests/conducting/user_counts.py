"""How many users of each class Locust spawns, and on which worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerNode

from loadtests.behaviours.virtual_user import VirtualUser
from scenarios.schema import Scenario


def set_user_counts(
    environment: Environment, scenario: Scenario, behaviours: Mapping[str, type[VirtualUser]]
) -> None:
    """Give each user class its weight or its fixed count, and Locust its number and rate of users.

    A class without users in the scenario is removed from the environment. ``-u`` and ``-r`` keep
    their values.

    Args:
        environment: Locust's.
        scenario: the scenario of the run.
        behaviours: the user class of each group.
    """
    for group, user_class in behaviours.items():
        settings = getattr(scenario.users, group)
        if settings is None or settings.count == 0:
            if user_class in environment.user_classes:
                environment.user_classes.remove(user_class)
        elif user_class.has_fixed_count:
            user_class.fixed_count = settings.count
        else:
            user_class.weight = settings.count
    options: Any = environment.parsed_options
    if options.num_users is None:
        options.num_users = scenario.users.total
    if options.spawn_rate is None:
        options.spawn_rate = scenario.phases.spawn_rate


def divide_users(
    environment: Environment, behaviours: Mapping[str, type[VirtualUser]], users: int
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Return how Locust will spread users over workers, as its own dispatcher computes it.

    Args:
        environment: Locust's.
        behaviours: the user class of each group.
        users: how many there are.

    Returns:
        The users of each group on each worker, by rank; and each worker's rank.
    """
    nodes, runner = [WorkerNode("local")], environment.runner
    if isinstance(runner, MasterRunner):
        states = (STATE_INIT, STATE_SPAWNING, STATE_RUNNING)
        nodes = [node for node in runner.clients.values() if node.state in states]
    dispatcher = UsersDispatcher(nodes, list(environment.user_classes))
    dispatcher.new_dispatch(users, float(users))
    spread = next(dispatcher)
    ranks = {node_id: rank for rank, node_id in enumerate(sorted(spread))}
    counts = {
        group: [spread[node_id].get(user_class.__name__, 0) for node_id in ranks]
        for group, user_class in behaviours.items()
        if user_class in environment.user_classes
    }
    return counts, ranks
