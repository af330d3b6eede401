from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.supervision.once import OF_HEARTBEATS, ORACLES, STEADY_S, shrink
from loadtests.supervision.request import RunRefused, RunRequest
from scenarios.finding import named_scenarios
from scenarios.schema import METRICS, Scenario, parse_scenario, read_scenario

SCENARIOS = [read_scenario(path) for path in named_scenarios().values()]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_one_of_each_group_runs_for_ten_seconds(scenario: Scenario) -> None:
    small = shrink(scenario, is_embedded=True)
    assert small.users.named().keys() == scenario.users.named().keys()
    assert small.users.total <= len(small.users.named()) + 2  # a dead peer of each kind
    assert small.phases.steady_s == STEADY_S
    assert small.load_s <= STEADY_S + 3
    deeds = [one.do for one in scenario.commands]
    kept = [deed for deed in deeds if deed != "terminate" or "restart" not in deeds]
    assert [one.do for one in small.commands] == kept
    assert small.capacity is None
    assert small.publish == scenario.publish
    assert parse_scenario(small.source, path="x") == small


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_oracle_that_the_scenario_demands_is_judged(scenario: Scenario) -> None:
    small = shrink(scenario, is_embedded=True)
    judged = {budget.metric for budget in small.budgets}
    zero = {one.metric for one in scenario.budgets if one.operator == "==" and not one.limit}
    memory = {name for name in zero if name.startswith("memory.")}  # needs many cycles
    assert zero - memory <= judged
    assert all(one.operator == "==" and not one.limit for one in small.budgets)


def test_the_oracles_are_counts_of_the_catalogue() -> None:
    assert {METRICS[name].kind for name in ORACLES} == {"count"}
    assert set(OF_HEARTBEATS) <= set(ORACLES)


def test_a_target_beats_at_its_own_interval() -> None:
    embedded, target = (shrink(SCENARIOS[0], is_embedded=one) for one in (True, False))
    left_out = {one.metric for one in embedded.budgets} - {one.metric for one in target.budgets}
    assert left_out == set(OF_HEARTBEATS)


def test_what_once_sets_itself_is_refused() -> None:
    request = RunRequest(
        scenario=named_scenarios()["smoke"], runs=Path("runs"), is_once=True, users=5, duration_s=9
    )
    with pytest.raises(RunRefused, match="leave out --users and --duration"):
        request.read()


def test_once_is_laid_over_what_is_set() -> None:
    request = RunRequest(
        scenario=named_scenarios()["smoke"],
        runs=Path("runs"),
        is_once=True,
        changes=("users.idle.count=50", "gateway.GATEWAY_HEARTBEAT_SECONDS=abc"),
    )
    small = request.read()
    assert (small.users.total, small.users.idle is not None) == (4, True)
    assert small.gateway["GATEWAY_HEARTBEAT_SECONDS"] == "2"
