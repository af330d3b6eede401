"""A worker that joins during a run waits for the next one.

Locust would move users to it, which end and begin again in the middle of the run.
"""

from __future__ import annotations

from collections.abc import Callable

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import MasterRunner, WorkerNode

from loadtests.conducting.run import Run


class RunDispatcher(UsersDispatcher):
    """Locust's dispatcher with the workers that a run begins with."""

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Leave the worker out."""


def keep_out(environment: Environment, run: Callable[[], Run | None]) -> None:
    """Give late workers no users, and note them in the manifest.

    Args:
        environment: the master's.
        run: returns the current run; None between runs.
    """
    environment.dispatcher_class = RunDispatcher

    def note(client_id: str, **_facts: object) -> None:
        found, runner = run(), environment.runner
        if found is None or found.workers is None or not isinstance(runner, MasterRunner):
            return
        if not found.workers.has(client_id):
            index = runner.get_worker_index(client_id)  # type: ignore[no-untyped-call]  # Locust's own gap
            found.note(f"worker-{index} joined during the run and waits for the next one")

    environment.events.worker_connect.add_listener(note)  # type: ignore[no-untyped-call]  # Locust's own gap
