from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blackbox.target import Target
from deadlines import DEADLINE_S

from gateway.contract import LimitName
from loadtests.health.target import fetch_clock_offset
from loadtests.plan.preflight import (
    descriptors_problem,
    event_limit,
    heartbeat_problem,
    limits_exceeded,
)
from loadtests.tokens import SignedTokens
from scenarios.schema import Scenario, read_scenario

ROOT = Path(__file__).resolve().parents[3]
LIMITS: dict[str, Any] = {
    "events": {"connection": {"limit": 60, "windowMs": 60_000}},
    "connectionsPerAddress": 200,
    "connectsPerMinutePerAddress": 100,
    "roomsPerClient": 128,
    "symbolsPerCall": 64,
}


@pytest.fixture(scope="module")
def smoke() -> Scenario:
    return read_scenario(ROOT / "scenarios" / "smoke.toml")


def exceeded(smoke: Scenario, host: str, **limits: object) -> list[str]:
    return limits_exceeded(
        smoke, host=host, users=300, spawn_rate=60.0, limits={**LIMITS, **limits}
    )


def test_on_loopback_the_smoke_scenario_is_within_the_defaults(smoke: Scenario) -> None:
    assert exceeded(smoke, "127.0.0.1") == []


def test_elsewhere_its_users_come_from_one_address_and_are_too_many(smoke: Scenario) -> None:
    problems = exceeded(smoke, "gateway.example")
    assert [problem.partition(":")[0] for problem in problems] == [
        "connectionsPerAddress",
        "connectsPerMinutePerAddress",
    ]
    assert "allows 200, the scenario needs 300" in problems[0]


def test_too_few_descriptors_are_a_problem_with_the_number_that_is_needed() -> None:
    assert descriptors_problem("gateway", 896, 128, 1_024) is None
    words = descriptors_problem("load generator", 1_500, 64, 1_024)
    assert words is not None
    assert words.startswith("the load generator needs 1,564 descriptors for 1,500 clients")
    assert "may open 1,024" in words


def test_a_limit_that_is_not_announced_is_none(smoke: Scenario) -> None:
    assert limits_exceeded(smoke, host="g.example", users=9_999, spawn_rate=60, limits={}) == []


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"roomsPerClient": 1}, "roomsPerClient"),
        ({"symbolsPerCall": 1}, "symbolsPerCall"),
        ({"events": {"connection": {"limit": 17, "windowMs": 60_000}}}, "events.connection"),
    ],
    ids=["rooms", "symbols", "events"],
)
def test_what_a_user_needs_is_held_against_the_limits_anywhere(
    smoke: Scenario, limits: dict[str, Any], name: str
) -> None:
    (problem,) = exceeded(smoke, "127.0.0.1", **limits)
    assert problem.startswith(name)


def test_another_heartbeat_than_the_scenarios_is_said(smoke: Scenario) -> None:
    assert heartbeat_problem(smoke, {"heartbeatInterval": 5_000}) is None
    problem = heartbeat_problem(smoke, {"heartbeatInterval": 30_000})
    assert problem is not None
    assert "5 s" in problem
    assert "30 s" in problem


def test_the_connection_limit_is_read_in_nanoseconds() -> None:
    assert event_limit({"limits": LIMITS}, LimitName.CONNECTION) == (60, 60_000_000_000)
    assert event_limit({"limits": {}}, LimitName.CONNECTION) is None
    assert event_limit({}, LimitName.CONNECTION) is None


def test_the_offset_of_our_own_clock_is_nothing_within_its_error(gateway: Target) -> None:
    found = fetch_clock_offset(gateway.url, SignedTokens(gateway.secret).probe())
    assert found is not None
    assert found.exchanges == 8
    assert abs(found.offset_ns) <= found.error_ns
    assert found.error_ns < DEADLINE_S * 1e9
