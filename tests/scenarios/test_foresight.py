from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.foresight import foresee, samples_needed
from scenarios.producers import expected_values
from scenarios.schema import Scenario, parse_scenario, read_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SMOKE = (SCENARIOS / "smoke.toml").read_text(encoding="utf-8")


def smoke_with(*budgets: str, **replaced: str) -> Scenario:
    text = SMOKE
    for old, new in replaced.items():
        text = text.replace(f"{old} = ", f"{old} = {new} # ", 1)
    listed = ", ".join(f'"{budget}"' for budget in budgets)
    start, end = text.index("budgets = ["), text.index("]\n", text.index("budgets = ["))
    return parse_scenario(f"{text[:start]}budgets = [{listed}{text[end:]}", path="smoke.toml")


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 5), (0.99, 299), (0.999, 2995)])
def test_how_many_values_a_quantile_needs(quantile: float, needed: int) -> None:
    assert samples_needed(quantile) == needed


def test_a_scenario_that_can_decide_its_budgets_is_not_warned_of() -> None:
    assert foresee(parse_scenario(SMOKE, path="smoke.toml")) == []


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_scenario_that_is_shipped_can_decide_its_budgets_with_a_fifth_of_it_left_out(
    path: Path,
) -> None:
    scenario = read_scenario(path)
    phases = replace(scenario.phases, steady_s=0.8 * scenario.phases.steady_s)
    assert foresee(replace(scenario, phases=phases)) == []


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("ack.p99.99 <= 1 s", "p99.99 needs 29,956 values, and about"),
        ("connect.p99.9 <= 1 s", "p99.9 needs 2,995 values, and about 300 are expected"),
        ("push.p99 ratio <= 1.1", "a ratio needs a baseline"),
    ],
)
def test_a_budget_that_a_run_cannot_decide_is_told_before_it(budget: str, words: str) -> None:
    (told,) = foresee(smoke_with(budget))
    assert told.startswith(f"{budget}: ")
    assert words in told


def test_with_a_baseline_only_a_ratio_too_near_to_one_is_warned_of() -> None:
    scenario = smoke_with("push.p99 ratio <= 1.1", "push.p50 ratio <= 1.01")
    (told,) = foresee(scenario, has_baseline=True)
    assert told.startswith("push.p50 ratio <= 1.01: two runs do not resolve changes below 3%")


def test_a_short_run_has_few_heartbeats() -> None:
    scenario = smoke_with("heartbeat.error.p99 <= 1 s", steady='"4 s"')
    assert expected_values("heartbeat.error", scenario) == pytest.approx(300 * 0.4)
    assert len(foresee(scenario)) == 1


def test_what_nobody_can_foresee_is_not_warned_of() -> None:
    scenario = smoke_with("staleness.p99.99 <= 1 s", "push.max <= 1 s", "errors == 0")
    assert expected_values("staleness", scenario) is None
    assert foresee(scenario) == []


def test_the_expected_pushes_are_publications_times_receivers() -> None:
    # 40 a second about 150 symbols, of which 299 users hold 578 (popular ones more often);
    # one a second to 20 traders.
    expected = expected_values("push", parse_scenario(SMOKE, path="smoke.toml"))
    assert expected == pytest.approx(30 * (40 * 578 / 150 + 20), rel=0.15)
