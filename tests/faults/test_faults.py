from __future__ import annotations

import asyncio
import secrets

import pytest
from deadlines import DEADLINE_S

from gateway.server.app import Gateway
from gateway.server.context import Context
from gateway.settings import read_settings
from loadtests.oracles.checksums import is_altered
from loadtests.publication.payloads import PayloadMaker
from scenarios.catalogue import METRICS
from scenarios.model import MARKET_EVENTS
from scenarios.schema import read_scenario
from tests.faults.__main__ import CLEAN, SCENARIOS
from tests.faults.catalogue import FAULTS
from tests.faults.deliveries import with_another_digit
from tests.faults.proof import EXPECTED, TRIALS, read_trial, summary, table

SEEDED = [(scenario, fault) for scenario, faults in TRIALS.items() for fault in faults]


def verdict(**came_to: str) -> dict[str, object]:
    """Return a ``verdict.json`` of budgets on metrics, each with what it came to."""
    budgets = [
        {
            "text": f"{metric} == 0",
            "metric": metric,
            "verdict": word,
            "value": 3,
            "unit": "",
            "why": "so",
        }
        for metric, word in ((name.replace("__", "."), word) for name, word in came_to.items())
    ]
    return {"verdict": "FAIL" if "FAIL" in came_to.values() else "PASS", "budgets": budgets}


def test_every_fault_has_one_scenario_that_must_find_it() -> None:
    assert sorted(fault for _, fault in SEEDED) == sorted(set(FAULTS) - {CLEAN})
    assert set(EXPECTED) == set(FAULTS) - {CLEAN}


@pytest.mark.parametrize(("scenario", "fault"), SEEDED)
def test_what_must_tell_of_a_fault_is_demanded_by_its_scenario(scenario: str, fault: str) -> None:
    demanded = {budget.metric for budget in read_scenario(SCENARIOS / f"{scenario}.toml").budgets}
    assert set(EXPECTED[fault]) <= demanded <= set(METRICS)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_gateway_starts_and_stops_with_any_fault(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "limiter_for", Context.limiter_for)  # put back afterwards
    environment = {
        "GATEWAY_ENV": "test",
        "JWT_SECRET": secrets.token_urlsafe(48),
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    gateway = Gateway(read_settings(environment, random_secret=""))
    FAULTS[name].seed(gateway)
    assert (await gateway.start()).startswith("http://127.0.0.1:")
    async with asyncio.timeout(DEADLINE_S):
        await gateway.stop()


def test_a_fault_is_killed_by_a_metric_that_tells_of_it_and_by_no_other() -> None:
    found = read_trial("deliveries", "delivery-lost", verdict(delivery__lost="FAIL"), 1.0)
    by_chance = read_trial("deliveries", "delivery-lost", verdict(push="FAIL"), 1.0)
    undecided = read_trial("deliveries", "delivery-lost", verdict(delivery__lost="INVALID"), 1.0)
    assert [trial.is_killed for trial in (found, by_chance, undecided)] == [True, False, False]


def test_a_clean_run_that_breaks_a_budget_is_a_false_alarm_and_an_undecided_one_is_none() -> None:
    accused = read_trial("late", CLEAN, verdict(push="FAIL"), 1.0)
    undecided = read_trial("late", CLEAN, verdict(push="INCONCLUSIVE"), 1.0)
    assert (accused.is_false_alarm, undecided.is_false_alarm) == (True, False)
    assert summary([accused, undecided]) == "0 of 0 faults killed; 1 false alarms in 2 clean runs"


def test_a_trial_without_a_verdict_kills_nothing_and_is_told() -> None:
    trial = read_trial("late", "broadcast-late", None, 1.0)
    assert not trial.is_killed
    lines = table([trial], {"broadcast-late": "late"})
    assert "| `broadcast-late` | late | nothing | **alive** |" in lines


def test_a_stored_trial_is_read_back_as_it_was() -> None:
    trial = read_trial("late", "broadcast-late", verdict(push="FAIL"), 2.5)
    assert type(trial).from_json(trial.as_json()) == trial


@pytest.mark.parametrize("event", MARKET_EVENTS)
def test_any_digit_of_a_market_event_may_be_changed_and_each_change_is_found(event: str) -> None:
    maker = PayloadMaker(1, ["AAA/USDT"], [1.0], [])
    data = maker.make(event, source_us=None, unix_s=0.0)["data"]
    assert isinstance(data, dict)
    payload = {**data, "seq": 3, "prevSeq": 2, "ts": 1, "timestamp": "t"}
    changed = [with_another_digit(payload, turn) for turn in range(200)]
    assert all(is_altered(event, each) for each in changed)
    assert len({repr(each) for each in changed}) > 3
    assert all(each["seq"] == 3 and each["ts"] == 1 for each in changed)
    assert not is_altered(event, payload)
