from __future__ import annotations

import pytest

from gateway.anomaly import WINDOW_NS, Anomalies, Anomaly, Signal, SubjectKind
from scenarios.finding import named_scenarios
from scenarios.schema import read_scenario
from tests.benchmarks.anomaly import ATTACKS, NORMAL, Attack, count_alarms, notice

NS_PER_S = 1_000_000_000


def repeated(
    watch: Anomalies, signal: Signal, every_s: float, since_s: float, until_s: float
) -> list[Anomaly]:
    """Return the anomalies of a signal that comes at even times."""
    found, at_s = [], since_s
    while at_s < until_s:
        found.append(watch.note("alice", signal, round(at_s * NS_PER_S)))
        at_s += every_s
    return [one for one in found if one is not None]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_noticed_within_two_minutes(attack: Attack) -> None:
    found = notice(attack)
    assert found is not None
    after_s, anomaly = found
    assert after_s < 120
    assert anomaly.signal is attack.signal
    assert anomaly.score > 1


@pytest.mark.parametrize("group", NORMAL)
def test_an_hour_of_normal_traffic_is_no_anomaly(group: str) -> None:
    scenarios = (read_scenario(path) for path in named_scenarios().values())
    settings = next(
        scenario.users.named()[group]
        for scenario in scenarios
        if group in scenario.users.named() and scenario.name != "compare"
    )
    alarms, signals = count_alarms(group, settings, users=5, span_s=3_600)
    assert signals > 0
    assert alarms == 0


def test_a_steady_pace_becomes_normal_and_a_faster_one_is_not() -> None:
    watch = Anomalies(SubjectKind.USER)
    assert repeated(watch, Signal.SUBSCRIPTION, 0.5, 0, 1_200) == []
    found = repeated(watch, Signal.SUBSCRIPTION, 0.05, 1_200, 1_240)
    assert [one.signal for one in found] == [Signal.SUBSCRIPTION]  # told once a minute
    assert found[0].count > found[0].allowed


def test_a_long_attack_does_not_become_normal_and_is_told_again() -> None:
    watch = Anomalies(SubjectKind.USER)
    found = repeated(watch, Signal.REFUSAL, 0.2, 0, 600)
    assert len(found) >= 3


def test_one_user_does_not_count_for_another() -> None:
    watch = Anomalies(SubjectKind.USER)
    for number in range(1_000):
        assert watch.note(f"user-{number}", Signal.ERROR, number) is None


def test_memory_is_bounded_and_the_longest_silent_subject_goes_first() -> None:
    watch = Anomalies(SubjectKind.ADDRESS, most_rows=3)
    for window, name in enumerate(["a", "b", "c", "a", "d"]):
        watch.note(name, Signal.CONNECT, window * WINDOW_NS)
    assert len(watch) == 3
    assert list(watch._rows) == ["c", "a", "d"]


def test_a_subject_is_forgotten_after_an_hour_of_silence() -> None:
    watch = Anomalies(SubjectKind.USER)
    watch.note("early", Signal.PING, 0)
    watch.note("late", Signal.PING, 1_800 * NS_PER_S)
    watch.sweep(3_700 * NS_PER_S)
    assert list(watch._rows) == ["late"]
