from __future__ import annotations

from pathlib import Path

from loadtests.behaviours.registry import BEHAVIOURS
from loadtests.conducting.user_counts import unmet_groups
from scenarios.schema import parse_scenario


def test_a_number_of_users_that_leaves_groups_short_is_found(small_scenario: Path) -> None:
    text = small_scenario.read_text().replace("count = 1\n", "count = 3\n")
    scenario = parse_scenario(text, path="small.toml")
    whole = {"abuser": [2, 1], "subscriber": [4, 4], "trader": [2, 3]}
    assert unmet_groups(scenario, BEHAVIOURS, whole) == ([], [])
    few = {"abuser": [1, 1], "subscriber": [1, 0], "trader": [0, 0]}
    assert unmet_groups(scenario, BEHAVIOURS, few) == (["abuser 3"], ["trader"])
