"""What makes a run's times unbelievable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_run import SMOKE, Tables, span_rows

from loadtests.results import Series, Verdict
from reports.believability import Check, check_run, dirty_seconds
from reports.measures.histograms import EVERY_PHASE
from reports.measures.registry import measure
from reports.run_frames import RunFrames
from reports.verdict import judge

Make = Callable[..., RunFrames]
_MS = 1_000_000


def check_of(run: RunFrames, name: str) -> Check:
    return next(check for check in check_run(run) if check.name == name)


def share_of(value_ms: float) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for second in range(8, 38):
            values = [round(value_ms * _MS)] * 20
            tables["hist"] += span_rows(Series.GENERATOR_SHARE, second, values)

    return change


def column_of(name: str, value: Any, table: str = "generator") -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in tables[table]:
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


def slow_pushes(tables: Tables) -> None:
    for second in range(8, 38):
        tables["hist"] += span_rows(Series.PUSH, second, [300 * _MS] * 50)


def late_publisher(tables: Tables) -> None:
    for second in range(8, 38):
        tables["hist"] += span_rows(Series.PUBLISH_DELAY, second, [200 * _MS] * 50)


def smoke_with_health(line: str) -> str:
    head, _, tail = SMOKE.read_text(encoding="utf-8").partition("[health]")
    return f"{head}[health]\n{line}\n[policy]{tail.partition('[policy]')[2]}"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("generator's own share p99", share_of(25)),
        ("generator loop lag p99", late_loop),
        ("generator CPU", column_of("cpu_ns", 990 * _MS)),
        ("publisher delay p99", late_publisher),
        ("dirty seconds", both(column_of("run_queue_ns", 400 * _MS), slow_pushes)),
        ("dirty seconds", both(column_of("steal_ns", 400 * _MS), slow_pushes)),
        ("dirty seconds", both(column_of("core_wait_ns", 150 * _MS, "server"), slow_pushes)),
        ("dirty seconds", both(column_of("gc_pause_max_ns", 150 * _MS), slow_pushes)),
    ],
    ids=["share", "loop", "CPU", "publisher", "run queue", "steal", "core wait", "collections"],
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


def test_a_loss_that_is_shorter_than_the_limit_decides_nothing(run_with: Make) -> None:
    scenario = SMOKE.read_text(encoding="utf-8").replace("push.p99 <= 10 ms", "push.p99 <= 250 ms")
    run = run_with(
        scenario=scenario, change=both(column_of("core_wait_ns", 20 * _MS, "server"), slow_pushes)
    )
    decision = next(each for each in judge(run).decisions if each.budget.metric == "push")
    assert decision.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("table", "column"),
    [("server", "core_wait_ns"), ("server", "cpu_ns"), ("generator", "run_queue_ns"),
     ("generator", "steal_ns")],
)  # fmt: skip
def test_what_a_machine_or_a_gateway_cannot_tell_stops_nothing(
    run_with: Make, table: str, column: str
) -> None:
    run = run_with(change=column_of(column, None, table))
    assert not dirty_seconds(run)
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


def test_the_worst_worker_is_judged_and_not_their_mean(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        busy = [{**row, "worker": "second", "cpu_ns": 980 * _MS} for row in tables["generator"]]
        tables["generator"] += busy

    assert check_of(run_with(change=change), "generator CPU").ok is False


def in_seconds(
    column: str, value_ms: float, seconds: range, table: str = "generator"
) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in tables[table]:
            if row["t_s"] in seconds:
                row[column] = round(value_ms * _MS)

    return change


def spans_of(series: Series, value_ms: float, seconds: range) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for second in seconds:
            tables["hist"] += span_rows(series, second, [round(value_ms * _MS)] * 40)

    return change


STEADY = range(8, 38)
ONE = range(20, 21)


def gateway_runs(busy_ms: int) -> Callable[[Tables], None]:
    """Let the gateway use so much CPU time in each second."""

    def change(tables: Tables) -> None:
        for row in tables["server"]:
            row["cpu_ns"] = (row["t_s"] + 1) * busy_ms * _MS

    return change


def test_a_clean_machine_has_no_dirty_second(passing_run: RunFrames) -> None:
    assert dirty_seconds(passing_run) == {}
    check = check_of(passing_run, "dirty seconds")
    assert (check.ok, check.value, check.why) == (True, 0, "none of 30 steady seconds")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(
            in_seconds("steal_ns", 300, ONE), "host steal 15 % of the machine", id="steal"
        ),
        pytest.param(
            in_seconds("core_wait_ns", 300, ONE, "server"),
            "the gateway spent 30 % of the second waiting for a core",
            id="strangers on the gateway's core",
        ),
        pytest.param(
            both(in_seconds("run_queue_ns", 600, ONE), gateway_runs(180)),
            "the generator spent 42 % of the second waiting for a core that other processes had",
            id="strangers on the generator's core",
        ),
        pytest.param(
            in_seconds("gc_pause_max_ns", 150, ONE),
            "the generator spent 15 % of the second collecting garbage", id="a collection",
        ),
    ],
)  # fmt: skip
def test_a_second_that_lost_too_much_is_dirty_and_so_is_the_next(
    run_with: Make, change: Callable[[Tables], None], why: str
) -> None:
    assert dirty_seconds(run_with(change=change)) == {20: why, 21: "the second before it was dirty"}


@pytest.mark.parametrize(
    ("column", "lost_ms", "table"),
    [("steal_ns", 200, "generator"), ("core_wait_ns", 100, "server"),
     ("run_queue_ns", 280, "generator"), ("gc_pause_max_ns", 100, "generator")],
)  # fmt: skip
def test_a_second_may_lose_a_tenth(run_with: Make, column: str, lost_ms: int, table: str) -> None:
    change = both(in_seconds(column, lost_ms, ONE, table), gateway_runs(180))
    assert dirty_seconds(run_with(change=change)) == {}


@pytest.mark.parametrize(
    "push_ms", [pytest.param(80, id="slow"), pytest.param(900, id="very slow")]
)
def test_a_slow_gateway_on_a_clean_machine_makes_no_second_dirty(
    run_with: Make, push_ms: float
) -> None:
    series = (Series.PUSH, Series.PUSH_SERVICE, Series.KERNEL, Series.ACCEPT, Series.ACK)
    slow = both(*(spans_of(each, push_ms, range(15, 20)) for each in series))
    run = run_with(change=slow)
    assert dirty_seconds(run) == {}
    assert measure(run, "push", "max").value == pytest.approx(push_ms * _MS, rel=0.001)


@pytest.mark.parametrize("column", ["loop_lag_max_ns", "share_max_ns"])
def test_a_gateway_that_stalls_and_then_floods_cannot_hide_behind_a_late_generator(
    run_with: Make, column: str
) -> None:
    flooded = both(in_seconds(column, 900, ONE), spans_of(Series.KERNEL, 500, ONE))
    assert dirty_seconds(run_with(change=flooded)) == {}


def test_a_gateway_that_keeps_a_generator_from_its_core_cannot_hide(run_with: Make) -> None:
    starved = both(in_seconds("run_queue_ns", 900, STEADY), gateway_runs(900))
    assert dirty_seconds(run_with(change=starved)) == {}


def test_waits_count_in_full_beside_a_gateway_on_another_machine_only(run_with: Make) -> None:
    starved = both(in_seconds("run_queue_ns", 300, ONE), column_of("cpu_ns", None, "server"))
    assert dirty_seconds(run_with(change=starved)) == {}
    elsewhere = run_with(change=starved, manifest={"clock": {"same": False, "error_ns": 1_000}})
    assert list(dirty_seconds(elsewhere)) == [20, 21]


def test_few_dirty_seconds_are_left_out_and_named(run_with: Make) -> None:
    spoilt = both(
        in_seconds("gc_pause_max_ns", 150, range(15, 19)),
        spans_of(Series.PUSH, 150, range(15, 20)),
    )
    run = run_with(change=spoilt)
    check = check_of(run, "dirty seconds")
    assert check.ok
    assert check.value == pytest.approx(100 * 5 / 30)
    assert check.why == (
        "5 of 30 steady seconds left out "
        "(15 s: the generator spent 15 % of the second collecting garbage, "
        "16 s: the generator spent 15 % of the second collecting garbage, "
        "17 s: the generator spent 15 % of the second collecting garbage, and 2 more)"
    )
    outcome = judge(run)
    assert outcome.verdict is Verdict.PASS


def test_with_many_dirty_seconds_none_is_left_out_and_what_is_not_kept_is_invalid(
    run_with: Make,
) -> None:
    dirty = range(15, 22)
    spoilt = both(
        in_seconds("gc_pause_max_ns", 150, dirty), spans_of(Series.PUSH, 150, range(15, 23))
    )
    run = run_with(change=spoilt)
    check = check_of(run, "dirty seconds")
    assert check.ok is False
    assert "8 of 30 steady seconds are dirty, more than the allowed 20 %" in check.why
    assert measure(run, "push", "p99").left_out_s == 0
    outcome = judge(run)
    assert outcome.verdict is Verdict.INVALID
    kept = next(d for d in outcome.decisions if d.budget.metric == "ack")
    assert (kept.verdict, kept.why) == (
        Verdict.PASS,
        "kept over all seconds, though many are dirty",
    )


def test_a_scenario_says_how_many_seconds_may_be_dirty(run_with: Make) -> None:
    spoilt = in_seconds("gc_pause_max_ns", 150, range(15, 22))
    run = run_with(change=spoilt, scenario=smoke_with_health("dirty_seconds_percent = 30"))
    assert check_of(run, "dirty seconds").ok


def test_a_scenario_says_how_much_of_a_second_may_be_lost(run_with: Make) -> None:
    spoilt = in_seconds("steal_ns", 300, ONE)
    scenario = smoke_with_health("second_lost_percent = 100")
    assert dirty_seconds(run_with(change=spoilt, scenario=scenario)) == {}


def test_a_late_publisher_in_a_stolen_second_is_the_hosts_doing(run_with: Make) -> None:
    late = both(in_seconds("steal_ns", 400, ONE), spans_of(Series.PUBLISH_DELAY, 300, ONE))
    assert check_of(run_with(change=late), "publisher delay p99").ok
    late = spans_of(Series.PUBLISH_DELAY, 300, ONE)
    assert check_of(run_with(change=late), "publisher delay p99").ok is False


def test_what_is_late_in_dirty_seconds_alone_is_the_hosts_doing_however_many_they_are(
    run_with: Make,
) -> None:
    dirty = range(10, 30)
    late = both(in_seconds("steal_ns", 400, dirty), spans_of(Series.GENERATOR_SHARE, 50, dirty))
    run = run_with(change=both(late, share_of(1)))
    assert check_of(run, "dirty seconds").ok is False
    assert check_of(run, "generator's own share p99").ok
    assert judge(run).verdict is Verdict.PASS


def test_where_no_second_is_clean_all_of_them_tell_of_the_generator(run_with: Make) -> None:
    late = both(in_seconds("steal_ns", 400, STEADY), share_of(50))
    assert check_of(run_with(change=late), "generator's own share p99").ok is False


def test_losses_outside_the_steady_phase_make_no_second_dirty(run_with: Make) -> None:
    assert dirty_seconds(run_with(change=in_seconds("steal_ns", 900, range(7)))) == {}


def test_the_ramp_has_dirty_seconds_of_its_own(run_with: Make) -> None:
    run = run_with(change=in_seconds("steal_ns", 900, range(3, 4)))
    assert list(dirty_seconds(run, EVERY_PHASE)) == [3, 4]
