from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract import EVENTS, SYMBOL_PATTERN, Family
from loadtests.oracles.ledger import ACCOUNTED
from scenarios.model import MARKET_EVENTS, PUBLISHABLE_EVENTS, TRADING_EVENTS
from scenarios.schema import Arrivals, Scenario, ScenarioError, parse_scenario, read_scenario

SMOKE = Path(__file__).parents[2] / "scenarios" / "smoke.toml"


@pytest.fixture
def smoke() -> Scenario:
    return read_scenario(SMOKE)


def problems_of(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, path="x.toml")
    return [(p.line, p.message) for p in caught.value.problems]


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_the_smoke_scenario_is_read_with_its_units(smoke: Scenario) -> None:
    assert smoke.phases.warm_up_s == 3.0
    assert smoke.users.total == 300
    assert smoke.load_s == 300 / 60 + 3 + 30
    assert smoke.gateway == {"GATEWAY_HEARTBEAT_SECONDS": "5"}
    assert smoke.health.publisher_delay_p99_ms == 50.0
    assert smoke.question.startswith("Does the whole system work")


def test_a_budget_knows_the_line_it_stands_on(smoke: Scenario) -> None:
    for budget in smoke.budgets:
        assert budget.text in smoke.source.splitlines()[budget.line - 1]


@pytest.mark.parametrize("wrong_key", ["sceond", "steedy"])
def test_a_misspelt_key_is_named_with_its_line_and_the_nearest(
    smoke: Scenario, wrong_key: str
) -> None:
    text = smoke.source.replace("steady =", f"{wrong_key} =")
    found = problems_of(text)
    line = line_of(text, wrong_key)
    assert any(at == line and f"unknown key phases.{wrong_key}" in words for at, words in found)
    assert any("phases.steady is missing" in words for _, words in found)


def test_every_problem_is_reported_at_once_in_the_order_of_lines(smoke: Scenario) -> None:
    text = smoke.source
    for right, wrong in (
        ('"push.p99 <= 10 ms"', '"pusch.p99 <= 10 ms"'),
        ('warm_up = "3 s"', "warm_up = 3"),
        ("GATEWAY_HEARTBEAT_SECONDS", "HEARTBEAT_SECONDS"),
        ("symbols = 150", "symbols = 0"),
        ("burst = 70", "burst = 70\nbrust = 7"),
        ('event = "ticker:update"', 'event = "ticker:upd"'),
        ('inconclusive = "fail"', 'inconclusive = "maybe"'),
    ):
        assert right in text
        text = text.replace(right, wrong)
    found = problems_of(text)
    assert [line for line, _ in found] == sorted(line for line, _ in found)
    starts = ('    "pusch', "warm_up", "HEARTBEAT", "symbols = 0", "brust", 'event = "ticker')
    assert {line for line, _ in found} >= {line_of(text, start) for start in starts}
    words = "\n".join(words for _, words in found)
    assert "did you mean push?" in words
    assert 'such as "3 s"' in words
    assert "start with GATEWAY_" in words
    assert "from 1 to 10,000" in words
    assert "did you mean burst?" in words
    assert "did you mean ticker:update?" in words


def test_the_error_names_path_and_line_of_each_problem(smoke: Scenario) -> None:
    with pytest.raises(ScenarioError, match=r"(?m)^x\.toml:\d+: seed = 'a'; write a whole number"):
        parse_scenario(smoke.source.replace("seed = 20", 'seed = "a"'), path="x.toml")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        pytest.param("[phases]", "", "phases is missing", id="a table is missing"),
        pytest.param("seed = 20", "seed = true", "seed = True", id="a boolean is not a number"),
        pytest.param('"30 s"', '"30 h"', "such as", id="unknown unit of time"),
        pytest.param('"30 s"', '"0 s"', "from 1 s", id="a steady phase of nothing"),
        pytest.param('drain = "5 s"', 'drain = "1000 s"', "to 120 s", id="a drain without bound"),
        pytest.param("zipf = 0.3", "zipf = nan", "write a number", id="not a number"),
        pytest.param("rate = 30.0", "rate = -1", "write a number", id="a negative rate"),
        pytest.param('name = "smoke"', 'name = "../x"', "lower-case", id="a name that is a path"),
        pytest.param(
            "GATEWAY_HEARTBEAT_SECONDS = 5",
            'GATEWAY_METRICS_TOKEN = "x"',
            "is a secret",
            id="a secret setting",
        ),
        pytest.param(
            "GATEWAY_HEARTBEAT_SECONDS = 5",
            'JWT_SECRET = "x"',
            "start with GATEWAY_",
            id="the secret itself",
        ),
        pytest.param(
            "SECONDS = 5",
            "SECONDS = [5]",
            "not a text, number or boolean",
            id="a setting that is a list",
        ),
        pytest.param(
            "symbols = 150",
            "symbols = 1",
            "at most 1",
            id="more symbols held than there are",
        ),
        pytest.param(
            "delivery.lost", "delivery.duplicate", "is written twice", id="a budget said twice"
        ),
    ],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(
    smoke: Scenario, before: str, after: str, words: str
) -> None:
    assert before in smoke.source
    found = problems_of(smoke.source.replace(before, after, 1))
    assert any(words in message for _, message in found), found


def without(text: str, table: str) -> str:
    head, _, rest = text.partition(f"[{table}]")
    return head + rest[rest.index("\n[") + 1 :]


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        pytest.param(["users.trader"], "no user is in the trading channel", id="no traders"),
        pytest.param(
            ["users.subscriber", "users.trader"], "no user subscribes to a symbol", id="no listener"
        ),
        pytest.param(["users.abuser"], "no user exceeds the limit", id="no abuser"),
        pytest.param(
            ["users.subscriber", "users.trader", "users.abuser"],
            "the scenario has no users",
            id="nobody",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_problems(
    smoke: Scenario, removed: list[str], words: str
) -> None:
    text = smoke.source
    for table in removed:
        text = without(text, table)
    assert any(words in message for _, message in problems_of(text))


def test_a_budget_on_deliveries_without_publications_never_has_data(smoke: Scenario) -> None:
    head, _, tail = smoke.source.partition("[[publish]]")
    found = problems_of(head + "[health]" + tail.partition("[health]")[2])
    assert any('"push.p99 <= 10 ms" would never have data' in words for _, words in found)


def test_broken_toml_is_one_problem_with_its_line() -> None:
    found = problems_of('name = "x"\nseed = \n')
    assert len(found) == 1
    assert found[0][0] == 2
    assert "is not valid TOML" in found[0][1]


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_scenario(tmp_path / "none.toml")


def test_the_events_are_those_of_the_wire_contract() -> None:
    of_family = {
        family: {name for name, row in EVENTS.items() if row.family is family} for family in Family
    }
    assert set(MARKET_EVENTS) == of_family[Family.MARKET]
    assert set(TRADING_EVENTS) == of_family[Family.TRADING]
    assert set(PUBLISHABLE_EVENTS) == set(ACCOUNTED)


def test_symbols_are_valid_and_their_weights_fall_as_zipf_says(smoke: Scenario) -> None:
    assert all(SYMBOL_PATTERN.fullmatch(name) for name in smoke.market.names)
    weights = smoke.market.weights()
    assert sum(weights) == pytest.approx(1)
    assert weights[0] == pytest.approx(10**smoke.market.zipf * weights[9])


def test_health_and_policy_have_defaults(smoke: Scenario) -> None:
    head = smoke.source.partition("[health]")[0]
    found = parse_scenario(head, path="x.toml")
    assert found.health == smoke.health
    assert found.policy.inconclusive == "fail"


ARRIVALS = """# Do stages and arrivals say what they mean?
name = "waves"
seed = 1
budgets = ["errors == 0"]
[phases]
spawn_rate = 500.0
arrivals = "burst"
burst_size = 100
warm_up = "1 s"
steady = "30 s"
drain = "5 s"
[[stages]]
at = "10 s"
users = 200
spawn_rate = 50.0
[[stages]]
at = "20 s"
users = 50
spawn_rate = 50.0
[market]
symbols = 5
zipf = 1.0
[users.trader]
count = 100
symbols = 1
request_every = "4 s"
arrivals = "poisson"
[[publish]]
event = "price:update"
rate = 100.0
arrivals = "poisson"
payload = "2 KB"
"""


def test_stages_arrivals_and_payloads_are_read() -> None:
    waves = parse_scenario(ARRIVALS, path="waves.toml")
    assert waves.phases.arrivals == Arrivals(kind="burst", burst_size=100)
    assert [(s.at_s, s.users, s.spawn_rate) for s in waves.stages] == [(10, 200, 50), (20, 50, 50)]
    assert waves.most_users == 200
    assert waves.users.trader is not None
    assert waves.users.trader.arrivals == Arrivals(kind="poisson")
    assert waves.publish[0].payload_bytes == 2_048


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('at = "20 s"', 'at = "10 s"', "must rise"),
        ('at = "20 s"', 'at = "30 s"', "after the steady phase"),
        ("burst_size = 100\n", "", "phases.burst_size is missing"),
        ('rate = 100.0\narrivals = "poisson"', "rate = 100.0\nburst_size = 5", "unknown key"),
        ('"2 KB"', '"2 s"', 'such as "330 B"'),
        ('"2 KB"', '"1 MB"', "64,512 B"),
        ('rate = 100.0\narrivals = "poisson"', 'rate = 1.0\narrivals = "posson"', "poisson"),
    ],
    ids=["order", "too late", "no size", "size of nothing", "unit", "too big", "misspelt"],
)
def test_what_is_wrong_with_stages_arrivals_and_payloads_is_said(
    right: str, wrong: str, words: str
) -> None:
    assert right in ARRIVALS
    assert any(words in said for _, said in problems_of(ARRIVALS.replace(right, wrong)))
