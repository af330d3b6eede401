"""Fixtures of the behaviours' tests: a stage whose steady phase goes on, and who lives on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living
from locust.env import Environment

from loadtests.behaviours.stage import Stage
from loadtests.results import Phase
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

SetStage = Callable[[str], Stage]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "run")
    yield kept
    kept.close(time.monotonic_ns())


@pytest.fixture
def set_stage(recorder: Kept) -> SetStage:
    """Return a stage for more of a scenario; its steady phase begins now."""

    def give(text: str) -> Stage:
        scenario = parse_scenario(SCENARIO + text, path="behaviours.toml")
        now_ns = time.monotonic_ns()
        recorder.phases.begin(Phase.WARM_UP, now_ns)
        recorder.phases.begin(Phase.STEADY, now_ns)
        return Stage(scenario=scenario, secret="x" * 32, recorder=recorder, t0_ns=recorder.t0_ns)

    return give


@pytest.fixture
def perform(
    start_gateway: Callable[..., GatewayProcess],
) -> Iterator[Callable[[Stage], Living]]:
    """Return what lets users live on a stage."""
    environment = Environment(user_classes=[])
    living: list[Living] = []

    def give(stage: Stage) -> Living:
        living.append(Living(stage, environment))
        return living[-1]

    yield give
    for each in living:
        each.end()
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap
