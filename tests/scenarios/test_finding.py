from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.finding import FOLDER, UnknownScenarioError, find_scenario, named_scenarios
from scenarios.schema import parse_scenario, read_scenario


def test_each_scenario_is_found_by_the_name_that_it_gives_itself() -> None:
    assert len(named_scenarios()) > 10
    for name, path in named_scenarios().items():
        assert read_scenario(path).name == name
        assert find_scenario(name) == path


def test_a_name_may_be_written_as_its_file_is() -> None:
    assert find_scenario("mixed_5k") == FOLDER / "mixed_5k.toml"


def test_a_file_comes_before_a_scenario_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_scenario("smoke") == FOLDER / "smoke.toml"
    Path("smoke").mkdir()
    assert find_scenario("smoke") == FOLDER / "smoke.toml"
    Path("smoke").rmdir()
    Path("smoke").touch()
    assert find_scenario("smoke") == Path("smoke")


@pytest.mark.parametrize("name", ["mine.toml", "load/mine", "/nowhere/smoke"])
def test_a_path_is_left_to_its_reader(name: str) -> None:
    assert find_scenario(name) == Path(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smok", "did you mean smoke?"),
        ("reconnect_strom", "did you mean reconnect-storm?"),
        ("xyz", "known: auth, capacity, "),
        ("", "known: auth, capacity, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(UnknownScenarioError) as caught:
        find_scenario(name)
    assert words in str(caught.value)


def test_the_question_stands_above_or_below_the_editors_line() -> None:
    text = (FOLDER / "smoke.toml").read_text("utf-8")
    question, rest = text.split("\n", 1)
    for head in (f"{question}\n#:schema ./x.json", f"#:schema ./x.json\n{question}"):
        assert parse_scenario(f"{head}\n{rest}", path="x").question == question.lstrip("# ")
