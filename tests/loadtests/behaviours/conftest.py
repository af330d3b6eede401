"""Fixtures of the behaviours' tests: a run context in its steady phase, and users in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living
from locust.env import Environment

from loadtests.behaviours.run_context import RunContext
from loadtests.results import Phase
from loadtests.tokens import SignedTokens
from scenarios.schema import parse_scenario

SCENARIO = """# Do behaviours behave?
name = "behaviours"
seed = 7
budgets = ["errors == 0"]
[phases]
spawn_rate = 60.0
warm_up = "0 s"
steady = "3600 s"
drain = "2 s"
[market]
symbols = 5
zipf = 1.0
"""

MakeContext = Callable[[str], RunContext]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "run")
    yield kept
    kept.close(time.monotonic_ns())


@pytest.fixture
def make_context(recorder: Kept) -> MakeContext:
    """Return a run_context for more of a scenario; its steady phase begins now."""

    def give(text: str) -> RunContext:
        scenario = parse_scenario(SCENARIO + text, path="behaviours.toml")
        now_ns = time.monotonic_ns()
        recorder.phases.begin(Phase.WARM_UP, now_ns)
        recorder.phases.begin(Phase.STEADY, now_ns)
        return RunContext(
            scenario=scenario,
            tokens=SignedTokens("x" * 32),
            recorder=recorder,
        )

    return give


@pytest.fixture
def perform(
    start_gateway: Callable[..., GatewayProcess],
) -> Iterator[Callable[[RunContext], Living]]:
    """Return what lets users live on a run_context."""
    environment = Environment(user_classes=[])
    living: list[Living] = []

    def give(run_context: RunContext) -> Living:
        living.append(Living(run_context, environment))
        return living[-1]

    yield give
    for each in living:
        each.end()
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap
