"""Broken promises, false conflations, and what the gateway says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from staged_run import STEADY_AT_S, Told, make_staged_run
from synthetic_run import Rows, ledger_row, span_rows
from synthetic_run import event_row as row

from loadtests.results import EndOutcome, Event, Phase, Series, WrongOutcome
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

_S = 1_000_000_000
_MS = 1_000_000
SUBSCRIBERS = "[users.subscriber]\ncount = 100\nsymbols = 1"
LIMITED = SUBSCRIBERS + "\nmax_rate = 5"


def run_of(tmp_path: Path, groups: str = SUBSCRIBERS, **more: Any) -> RunFrames:
    return read_run(make_staged_run(tmp_path / "run", groups, **more))


@pytest.mark.parametrize(
    ("metric", "outcome", "n"),
    [
        ("answers.mismatched", WrongOutcome.ANSWER, 5),
        ("delivery.altered", WrongOutcome.ALTERED, 70),
        ("orders.illegal", WrongOutcome.ORDER, 4),
        ("orders.money", WrongOutcome.MONEY, 4),
        ("orders.forms", WrongOutcome.FORM, 4),
        ("heartbeat.extra", WrongOutcome.HEARTBEAT, 2),
        ("disconnect.left_open", WrongOutcome.LEFT_OPEN, 3),
        ("disconnect.stranded", WrongOutcome.STRANDED, 3),
    ],
)
def test_a_broken_promise_is_counted_against_what_was_checked(
    tmp_path: Path, metric: str, outcome: WrongOutcome, n: int
) -> None:
    ends = ["ConnectionClosed", "Disconnected", EndOutcome.DRAINED, EndOutcome.DROPPED]
    checked: Rows = [row(_S, Event.DISCONNECT, str(end)) for end in ends]
    checked += [row(_S, Event.CONNECT), row(_S, Event.RECONNECT)]
    hist = span_rows(Series.ACK, 30, [_MS] * 3, phase=Phase.STEADY)
    hist += span_rows(Series.HEARTBEAT_GAP, 30, [_S] * 2, phase=Phase.STEADY)
    hist += span_rows(Series.ORDER_ACCEPT, 30, [_S] * 4, phase=Phase.STEADY)
    ledger = [ledger_row("price:A", "subscriber", 70)]
    clean = measure(run_of(tmp_path, hist=hist, ledger=ledger, events=checked), metric)
    assert (clean.value, clean.n) == (0, n)
    events = [*checked, *(row(_S, Event.WRONG, str(each)) for each in (*WrongOutcome, outcome))]
    assert measure(run_of(tmp_path, hist=hist, ledger=ledger, events=events), metric).value == 2


@pytest.mark.parametrize(
    "metric", ["heartbeat.extra", "orders.money", "disconnect.stranded", "answers.mismatched"]
)
def test_a_promise_that_was_never_checked_is_no_zero(tmp_path: Path, metric: str) -> None:
    found = measure(run_of(tmp_path), metric)
    assert found.value is None
    assert found.why


def test_a_conflation_is_false_unless_a_slow_reader_explains_it(tmp_path: Path) -> None:
    ledger = [
        ledger_row("price:A", "subscriber", 100, conflated=1),
        ledger_row("price:A", "never_reader", 100, conflated=20),
        ledger_row("trading", "slow_reader", 100, conflated=300),
    ]
    metric = "delivery.false_conflations"
    found = measure(run_of(tmp_path, ledger=ledger), metric)
    assert (found.value, found.n) == (301, 200)
    pause = [Told(at_s=5, do="pause", who="subscriber")]
    assert measure(run_of(tmp_path, ledger=ledger, commands=pause), metric).value == 300
    only_slow = run_of(tmp_path, ledger=ledger[1:2])
    assert measure(only_slow, metric).value is None


def test_a_conflation_is_explained_by_the_rate_that_the_users_asked_for(tmp_path: Path) -> None:
    ledger = [
        ledger_row("price:A", "subscriber", 100, conflated=7),
        ledger_row("trading", "subscriber", 100, conflated=2),
    ]
    run = run_of(tmp_path, LIMITED, ledger=ledger)
    assert measure(run, "delivery.false_conflations").value == 2


def timeline(count_at: Callable[[int], int]) -> Rows:
    counters = ("offered", "sent", "received", "bytes_received", "errors", "missed")
    return [
        {
            "t_s": second,
            "phase": str(Phase.RAMP if second < 5 else Phase.STEADY),
            "worker": "w",
            "clients": count_at(second + 1),
            **dict.fromkeys(counters, 0),
        }
        for second in range(60)
    ]


def ramp(at_s: float) -> int:
    return max(0, min(200, round(40 * at_s)))


@pytest.mark.parametrize(("behind_s", "others"), [(0, 0), (0, 7), (3, 0), (10, 0), (10, 7)])
def test_a_count_of_clients_is_as_old_as_the_ramp_says(
    tmp_path: Path, behind_s: int, others: int
) -> None:
    run = run_of(
        tmp_path, server=lambda second: {"clients": ramp(second + 0.5 - behind_s) + others}
    )
    counted = RunFrames(
        directory=run.directory,
        manifest=run.manifest,
        scenario=run.scenario,
        tables={**run.tables, "timeline": pd.DataFrame(timeline(ramp))},
    )
    found = measure(counted, "gauges.age")
    assert found.value == pytest.approx(behind_s * _S, abs=_S)


def test_a_count_that_never_changed_has_no_age(tmp_path: Path) -> None:
    assert (
        "too little" in measure(run_of(tmp_path, server=lambda _: {"clients": 1}), "gauges.age").why
    )


def test_the_loop_lag_is_the_worst_of_the_steady_seconds(tmp_path: Path) -> None:
    hist = [
        *span_rows(Series.GATEWAY_LAG, STEADY_AT_S - 1, [900 * _MS], phase=Phase.WARM_UP),
        *span_rows(Series.GATEWAY_LAG, STEADY_AT_S + 5, [30 * _MS], phase=Phase.STEADY),
        *span_rows(Series.GATEWAY_LAG, STEADY_AT_S + 6, [2 * _MS], phase=Phase.STEADY),
    ]
    found = measure(run_of(tmp_path, hist=hist), "loop_lag", "max")
    assert found.value == pytest.approx(30 * _MS, rel=0.001)
    assert found.n == 2
    assert measure(run_of(tmp_path), "loop_lag", "max").value is None
