"""When times can be believed, as a scenario states it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scenarios
from scenarios.model import Health
from scenarios.schema import ScenarioError, parse_scenario

SMOKE = Path(scenarios.__path__[0]) / "smoke.toml"


def health_of(lines: str) -> Health:
    head, _, tail = SMOKE.read_text(encoding="utf-8").partition("[health]")
    text = f"{head}[health]\n{lines}\n[policy]{tail.partition('[policy]')[2]}"
    return parse_scenario(text, path="x.toml").health


def test_what_a_scenario_does_not_say_is_the_default() -> None:
    assert health_of("") == Health()


def test_each_limit_is_read_in_its_unit() -> None:
    found = health_of(
        'generator_share_p99 = "2 ms"\npublisher_delay_p99 = "4 ms"\n'
        "second_lost_percent = 5.5\ndirty_seconds_percent = 0\n"
    )
    assert found == Health(
        generator_share_p99_ms=2.0,
        publisher_delay_p99_ms=4.0,
        second_lost_percent=5.5,
        dirty_seconds_percent=0.0,
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("second_lost_percent = 101", "write a number from 0 to 100, such as 10"),
        ('second_lost_percent = "80 %"', "write a number from 0 to 100"),
        ("generator_share_p99 = 5", "write a duration"),
        ('generator_loop_lag = "5 ms"', "unknown key health.generator_loop_lag"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_what_would_be_right(line: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        health_of(line)


LOST = "write second_lost_percent"
REMOVED = {
    'generator_loop_lag_p99 = "1 s"': "write generator_share_p99",
    "generator_cpu_percent = 80": "delete it, because a generator over 95 % of a core",
    "generator_run_queue_percent = 5.5": LOST,
    "generator_steal_percent = 0": LOST,
    'generator_gc_pause = "30 ms"': LOST,
    'gateway_core_wait = "3 ms"': LOST,
    'schedule_delay_p99 = "5 ms"': "delete it, because a user that waits for a slow answer",
    "second_steal_percent = 20": LOST,
    'second_core_wait = "12 ms"': LOST,
    'second_loop_lag = "70 ms"': "delete it, because a late loop",
    'second_share = "60 ms"': "delete it, because a large own share",
    "second_run_queue_percent = 40": LOST,
    "tainted_percent = 5": "write dirty_seconds_percent",
}


@pytest.mark.parametrize(("line", "words"), REMOVED.items(), ids=lambda text: text.split(" = ")[0])
def test_a_key_of_an_earlier_version_is_refused_with_its_successor(line: str, words: str) -> None:
    key = line.split(" = ", maxsplit=1)[0]
    with pytest.raises(ScenarioError, match=re.escape(f"health.{key} is no longer read; {words}")):
        health_of(line)


def test_the_budget_that_replaces_the_limit_of_the_schedule_delay_is_one() -> None:
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    text = f'{head}budgets = [\n    "schedule_delay.p99 <= 5 ms",{rest}'
    assert parse_scenario(text, path="x.toml").budgets[0].metric == "schedule_delay"
