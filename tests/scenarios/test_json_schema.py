"""The JSON Schema beside the reader: it accepts all that the reader accepts, and refuses much."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it publishes no types
import pytest
import tomli_w
from hypothesis import example, given
from hypothesis import strategies as st

from scenarios.budgets import STATISTICS, parse_budget
from scenarios.catalogue import METRICS
from scenarios.finding import named_scenarios
from scenarios.json_schema import budget_pattern, scenario_schema
from scenarios.keys import ScenarioKey, _AskingTable, scenario_keys
from scenarios.problems import ScenarioError
from scenarios.reading import Table
from scenarios.schema import parse_scenario

FILES = sorted(named_scenarios().values())
VALIDATOR = jsonschema.Draft7Validator(scenario_schema())
# It has what the scenarios that come with Tidegate lack.
MANY = """
name = "many"
seed = 1
budgets = ["errors == 0"]
[phases]
spawn_rate = 5
arrivals = "burst"
burst_size = 9
warm_up = "1 s"
steady = "30 s"
drain = "1 s"
[market]
symbols = 9
zipf = 1
[users.storm]
count = 3
symbols = 1
[[commands]]
at = "1 s"
do = "send"
who = "storm"
within = "1 s"
count = 3
[[stages]]
at = "2 s"
users = 9
spawn_rate = 9.5
"""


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def is_read(content: dict[str, Any]) -> bool:
    try:
        parse_scenario(tomli_w.dumps(content), path="x")
    except ScenarioError:
        return False
    return True


def is_allowed(content: dict[str, Any]) -> bool:
    return not list(VALIDATOR.iter_errors(content))


def tables(content: dict[str, Any], key: ScenarioKey) -> Iterator[dict[str, Any]]:
    """Yield each table of a file that may hold a key."""
    found: Any = content
    for word in filter(None, key.table.split(".")):
        found = found.get(word, {})
    yield from found if isinstance(found, list) else [found]


def test_it_is_a_json_schema_and_json() -> None:
    jsonschema.Draft7Validator.check_schema(scenario_schema())
    assert json.loads(json.dumps(scenario_schema())) == scenario_schema()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_is_allowed(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(read(path))] == []


@pytest.mark.parametrize("key", scenario_keys().keys, ids=lambda key: key.dotted)
def test_a_key_of_the_wrong_kind_or_without_its_place_is_refused_by_both(key: ScenarioKey) -> None:
    """Every key of the reader, in every file that has it."""
    wrong: object = -1 if key.kind in ("duration", "size", "text", "texts", "raw") else "wrong"
    tried = 0
    for content in [*map(read, FILES), tomllib.loads(MANY)]:
        for place, table in enumerate(tables(content, key)):
            if key.name not in table:
                continue
            changes = [{**table, key.name: wrong}, {**table, f"{key.name}x": table[key.name]}]
            if key.is_required:
                changes.append({name: table[name] for name in table if name != key.name})
            for change in changes:
                mutant = copy.deepcopy(content)
                held = list(tables(mutant, key))[place]
                held.clear()
                held.update(change)
                assert not is_allowed(mutant), (key.dotted, change)
                assert not is_read(mutant), (key.dotted, change)
                tried += 1
        if tried > 12:
            break
    assert tried or key.dotted not in USED


USED = {key.dotted for key in scenario_keys().keys if key.is_required and key.when is None} - {
    "capacity.at_least"
}


@pytest.mark.parametrize(
    "change",
    [
        {"do": "restart", "who": "storm"},
        {"do": "drop", "who": None},
        {"do": "subscribe", "count": None},
        {"do": "drop", "count": 3},
    ],
    ids=str,
)
def test_a_key_that_depends_on_a_choice_is_refused_by_both(change: dict[str, object]) -> None:
    content = tomllib.loads(MANY)
    command = {**content["commands"][0], **change}
    content["commands"][0] = {name: value for name, value in command.items() if value is not None}
    assert not is_allowed(content)
    assert not is_read(content)


@pytest.mark.parametrize("arrivals", ["constant", None], ids=str)
def test_a_burst_size_needs_bursts(arrivals: str | None) -> None:
    content = tomllib.loads(MANY)
    assert is_allowed(content)
    assert is_read(content)
    del content["phases"]["arrivals"]
    content["phases"] |= {} if arrivals is None else {"arrivals": arrivals}
    assert not is_allowed(content)
    assert not is_read(content)


VALUES = st.one_of(
    st.integers(-2, 200_000),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    st.sampled_from(
        ["30 s", " 1,000 ms", "2µs", "3 μs", "5", "4 KB", "0.5 MB", "burst", "poisson", "users"]
    ),
    st.lists(st.sampled_from(["mute", "no-pong", "stalled", "errors == 0"]), max_size=3),
    st.text(max_size=6),
)


@given(
    path=st.sampled_from(FILES),
    key=st.sampled_from(scenario_keys().keys),
    value=VALUES,
)
@example(path=FILES[0], key=scenario_keys().of("phases")[0], value=1)
def test_whatever_the_reader_accepts_is_allowed(
    path: Path, key: ScenarioKey, value: object
) -> None:
    content = read(path)
    for table in tables(content, key):
        table[key.name] = value
    if is_read(content):
        assert is_allowed(content)


@pytest.mark.parametrize(
    "setting",
    [
        {"GATEWAY_HEARTBEAT_SECONDS": 5},
        {"GATEWAY_HEARTBEAT_SECONDS": "5"},
        {"GATEWAY_METRICS_TOKEN": "x"},
        {"JWT_SECRET": "x"},
        {"GATEWAY_LIST": [5]},
        {"gateway_lower": 1},
    ],
    ids=str,
)
def test_settings_are_allowed_as_the_reader_reads_them(setting: dict[str, object]) -> None:
    content = {**tomllib.loads(MANY), "gateway": setting}
    assert is_allowed(content) == is_read(content)


def limits() -> Iterator[str]:
    units = {"quantiles": " ms", "span": "us", "bytes": " KB", "number": "0_000"}
    for metric in METRICS.values():
        statistics = STATISTICS if metric.kind == "quantiles" else ("",)
        for statistic in statistics:
            name = f"{metric.name}.{statistic}".rstrip(".")
            yield f"{name} <= 1{units.get(metric.kind, '')}"
            if metric.kind in units:
                yield f"{name} ratio <= 1.10 above 2{units[metric.kind]}"


def test_every_budget_that_can_be_written_is_allowed() -> None:
    for text in limits():
        parse_budget(text, 1)
        assert re.fullmatch(budget_pattern(), text), text


@pytest.mark.parametrize(
    "text",
    [
        "pusch.p99 <= 10 ms",
        "push <= 10 ms",
        "push.p98 <= 10 ms",
        "push.p99 <= 10",
        "push.p99 <= 10 KB",
        "push.p99 =< 10 ms",
        "errors.p99 == 0",
        "errors == 0 ms",
        "errors ratio <= 1.1",
        "push.p99 ratio == 1.1",
        "push.p99 <= 10 ms above 2 ms",
        "memory.per_client <= 6 ms",
        "fairness.spread <= 1.5 ms",
        "",
    ],
)
def test_a_text_that_is_no_budget_is_refused_by_both(text: str) -> None:
    assert not re.fullmatch(budget_pattern(), text)
    with pytest.raises(ScenarioError):
        parse_budget(text, 1)


def test_every_question_that_a_reader_can_ask_is_recorded() -> None:
    questions = {name for name in vars(Table) if not name.startswith("_")} - {"finish", "report"}
    assert questions <= set(vars(_AskingTable))


def test_every_key_has_a_meaning_for_the_editor() -> None:
    assert all(key.meaning for key in scenario_keys().keys)
