from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.changes import UnknownKeyError, change_scenario
from scenarios.schema import Scenario, ScenarioError, parse_scenario, read_scenario

SMOKE = Path(__file__).parents[2] / "scenarios" / "smoke.toml"


@pytest.fixture(scope="module")
def smoke() -> Scenario:
    return read_scenario(SMOKE)


def changed(scenario: Scenario, *changes: str) -> Scenario:
    return change_scenario(scenario, changes, path="smoke with --set")


@pytest.mark.parametrize(
    ("change", "reading", "value"),
    [
        ("seed=7", "seed", 7),
        ("name=quick", "name", "quick"),
        ("phases.steady=60s", "phases.steady_s", 60.0),
        ('phases.steady="60 s"', "phases.steady_s", 60.0),
        ("phases.arrivals=poisson", "phases.arrivals.kind", "poisson"),
        ("users.subscriber.count=1_000", "users.subscriber.count", 1_000),
        ("users.abuser.edge=true", "users.abuser.edge", True),
        ("users.idle.count=4", "users.idle.count", 4),
        ("market.zipf=1", "market.zipf", 1.0),
        ("publish.1.rate=80", "publish.1.rate", 80.0),
        ("publish.0.payload=4 KB", "publish.0.payload_bytes", 4_096),
        ("health.second_lost_percent=99.5", "health.second_lost_percent", 99.5),
        ("policy.abort=never", "policy.abort", "never"),
        ("gateway.GATEWAY_HEARTBEAT_SECONDS=2", "gateway.GATEWAY_HEARTBEAT_SECONDS", "2"),
        ("gateway.GATEWAY_LOG_LEVEL=debug", "gateway.GATEWAY_LOG_LEVEL", "debug"),
        ("budgets.0=push.p50 <= 1 ms", "budgets.0.text", "push.p50 <= 1 ms"),
        ("budgets=errors == 0", "budgets.0.text", "errors == 0"),
        ('budgets=["missed == 0", "errors == 0"]', "budgets.1.text", "errors == 0"),
    ],
)
def test_a_value_is_written_as_the_kind_of_its_key(
    smoke: Scenario, change: str, reading: str, value: object
) -> None:
    found: object = changed(smoke, change)
    for word in reading.split("."):
        if isinstance(found, tuple):
            found = found[int(word)]
        else:
            found = found[word] if isinstance(found, dict) else getattr(found, word)
    assert found == value


def test_the_text_says_what_the_scenario_says(smoke: Scenario) -> None:
    found = changed(smoke, "phases.steady=60s", "users.idle.count=4", "policy.abort=never")
    assert parse_scenario(found.source, path="x") == found


def test_a_budget_keeps_its_line(smoke: Scenario) -> None:
    found = changed(smoke, "phases.arrivals=poisson", "seed=7", "users.idle.count=4")
    assert [one.line for one in found.budgets] == [one.line for one in smoke.budgets]


def test_the_later_of_two_changes_wins(smoke: Scenario) -> None:
    assert changed(smoke, "seed=7", "seed=8").seed == 8


def test_without_a_change_it_is_the_same(smoke: Scenario) -> None:
    assert changed(smoke) is smoke


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("phases.steedy=3", "unknown key phases.steedy; did you mean phases.steady?"),
        ("phase.steady=3", "unknown key phase.steady; did you mean phases.steady?"),
        ("users.subscrber.count=3", "did you mean users.subscriber.count?"),
        ("xyz=1", "unknown key xyz; known: name, seed, nodes, budgets"),
        ("x.y.z=1", "unknown key x.y.z; known: phases, stages, commands"),
        ("market.0.symbols=4", "market is no list; write market.symbols"),
        ("publish.rate=4", "publish is a list; write publish.0.rate for its first"),
        ("publish.9.rate=4", "its elements are publish.0 to publish.2"),
        ("stages.0.users=4", "stages has no element 0; it has none"),
        ("budgets.40=errors == 0", "its elements are budgets.0 to budgets.16"),
        ("phases", "phases is no change; write NAME=VALUE, such as seed=7"),
    ],
)
def test_a_name_that_no_key_has_is_answered_with_the_nearest(
    smoke: Scenario, change: str, words: str
) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        changed(smoke, change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed=a", "smoke with --set:7: seed = 'a'; write a whole number from 0 to 4,294,967,295"),
        ("seed=", "seed = ''; write a whole number"),
        ("phases.steady=60", "phases.steady = '60'; write a duration from 1 s"),
        ("phases.arrivals=bursts", "did you mean burst?"),
        ("market.symbols=0", "market.symbols = 0; write a whole number from 1"),
        ("users.abuser.edge=maybe", "users.abuser.edge = 'maybe'; write true or false"),
        ("gateway.X=1", "X is not a gateway setting"),
        ("gateway.GATEWAY_METRICS_TOKEN=x", "is a secret"),
        ("budgets=pusch.p99 <= 10 ms", "did you mean push?"),
        ("market.symbols=1", "users.subscriber.symbols = 2, but market.symbols is 1"),
        ("capacity.of=users", "capacity.start is missing"),
        ("phases.steady=60s\nx=1", "phases.steady = '60s\\nx=1'; write a duration"),
    ],
)
def test_a_value_that_the_reader_refuses_is_answered_in_its_words(
    smoke: Scenario, change: str, words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        changed(smoke, change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        '"steady" = "30 s"',
        "'steady' = '30 s'",
        'steady = """30 s"""',
        "steady = '30 s' # steady = \"1 s\"",
    ],
)
def test_a_value_is_replaced_however_it_is_written(smoke: Scenario, written: str) -> None:
    text = smoke.source.replace('steady = "30 s"', written)
    found = changed(parse_scenario(text, path="x"), "phases.steady=7200.25 s")
    assert found.phases.steady_s == 7_200.25


def test_a_dotted_key_is_replaced(smoke: Scenario) -> None:
    text = smoke.source.replace("[phases]\n", "")
    for key in ("spawn_rate =", "warm_up =", "steady =", "drain ="):
        text = text.replace(f"\n{key}", f"\nphases.{key}", 1)
    assert changed(parse_scenario(text, path="x"), "phases.steady=99s").phases.steady_s == 99.0


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ('steady = "30 s"', '"\\u0073teady" = "30 s"', "phases.steady=99s"),
        ('[policy]\ninconclusive = "fail"', "", "policy.abort=never"),
    ],
    ids=["an escaped name", "an inline table"],
)
def test_a_place_that_cannot_be_written_to_is_refused(
    smoke: Scenario, before: str, after: str, change: str
) -> None:
    assert before in smoke.source
    text = smoke.source.replace(before, after)
    if not after:
        text = text.replace("seed = 20", 'seed = 20\npolicy = { inconclusive = "fail" }')
    with pytest.raises(UnknownKeyError, match="cannot be set as the file is written"):
        changed(parse_scenario(text, path="x"), change)
