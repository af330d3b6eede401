"""A file that is no ordinary scenario is read, or refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.overlay import read_overlay
from scenarios.schema import ScenarioError, read_scenario

SMOKE = (Path(__file__).parents[2] / "scenarios" / "smoke.toml").read_text("utf-8")
LONG = "9" * 400


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMOKE, "utf-8-sig")
    assert read_scenario(path).source == SMOKE
    path.write_text('budgets = ["errors == 0"]', "utf-8-sig")
    assert [budget.text for budget in read_overlay(path)] == ["errors == 0"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = ", "seed = 9" + "9" * 5_000 + " #", "more than 4,096 characters in a line"),
        ("seed = ", f"seed = {LONG} #", "seed = 999"),
        ("zipf = ", "zipf = 1e999 #", "market.zipf = inf; write a number"),
        ('steady = "', f'steady = "{LONG}', "phases.steady = '999"),
        ("budgets = [", f'budgets = ["errors == {LONG}",', "a budget has at most 120"),
        ("seed = ", f"seed = {'[' * 2_000}{']' * 2_000} #", "is nested too deeply"),
        ("seed = ", f"seed = {'[' * 200}{']' * 200} #", "seed = [[[[[[[...]]]]]]]"),
        ("seed = ", f"seed.{'a.' * 100}a = 1 #", "is nested too deeply"),
        ("seed = ", "unknown" * 100 + " = 1 #", "unknown key unknown"),
    ],
    ids=[
        "5,000 digits", "400 digits", "infinite", "duration", "long budget",
        "nested", "nested less", "dotted", "key",
    ],
)  # fmt: skip
def test_an_absurd_value_is_one_clear_line(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMOKE.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    lines = str(caught.value).splitlines()
    assert any(words in line for line in lines)
    assert max(len(line) for line in lines) < 400


def test_a_file_without_an_end_is_not_read_whole() -> None:
    with pytest.raises(ScenarioError, match="is larger than 262,144 B"):
        read_scenario(Path("/dev/zero"))
