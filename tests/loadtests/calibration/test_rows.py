"""What a calibration says of runs whose numbers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import ledger_row, make_run

from gateway.contract import PRICE_EVENT
from loadtests.calibration.calibrate import markdown
from loadtests.calibration.delays import delay_rows
from loadtests.calibration.freezes import require_within_steady
from loadtests.calibration.loads import SYMBOLS, Load
from loadtests.calibration.pace import FULL, QUICK, Pace
from loadtests.calibration.readings import TrialReading
from loadtests.calibration.rig import TOLD_LATE_S, RigFailed
from loadtests.calibration.rows import CalibrationRow, books_row
from loadtests.record.manifest import write_json
from loadtests.results import VERDICT, Phase, Series
from scenarios.schema import parse_scenario

MS = 1_000_000
PUBLISHED = 100
LOAD = Load(steady_s=8, rates={PRICE_EVENT: 40.0}, subscribers=3)
ReadRun = Callable[..., TrialReading]


@pytest.fixture
def read_run(tmp_path: Path) -> ReadRun:
    """Make a run of 100 publications whose ledger is the given row, and read it."""

    def read(**row: int) -> TrialReading:
        def change(tables: dict[str, list[dict[str, Any]]]) -> None:
            tables["ledger"] = [ledger_row("price:X", "subscriber", **{"owed": 300, **row})]

        figures = {"status": "complete", "published": PUBLISHED, "late": 0, "missed": 0}
        directory = make_run(tmp_path / "run", change=change, manifest={"publisher": figures})
        write_json(directory / VERDICT, {"verdict": "PASS", "budgets": [], "reasons": ["x"]})
        return TrialReading(directory)

    return read


@pytest.mark.parametrize(
    ("row", "may_lose", "ok"),
    [
        ({}, False, True),
        ({"conflated": 40}, False, True),
        ({"lost": 2}, False, False),
        ({"lost": 2}, True, True),
        ({"owed": 299}, False, False),
        ({"owed": 301}, True, False),
        ({"duplicate": 1}, False, False),
        ({"leaked": 1}, True, False),
    ],
    ids=str,
)
def test_the_books_balance_to_the_last_message(
    read_run: ReadRun, row: dict[str, int], may_lose: bool, ok: bool
) -> None:
    assert books_row("t", read_run(**row), LOAD, may_lose=may_lose).ok is ok


def test_a_histogram_is_that_of_the_seconds_asked_for(read_run: ReadRun) -> None:
    reading = read_run()
    whole = reading.histogram(Series.PUSH)
    parts = [reading.histogram(Series.PUSH, seconds=frozenset({second})) for second in range(8, 38)]
    assert whole.total == sum(part.total for part in parts) > 0
    assert reading.histogram(Series.PUSH, seconds=frozenset({0})).total == 0
    assert reading.histogram(Series.CONNECT, Phase.RAMP).total > 0


def test_a_phase_lies_where_the_manifest_says(read_run: ReadRun) -> None:
    reading = read_run()
    assert reading.span_ns(Phase.STEADY) == (9_000 * MS, 39_000 * MS)
    with pytest.raises(KeyError, match="no budget on push"):
        reading.budget("push")


def rounds(offset_ms: float = 0.0, scale: float = 1.0) -> list[dict[float, float]]:
    """Return what a ruler of that make reads in rounds whose baseline wanders."""
    return [
        {
            level: (3 + 2 * number + (offset_ms if level else 0) + scale * level) * MS
            for level in (0.0, *FULL.delays_ms)
        }
        for number in range(FULL.rounds)
    ]


def truths(rows: list[CalibrationRow]) -> list[bool]:
    return [row.ok for row in rows]


def test_a_true_ruler_is_true_however_its_baseline_wanders() -> None:
    assert truths(delay_rows(Series.PUSH_SERVICE, rounds(), FULL, {})) == [True] * 6


def test_a_ruler_that_adds_half_a_ms_is_false_where_that_is_much() -> None:
    assert truths(delay_rows(Series.PUSH_SERVICE, rounds(offset_ms=0.5), FULL, {})) == [
        False, False, True, True, True, True,
    ]  # fmt: skip


def test_a_ruler_that_stretches_by_4_percent_is_false_in_its_slope() -> None:
    assert truths(delay_rows(Series.PUSH_SERVICE, rounds(scale=1.04), FULL, {})) == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_rounds_that_were_not_set_in_time_are_left_out_and_too_few_are_no_reading() -> None:
    found = rounds()
    for one in found[:3]:
        del one[100]
    assert truths(delay_rows(Series.PUSH_SERVICE, found, FULL, {})) == [True] * 6
    del found[3][0.0]
    with pytest.raises(RigFailed, match="only 3 rounds measured 100 ms in time"):
        delay_rows(Series.PUSH_SERVICE, found, FULL, {})


@pytest.mark.parametrize("pace", [FULL, QUICK], ids=["full", "quick"])
def test_a_freeze_begins_when_its_phase_is_known_to_have_begun(pace: Pace) -> None:
    assert pace.freeze_s / 2 > TOLD_LATE_S


def test_a_freeze_that_its_phase_does_not_outlive_is_no_reading() -> None:
    require_within_steady(thawed_ns=900 * MS, steady_end_ns=1_000 * MS)
    with pytest.raises(RigFailed, match=r"until 0\.05 s before the end"):
        require_within_steady(thawed_ns=950 * MS, steady_end_ns=1_000 * MS)
    with pytest.raises(RigFailed, match=r"until -0\.25 s before the end"):
        require_within_steady(thawed_ns=1_250 * MS, steady_end_ns=1_000 * MS)


def test_a_load_is_a_scenario_in_which_everybody_holds_every_symbol() -> None:
    scenario = parse_scenario(LOAD.text(), path="calibration.toml")
    assert scenario.users.subscriber is not None
    assert scenario.users.subscriber.symbols == scenario.market.symbols == SYMBOLS
    assert scenario.users.total == LOAD.subscribers


def test_the_document_shows_each_row_and_how_many_are_true() -> None:
    rows = [
        CalibrationRow(trial="t", what="w", demanded="1", read="1", ok=True),
        CalibrationRow(trial="u", what="w", demanded="1", read="2", ok=False),
    ]
    text = markdown(rows, {"machine": "m"})
    assert "- machine: m" in text
    assert "| ● | t | w | 1 | 1 |" in text
    assert "| ✗ | u | w | 1 | 2 |" in text
    assert "1 of 2 rows true." in text
