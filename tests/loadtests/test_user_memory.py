"""What a virtual user costs before it connects: ten thousand of them must fit into a process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from locust.env import Environment

from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.subscriber import Subscriber
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.tokens import SignedTokens
from scenarios.schema import parse_scenario

MOST_SHARED: int = 30
"""CPython shares an instance's attribute names with others of its class up to so many."""
SCENARIO = """# What does a user cost?
name = "one"
seed = 1
budgets = ["errors == 0"]

[phases]
spawn_rate = 1.0
warm_up = "1 s"
steady = "1 s"
drain = "1 s"

[market]
symbols = 1
zipf = 1.0

[users.subscriber]
count = 1
symbols = 1

[[publish]]
event = "price:update"
rate = 1.0
"""


def test_the_many_share_the_names_of_their_attributes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()
    recorder = Recorder(tmp_path, worker="w", t0_ns=now_ns, phases=PhaseTimes(now_ns))
    scenario = parse_scenario(SCENARIO, path="one.toml")
    run_context = RunContext(scenario=scenario, tokens=SignedTokens("s" * 32), recorder=recorder)
    monkeypatch.setattr(Subscriber, "run_context", run_context, raising=False)
    user = Subscriber(Environment(user_classes=[Subscriber]))
    assert len(vars(user)) <= MOST_SHARED
    recorder.close(now_ns)
