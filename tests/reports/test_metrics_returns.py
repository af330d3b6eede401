"""What users that return get of their private events, and deliveries beyond a rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from staged_run import WARM_UP_S, make_staged_run
from synthetic_run import event_row as row
from synthetic_run import ledger_row, span_rows

from loadtests.results import Event, Phase, ReturnOutcome, Series
from reports.measures.registry import measure
from reports.run_frames import RunFrames, read_run

_S = 1_000_000_000
_MS = 1_000_000
RETURNERS = '[users.returner]\ncount = 100\nsymbols = 1\nstay = "2 s"'
LIMITED = "[users.subscriber]\ncount = 100\nsymbols = 1\nmax_rate = 2"


def run_of(tmp_path: Path, groups: str = RETURNERS, **more: Any) -> RunFrames:
    return read_run(make_staged_run(tmp_path / "run", groups, **more))


def returns(**counts: int) -> list[Any]:
    """Return the rows of so many outcomes each, named as in ``ReturnOutcome``."""
    return [
        row(_S, Event.RETURN, str(ReturnOutcome[name.upper()]))
        for name, count in counts.items()
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("metric", "value", "n"),
    [
        ("return.replayed", 40, 43),
        ("return.lost", 3, 43),
        ("return.doubled", 2, 43),
        ("return.resync", 1, 11),
    ],
)
def test_each_outcome_is_counted_against_what_was_checked(
    tmp_path: Path, metric: str, value: int, n: int
) -> None:
    events = returns(current=10, replayed=40, lost=3, doubled=2, resync=1)
    found = measure(run_of(tmp_path, events=events), metric)
    assert (found.value, found.n) == (value, n)


def test_a_run_in_which_nobody_missed_anything_proves_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, events=returns(current=10))
    assert measure(run, "return.lost").value is None
    assert measure(run, "return.resync").value == 0
    nobody = run_of(tmp_path, events=[row(_S, Event.CONNECT)])
    assert measure(nobody, "return.lost").why == "no user returned with a number"


def test_the_time_to_be_current_is_that_of_the_series(tmp_path: Path) -> None:
    hist = span_rows(Series.RETURN_CURRENT, 30, [7 * _MS] * 20, phase=Phase.STEADY)
    found = measure(run_of(tmp_path, hist=hist), "return.current", "p50")
    assert found.value == pytest.approx(7 * _MS, rel=0.001)


def test_deliveries_beyond_the_rate_are_counted_for_each_stream(tmp_path: Path) -> None:
    seconds = WARM_UP_S + 60 + 1  # with the drain
    allowed = 2 * (seconds + 1) + 1
    ledger = [
        {**ledger_row("price:A", "subscriber", 10 * allowed), "clients": 10},
        {**ledger_row("price:B", "subscriber", 10 * allowed + 7), "clients": 10},
        {**ledger_row("trading", "subscriber", 10_000), "clients": 10},
        {**ledger_row("price:B", "storm", 10_000), "clients": 10},
    ]
    run = run_of(tmp_path, LIMITED, ledger=ledger)
    found = measure(run, "delivery.over_rate")
    assert (found.value, found.n) == (7, 20 * allowed + 7)
    without = run_of(tmp_path, ledger=ledger)
    assert measure(without, "delivery.over_rate").why == "the scenario has no users with a rate"
