from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.overlay import lay_over, read_overlay
from scenarios.schema import Scenario, ScenarioError, read_scenario

SMOKE = Path(__file__).parents[2] / "scenarios" / "smoke.toml"


@pytest.fixture
def smoke() -> Scenario:
    return read_scenario(SMOKE)


def written(folder: Path, text: str) -> Path:
    path = folder / "ci.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_budget_of_the_file_replaces_the_scenarios_about_the_same_figure(
    tmp_path: Path, smoke: Scenario
) -> None:
    path = written(tmp_path, 'budgets = [\n  "push.p99 <= 5 ms",\n  "push.p50 <= 2 ms",\n]\n')
    laid = lay_over(smoke, read_overlay(path))
    texts = [budget.text for budget in laid.budgets]
    assert texts[-2:] == ["push.p99 <= 5 ms", "push.p50 <= 2 ms"]
    assert "push.p99 <= 10 ms" not in texts
    assert len(texts) == len(smoke.budgets) + 1


def test_a_ratio_stands_beside_the_absolute_budget_of_its_metric(
    tmp_path: Path, smoke: Scenario
) -> None:
    path = written(tmp_path, 'budgets = ["push.p99 ratio <= 1.1"]')
    texts = [budget.text for budget in lay_over(smoke, read_overlay(path)).budgets]
    assert {"push.p99 <= 10 ms", "push.p99 ratio <= 1.1"} <= set(texts)


def test_each_budget_knows_its_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, '# strict\nbudgets = [\n  "push.p99 <= 5 ms",\n]\n')
    (budget,) = read_overlay(path)
    assert (budget.path, budget.line) == (str(path), 3)
    assert read_overlay(path, name="ci/strict.toml")[0].path == "ci/strict.toml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('budgets = ["pusch.p99 <= 5 ms"]', "did you mean push?"),
        ('bugets = ["push.p99 <= 5 ms"]', "did you mean budgets?"),
        ("budgets = []", "write at least one"),
        ("budgets = [3]", "budget 3 is not a text"),
        ("budgets = [", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_answered_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_overlay(path)
    assert str(caught.value).startswith(f"{path}:1: ")
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        read_overlay(tmp_path / "none.toml")


def test_a_budget_that_would_never_have_data_is_refused(tmp_path: Path) -> None:
    text = SMOKE.read_text(encoding="utf-8").replace("[users.abuser]\ncount = 1\nburst = 70\n", "")
    kept = "\n".join(line for line in text.splitlines() if "rate_limit." not in line)
    quiet = tmp_path / "quiet.toml"
    quiet.write_text(kept, encoding="utf-8")
    path = written(tmp_path, '\nbudgets = ["rate_limit.false_accepts == 0"]')
    with pytest.raises(ScenarioError, match=r"ci\.toml:2: .*would never have data in smoke"):
        lay_over(read_scenario(quiet), read_overlay(path))


def test_a_budget_that_stands_there_twice_is_refused(tmp_path: Path, smoke: Scenario) -> None:
    path = written(tmp_path, 'budgets = ["errors == 0", "errors == 0"]')
    with pytest.raises(ScenarioError, match="is written twice"):
        lay_over(smoke, read_overlay(path))
