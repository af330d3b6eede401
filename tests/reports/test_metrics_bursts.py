"""Storms and drains: many clients, one event, a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from staged_run import Told, make_staged_run
from synthetic_run import Rows, event_row, span_rows

from loadtests.results import AttemptOutcome, EndOutcome, Event, Phase, Series
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

_S = 1_000_000_000
_MS = 1_000_000
STORM = "[users.storm]\ncount = 400\nsymbols = 1"
DROP, RETURN = Told(at_s=10, do="drop", who="storm"), Told(at_s=15, do="return", who="storm")
RESTART = Told(at_s=20, do="restart")
TERMINATE = Told(at_s=20, do="terminate")
SHARES = ("p50", "p95", "p99", "max")


def member(user: int, event: Event, at_s: float, outcome: str = "") -> Any:
    return event_row(int(at_s * _S), event, outcome, user=f"vu-{user}", group="storm")


def spans(series: Series, second: int, values_ms: Sequence[int]) -> Rows:
    values_ns = [value * _MS for value in values_ms]
    return span_rows(series, second, values_ns, phase=Phase.STEADY)


def stormy(tmp_path: Path, *, lost: int = 0, stale: int = 0) -> RunFrames:
    """400 drop at 20 s and are back 5,001 to 5,400 ms later, fresh 100 ms after; some never."""
    events: Rows = []
    for user in range(400):
        events.append(member(user, Event.CONNECT, 2))
        events.append(member(user, Event.DISCONNECT, 20.01, str(EndOutcome.DROPPED)))
        events.append(member(user, Event.ATTEMPT, 25.1, str(AttemptOutcome.REFUSED)))
        if user >= lost:
            events.append(member(user, Event.ATTEMPT, 25.5, str(AttemptOutcome.WELCOME)))
            events.append(member(user, Event.RECONNECT, 25.5))
    back = [5_001 + place for place in range(400 - lost)]
    hist = spans(Series.STORM_BACK, 25, back)
    hist += spans(Series.STORM_FRESH, 26, [each + 100 for each in back[: 400 - lost - stale]])
    directory = make_staged_run(
        tmp_path / "run", STORM, commands=[DROP, RETURN], events=events, hist=hist
    )
    return read_run(directory)


def test_a_storm_is_measured_by_its_members(tmp_path: Path) -> None:
    run = stormy(tmp_path)
    found = measure(run, "storm.back", "p50")
    assert found.value == pytest.approx(5_200 * _MS, rel=0.001)
    assert found.low is not None
    assert found.high is not None
    # Of 400 members the middle lies between the 180th and the 220th (binomial, 95 %).
    assert found.low == pytest.approx(5_180 * _MS, rel=0.001)
    assert found.high == pytest.approx(5_221 * _MS, rel=0.001)
    assert found.n == 400
    assert measure(run, "storm.fresh", "max").value == pytest.approx(5_500 * _MS, rel=0.001)
    assert measure(run, "storm.not_back").value == 0
    assert measure(run, "storm.attempts").value == 800
    assert measure(run, "storm.refused").value == 400


def test_who_never_came_back_is_slower_than_everybody(tmp_path: Path) -> None:
    run = stormy(tmp_path, lost=20)
    assert (measure(run, "storm.not_back").value, measure(run, "storm.not_back").n) == (20, 400)
    middle = measure(run, "storm.back", "p50")
    assert middle.value == pytest.approx(5_200 * _MS, rel=0.001)
    assert middle.why == "20 of 400 members have no value"
    last = measure(run, "storm.back", "p99")
    assert last.value is None
    assert last.why == "20 of 400 members have no value, so the p99 is unknown"
    assert measure(run, "storm.back", "max").value is None


def test_the_times_back_and_fresh_are_given_by_share(tmp_path: Path) -> None:
    run = stormy(tmp_path, stale=2)
    back = [measure(run, "storm.back", share).value for share in SHARES]
    assert back == pytest.approx([each * _MS for each in (5_200, 5_380, 5_396, 5_400)], rel=0.001)
    *fresh, last = [measure(run, "storm.fresh", share).value for share in SHARES]
    assert fresh == pytest.approx([each * _MS for each in (5_300, 5_480, 5_496)], rel=0.001)
    assert last is None


def test_a_member_that_is_dropped_again_has_to_come_back_again(tmp_path: Path) -> None:
    again = [Told(at_s=20, do="drop", who="storm"), Told(at_s=25, do="return", who="storm")]
    events = [
        member(0, Event.CONNECT, 2),
        member(0, Event.DISCONNECT, 20.1, str(EndOutcome.DROPPED)),
        member(0, Event.RECONNECT, 26),
        member(0, Event.DISCONNECT, 30.1, str(EndOutcome.DROPPED)),
    ]
    commands = [DROP, RETURN, *again]
    run = read_run(make_staged_run(tmp_path / "run", STORM, commands=commands, events=events))
    assert measure(run, "storm.not_back").value == 1


def test_a_drop_without_a_return_is_no_storm(tmp_path: Path) -> None:
    events = [member(0, Event.DISCONNECT, 20.1, str(EndOutcome.DROPPED))]
    run = read_run(make_staged_run(tmp_path / "run", STORM, commands=[DROP], events=events))
    assert measure(run, "storm.not_back").value is None
    assert measure(run, "storm.back", "p50").why.startswith("no group dropped and returned")


def drained(tmp_path: Path, told: Told, *, silent: int = 0, **manifest: Any) -> RunFrames:
    """100 are told at 30.1 s and closed at 30.5 s; ``silent`` of them are not told."""
    events: Rows = []
    for user in range(100):
        events.append(member(user, Event.CONNECT, 2))
        if user >= silent:
            events.append(member(user, Event.DRAINING, 30.1))
        events.append(member(user, Event.DISCONNECT, 30.5, str(EndOutcome.DRAINED)))
    hist = spans(Series.DRAIN_NOTICE, 30, [100] * (100 - silent))
    hist += spans(Series.DRAIN_CLOSE, 30, [500] * 100)
    directory = make_staged_run(
        tmp_path / "run", STORM, commands=[told], events=events, hist=hist, manifest=manifest
    )
    return read_run(directory)


GONE: dict[str, Any] = {
    "gateway": {"status": "ok", "exits": [{"asked_s": 30.0, "exited_s": 30.75, "exit_code": 0}]}
}


def test_a_drain_is_timed_from_the_command(tmp_path: Path) -> None:
    run = drained(tmp_path, TERMINATE, **GONE)
    assert measure(run, "drain.notice", "p50").value == pytest.approx(100 * _MS, rel=0.001)
    assert measure(run, "drain.close", "max").value == pytest.approx(500 * _MS, rel=0.001)
    assert measure(run, "drain.exit").value == pytest.approx(750 * _MS)
    assert (measure(run, "drain.unannounced").value, measure(run, "drain.unannounced").n) == (
        0,
        100,
    )


def test_who_was_not_told_is_counted(tmp_path: Path) -> None:
    assert measure(drained(tmp_path, TERMINATE, silent=3, **GONE), "drain.unannounced").value == 3


def test_told_after_the_end_is_not_told(tmp_path: Path) -> None:
    events = [
        member(0, Event.DISCONNECT, 30.5, str(EndOutcome.DRAINED)),
        member(0, Event.DRAINING, 30.6),
    ]
    run = read_run(make_staged_run(tmp_path / "run", STORM, commands=[TERMINATE], events=events))
    assert measure(run, "drain.unannounced").value == 1


def test_the_slowest_exit_counts_and_a_bad_exit_code_is_told(tmp_path: Path) -> None:
    exits = [
        {"asked_s": 30.0, "exited_s": 31.0, "exit_code": 0},
        {"asked_s": 50.0, "exited_s": 53.0, "exit_code": 1},
    ]
    found = measure(drained(tmp_path, TERMINATE, gateway={"exits": exits}), "drain.exit")
    assert (found.value, found.n, found.why) == (3 * _S, 2, "exit code 1")


@pytest.mark.parametrize(
    "exits", [[], [{"asked_s": 30.0, "exited_s": None, "exit_code": None}]], ids=["none", "no end"]
)
def test_an_exit_that_nobody_saw_has_no_time(tmp_path: Path, exits: list[Any]) -> None:
    found = measure(drained(tmp_path, TERMINATE, gateway={"exits": exits}), "drain.exit")
    assert (found.value, found.why) == (None, "the exit time is missing for 1 of 1 exits")


def test_a_restart_is_a_drain_and_a_storm(tmp_path: Path) -> None:
    run = drained(tmp_path, RESTART, **GONE)
    assert measure(run, "drain.unannounced").value == 0
    assert (measure(run, "storm.not_back").value, measure(run, "storm.not_back").n) == (100, 100)


def test_what_is_tried_after_the_last_gateway_is_no_part_of_the_storm(tmp_path: Path) -> None:
    tried = [
        member(0, Event.ATTEMPT, at_s, str(AttemptOutcome.REFUSED)) for at_s in (22, 31, 40, 41)
    ]
    commands = [RESTART, Told(at_s=25, do="terminate")]
    run = read_run(make_staged_run(tmp_path / "run", STORM, commands=commands, events=tried))
    assert measure(run, "storm.attempts").value == 2


def test_without_a_command_nothing_drained(tmp_path: Path) -> None:
    run = read_run(make_staged_run(tmp_path / "run", STORM))
    for metric, statistic in (("drain.notice", "p50"), ("drain.exit", None)):
        assert measure(run, metric, statistic).why.startswith("the gateway was not told")
