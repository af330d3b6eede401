"""What makes a run's times unbelievable, and what is only shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_run import SMOKE, Tables, span_rows

from loadtests.results import Phase, Series, Verdict
from reports.frames import RunFrames
from reports.validity import Check, check_validity
from reports.verdict import judge

Make = Callable[..., RunFrames]
_MS = 1_000_000


def check_of(run: RunFrames, name: str) -> Check:
    return next(check for check in check_validity(run) if check.name == name)


def share_of(value_ms: float) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for second in range(8, 38):
            values = [round(value_ms * _MS)] * 20
            tables["hist"] += span_rows(Series.GENERATOR_SHARE, second, values)

    return change


def column_of(name: str, value: Any) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in tables["generator"]:
            row[name] = value

    return change


def both(*changes: Callable[[Tables], None]) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for one in changes:
            one(tables)

    return change


def late_loop(tables: Tables) -> None:
    for second in range(8, 38):
        tables["hist"] += span_rows(Series.LOOP_LAG, second, [200 * _MS] * 5)


def smoke_with_health(line: str) -> str:
    head, _, tail = SMOKE.read_text(encoding="utf-8").partition("[health]")
    return f"{head}[health]\n{line}\n[policy]{tail.partition('[policy]')[2]}"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("generator's own share p99", share_of(25)),
        ("generator CPU", column_of("cpu_ns", 990 * _MS)),
        ("generator's wait for a core", column_of("run_queue_ns", 400 * _MS)),
        ("time the host took", column_of("steal_ns", 400 * _MS)),
        ("generator's longest garbage collection", column_of("gc_pause_max_ns", 150 * _MS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_limit_makes_times_invalid_and_names_itself(
    run_with: Make, name: str, change: Callable[[Tables], None]
) -> None:
    run = run_with(change=change)
    assert check_of(run, name).ok is False
    outcome = judge(run)
    assert outcome.verdict is Verdict.INVALID
    assert any(reason.startswith(f"{name}: ") for reason in outcome.reasons)
    counted = next(d for d in outcome.decisions if d.budget.metric == "delivery.lost")
    assert counted.verdict is Verdict.PASS


@pytest.mark.parametrize("column", ["run_queue_ns", "steal_ns"])
def test_what_a_machine_cannot_give_is_said_and_stops_nothing(run_with: Make, column: str) -> None:
    run = run_with(change=column_of(column, None))
    unknown = [check for check in check_validity(run) if check.ok is None]
    assert "this machine did not tell it" in {check.why for check in unknown}
    assert judge(run).verdict is Verdict.PASS


def test_a_loop_that_bursts_make_late_is_no_fault_where_the_own_share_is_measured(
    run_with: Make,
) -> None:
    run = run_with(change=both(late_loop, share_of(1)))
    assert check_of(run, "generator loop lag p99").why == "200 ms, allowed 250 ms"
    assert judge(run).verdict is Verdict.PASS


def test_a_generator_that_stood_still_is_invalid_though_its_own_share_looks_small(
    run_with: Make,
) -> None:
    def stand_still(tables: Tables) -> None:
        lags_ns = [lag_ms * _MS for lag_ms in range(10, 2_001, 10)]
        tables["hist"] += span_rows(Series.LOOP_LAG, 20, lags_ns)

    run = run_with(change=both(stand_still, share_of(1)))
    assert check_of(run, "generator's own share p99").ok
    assert judge(run).verdict is Verdict.INVALID


def test_a_late_loop_stands_in_where_no_own_share_was_measured(run_with: Make) -> None:
    check = check_of(run_with(change=late_loop), "generator loop lag p99")
    assert (check.ok, check.limit) == (False, 50 * _MS)


def test_a_late_loop_judges_where_the_scenario_says_so(run_with: Make) -> None:
    scenario = smoke_with_health('generator_loop_lag_p99 = "20 ms"')
    run = run_with(scenario=scenario, change=both(late_loop, share_of(1)))
    check = check_of(run, "generator loop lag p99")
    assert (check.ok, check.limit) == (False, 20 * _MS)


def test_schedule_delay_judges_only_where_the_scenario_says_so(run_with: Make) -> None:
    assert check_of(run_with(), "schedule delay p99").limit is None
    scenario = smoke_with_health('schedule_delay_p99 = "100 us"')
    check = check_of(run_with(scenario=scenario), "schedule delay p99")
    assert check.ok is False


def test_the_worst_worker_is_judged_and_not_their_mean(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        busy = [{**row, "worker": "second", "cpu_ns": 980 * _MS} for row in tables["generator"]]
        tables["generator"] += busy

    assert check_of(run_with(change=change), "generator CPU").ok is False


def test_only_the_steady_phase_is_judged(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for row in tables["generator"]:
            if row["phase"] != Phase.STEADY:
                row["gc_pause_max_ns"] = 900 * _MS

    assert check_of(run_with(change=change), "generator's longest garbage collection").ok


def test_no_collection_is_no_pause(run_with: Make) -> None:
    run = run_with(change=column_of("gc_pause_max_ns", None))
    check = check_of(run, "generator's longest garbage collection")
    assert (check.ok, check.why) == (True, "there was none")
