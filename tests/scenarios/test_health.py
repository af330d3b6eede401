"""The limits of the generator's health, as a scenario states them."""

from __future__ import annotations

from pathlib import Path

import pytest

import scenarios
from scenarios.schema import Health, ScenarioError, parse_scenario

SMOKE = Path(scenarios.__path__[0]) / "smoke.toml"


def health_of(lines: str) -> Health:
    head, _, tail = SMOKE.read_text(encoding="utf-8").partition("[health]")
    text = f"{head}[health]\n{lines}\n[policy]{tail.partition('[policy]')[2]}"
    return parse_scenario(text, path="x.toml").health


def test_what_a_scenario_does_not_say_is_the_default() -> None:
    assert health_of("") == Health()


def test_each_limit_is_read_in_its_unit() -> None:
    found = health_of(
        'generator_share_p99 = "2 ms"\ngenerator_loop_lag_p99 = "1 s"\n'
        'generator_gc_pause = "30 ms"\nschedule_delay_p99 = "5 ms"\npublisher_delay_p99 = "4 ms"\n'
        "generator_cpu_percent = 80\ngenerator_run_queue_percent = 5.5\n"
        "generator_steal_percent = 0\n"
        'second_steal_percent = 20\nsecond_loop_lag = "70 ms"\nsecond_share = "60 ms"\n'
        "second_run_queue_percent = 40\ntainted_percent = 5\n"
        'gateway_core_wait = "3 ms"\nsecond_core_wait = "12 ms"'
    )
    assert found == Health(
        generator_share_p99_ms=2.0,
        generator_loop_lag_p99_ms=1_000.0,
        generator_cpu_percent=80.0,
        generator_run_queue_percent=5.5,
        generator_steal_percent=0.0,
        generator_gc_pause_ms=30.0,
        schedule_delay_p99_ms=5.0,
        publisher_delay_p99_ms=4.0,
        second_steal_percent=20.0,
        second_loop_lag_ms=70.0,
        second_share_ms=60.0,
        second_run_queue_percent=40.0,
        second_core_wait_ms=12.0,
        gateway_core_wait_ms=3.0,
        tainted_percent=5.0,
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("generator_cpu_percent = 101", "write a number from 0 to 100, such as 95"),
        ('generator_cpu_percent = "80 %"', "write a number from 0 to 100"),
        ("generator_share_p99 = 5", "write a duration"),
        ('generator_loop_lag = "5 ms"', "unknown key health.generator_loop_lag"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_what_would_be_right(line: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        health_of(line)
