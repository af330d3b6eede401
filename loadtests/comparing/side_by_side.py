"""Run two sides at the same time: each a supervised run in its own process."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console

from loadtests.comparing.side import write_request
from loadtests.processes import child_environment, own_command
from loadtests.results import ExitCode
from loadtests.supervision.children import Child
from loadtests.supervision.request import RunRequest

STOP_S: Final = 45.0
"""For a side to end its run in order after SIGINT."""
_POLL_S: Final = 0.05
_HASH_SEEDS: Final = 2**32


def run_side_by_side(
    requests: Sequence[RunRequest], environment: Mapping[str, str], console: Console
) -> int:
    """Run both sides of a pair and return the exit code: the first that is not 0.

    When one side fails before its run begins, the other is stopped. Both sides hash alike
    (``PYTHONHASHSEED``), because the order of sets and collisions in dicts cost CPU time; each pair
    has another seed, unless the environment names one.

    Args:
        requests: of the two sides, in the order in which they start; each with a ``turn``.
        environment: this process's environment.
        console: shows why a side failed.
    """
    children: list[Child] = []
    failed: Child | None = None
    alike = {"PYTHONHASHSEED": str(secrets.randbelow(_HASH_SEEDS)), **environment}
    try:
        children.extend(_start(request, alike) for request in requests)
        while any(child.exit_code is None for child in children):
            failed = failed or next((child for child in children if child.exit_code), None)
            if failed is not None:
                _stop(children)
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        _stop(children)
        return ExitCode.INTERRUPTED
    finally:
        for child in children:
            child.stop(STOP_S)
            child.end_group()
    failed = failed or next((child for child in children if child.exit_code), None)
    if failed is None:
        return ExitCode.PASS
    words = f"the {failed.name} ended with exit code {failed.exit_code}:\n{failed.last_lines()}"
    console.print(words, markup=False, highlight=False, soft_wrap=True)
    return max(failed.exit_code or 0, 0) or ExitCode.INVALID  # a signal has a negative code


def _start(request: RunRequest, environment: Mapping[str, str]) -> Child:
    if request.turn is None:
        raise ValueError("a side of a pair needs a turn")
    folder, side = request.turn.parent, request.runs.name
    file = folder / f"{side}.json"
    write_request(request, file)
    return Child(
        f"run of the {side}",
        own_command("loadtests.comparing.side", str(file)),
        log=folder / f"{side}.log",
        environment=child_environment(environment),
        orphan_signal=signal.SIGTERM,
    )


def _stop(children: Sequence[Child]) -> None:
    """Stop the sides that still run, in order: each ends its own processes."""
    for child in children:
        child.ask_to_stop(signal.SIGINT)
    for child in children:
        child.wait(STOP_S)
