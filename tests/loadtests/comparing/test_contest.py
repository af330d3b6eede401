from __future__ import annotations

import sys
from pathlib import Path

import pytest
from blocks import COMPARE, block_scenario

from loadtests.comparing.contest import Contestant, looks, methods_for, order, parse_contestant
from loadtests.supervision.gateway_command import NoGateway
from scenarios.schema import parse_scenario, read_scenario

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(6, [6]), (8, [8]), (9, [8, 9]), (10, [8, 10]), (12, [8, 10, 12]), (20, [14, 16, 18, 20])],
)
def test_looks_begin_after_two_thirds_and_end_with_the_last_pair(
    pairs: int, expected: list[int]
) -> None:
    assert looks(pairs) == expected


def test_base_and_head_take_turns_in_being_first() -> None:
    assert [order(pair)[0] for pair in range(1, 5)] == ["base", "head", "base", "head"]
    assert all(set(order(pair)) == {"base", "head"} for pair in range(1, 5))


def test_a_side_is_a_command_with_settings_of_its_own() -> None:
    found = parse_contestant(f"{sys.executable} -m gateway", ["GATEWAY_X=a=b", "EMPTY="])
    assert found.gateway.words == (sys.executable, "-m", "gateway")
    assert found.gateway.settings == {"GATEWAY_X": "a=b", "EMPTY": ""}
    assert found.describe()["settings"] == {"GATEWAY_X": "a=b", "EMPTY": ""}


def test_a_side_may_run_already() -> None:
    assert parse_contestant("http://127.0.0.1:5") == Contestant(target="http://127.0.0.1:5")


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        (".", ["GATEWAY_X"], "'GATEWAY_X' is no setting: write KEY=VALUE"),
        (".", ["=1"], "'=1' is no setting: write KEY=VALUE"),
        ("http://127.0.0.1:5", ["A=1"], "already runs, so it takes no settings: A"),
        ("no-such-program", [], "is not an executable"),
    ],
)
def test_a_wrong_side_is_refused_with_what_would_be_right(
    text: str, settings: list[str], words: str
) -> None:
    with pytest.raises(NoGateway, match=words):
        parse_contestant(text, settings)


@pytest.mark.parametrize(
    ("budgets", "in_slices", "in_blocks"),
    [
        (("push.p50 ratio <= 1.1", "cost.per_message ratio <= 1.1"), True, False),
        (("memory.per_client ratio <= 1.1",), False, True),
        (("push.p50 ratio <= 1.1", "memory.per_client ratio <= 1.1"), True, True),
        (("push.p99 <= 50 ms",), True, False),
    ],
)
def test_the_budgets_say_how_the_pairs_run(
    budgets: tuple[str, ...], in_slices: bool, in_blocks: bool
) -> None:
    found = methods_for(parse_scenario(block_scenario(*budgets, file=COMPARE), path="x"))
    assert (found.in_slices, found.in_blocks) == (in_slices, in_blocks)


@pytest.mark.parametrize("name", ["churn", "reconnect_storm", "memory", "rate_limit", "soak"])
def test_a_load_with_times_of_its_own_runs_in_blocks(name: str) -> None:
    found = methods_for(read_scenario(ROOT / "scenarios" / f"{name}.toml"))
    assert (found.in_slices, found.in_blocks) == (False, True)
