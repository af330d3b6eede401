"""How many users of each class Locust spawns, and on which worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerNode

from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.conducting.run import Run
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


def follow_users(
    environment: Environment,
    behaviours: Mapping[str, type[VirtualUser]],
    run: Callable[[], Run | None],
) -> None:
    """Put the users that Locust spawns into the manifest: its page can ask for more.

    Args:
        environment: Locust's.
        behaviours: the user class of each group.
        run: returns the current run; None between runs.
    """
    groups = {user_class.__name__: group for group, user_class in behaviours.items()}

    def take(**_facts: object) -> None:
        found, runner = run(), environment.runner
        if found is not None and runner is not None:
            wanted = runner.target_user_classes_count.items()
            found.take_users({groups[name]: count for name, count in wanted if name in groups})

    environment.events.spawning_complete.add_listener(take)  # type: ignore[no-untyped-call]  # Locust's own gap


def unmet_groups(
    scenario: Scenario,
    behaviours: Mapping[str, type[VirtualUser]],
    counts: Mapping[str, list[int]],
) -> tuple[list[str], list[str]]:
    """Return what a number of users leaves of the groups, when it is not the scenario's.

    Args:
        scenario: the scenario of the run.
        behaviours: the user class of each group.
        counts: the users of each group on each worker.

    Returns:
        The groups of a fixed number that get fewer, and the groups that get no user.
    """
    fixed = [
        f"{group} {getattr(scenario.users, group).count}"
        for group, each in counts.items()
        if behaviours[group].has_fixed_count and sum(each) < getattr(scenario.users, group).count
    ]
    return fixed, [group for group, each in counts.items() if not sum(each)]


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
