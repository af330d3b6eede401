"""What makes a run's times unbelievable, and what is only shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_run import SMOKE, Tables, span_rows

from loadtests.results import Phase, Series, Verdict
from reports.measures.registry import measure
from reports.run_frames import RunFrames
from reports.validity import Check, check_validity, tainted_seconds
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


def smoke_with_health(line: str) -> str:
    head, _, tail = SMOKE.read_text(encoding="utf-8").partition("[health]")
    return f"{head}[health]\n{line}\n[policy]{tail.partition('[policy]')[2]}"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("generator's own share p99", share_of(25)),
        ("generator CPU", column_of("cpu_ns", 990 * _MS)),
        ("generator's wait for a core", column_of("run_queue_ns", 400 * _MS)),
        ("time the host took", both(column_of("steal_ns", 400 * _MS), slow_pushes)),
        (
            "gateway's wait for a core",
            both(column_of("core_wait_ns", 150 * _MS, "server"), slow_pushes),
        ),
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


def test_a_wait_for_a_core_that_is_a_trifle_beside_the_limit_decides_nothing(
    run_with: Make,
) -> None:
    scenario = SMOKE.read_text(encoding="utf-8").replace("push.p99 <= 10 ms", "push.p99 <= 250 ms")
    run = run_with(
        scenario=scenario, change=both(column_of("core_wait_ns", 20 * _MS, "server"), slow_pushes)
    )
    assert check_of(run, "gateway's wait for a core").ok is False
    decision = next(each for each in judge(run).decisions if each.budget.metric == "push")
    assert decision.verdict is Verdict.FAIL


def test_a_gateway_that_is_not_ours_tells_no_wait_and_that_stops_nothing(
    passing_run: RunFrames,
) -> None:
    check = check_of(passing_run, "gateway's wait for a core")
    assert (check.ok, check.why) == (None, "it is not ours, or the kernel did not tell it")
    assert judge(passing_run).verdict is Verdict.PASS


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
IN_TIME = both(spans_of(Series.KERNEL, 3, STEADY), spans_of(Series.ACCEPT, 2, STEADY))


def test_a_clean_machine_taints_no_second(passing_run: RunFrames) -> None:
    assert tainted_seconds(passing_run).empty
    assert list(tainted_seconds(passing_run).columns) == ["t_s", "why"]
    check = check_of(passing_run, "tainted seconds")
    assert (check.ok, check.value, check.why) == (True, 0, "none of 30 steady seconds")


@pytest.mark.parametrize(
    ("change", "seconds", "why"),
    [
        pytest.param(
            in_seconds("steal_ns", 300, ONE), [20, 21], "the host took 15 % of the machine",
            id="a stolen second and the one that reads what it held up",
        ),
        pytest.param(
            in_seconds("core_wait_ns", 300, ONE, "server"), [20],
            "the gateway waited 300 ms of it for a core that others had", id="strangers there",
        ),
        pytest.param(
            in_seconds("gc_pause_max_ns", 150, ONE), [20],
            "a garbage collection of 150 ms in the generator", id="a collection",
        ),
        pytest.param(
            both(in_seconds("loop_lag_max_ns", 400, ONE), IN_TIME), [20],
            "the generator's loop was 400 ms late", id="a late loop, the gateway in time",
        ),
        pytest.param(
            both(in_seconds("share_max_ns", 90, ONE), IN_TIME), [20],
            "the generator's own share was 90 ms", id="a large share, the gateway in time",
        ),
        pytest.param(
            both(in_seconds("run_queue_ns", 600, ONE), IN_TIME), [20],
            "the generator waited 60 % of it for a core", id="no core, the gateway in time",
        ),
    ],
)  # fmt: skip
def test_a_second_that_the_machine_spoilt_is_tainted_and_says_why(
    run_with: Make, change: Callable[[Tables], None], seconds: list[int], why: str
) -> None:
    tainted = tainted_seconds(run_with(change=change))
    assert tainted["t_s"].tolist() == seconds
    assert tainted["why"].iloc[0] == why


@pytest.mark.parametrize(
    "push_ms", [pytest.param(80, id="slow"), pytest.param(900, id="very slow")]
)
def test_a_slow_gateway_on_a_clean_machine_taints_nothing(run_with: Make, push_ms: float) -> None:
    series = (Series.PUSH, Series.PUSH_SERVICE, Series.KERNEL, Series.ACCEPT, Series.ACK)
    slow = both(*(spans_of(each, push_ms, range(15, 20)) for each in series))
    run = run_with(change=slow)
    assert tainted_seconds(run).empty
    assert measure(run, "push", "max").value == pytest.approx(push_ms * _MS, rel=0.001)


@pytest.mark.parametrize("series", [Series.KERNEL, Series.ACCEPT])
@pytest.mark.parametrize("column", ["loop_lag_max_ns", "share_max_ns", "run_queue_ns"])
def test_a_gateway_that_stalls_and_then_floods_cannot_hide_behind_a_late_generator(
    run_with: Make, column: str, series: Series
) -> None:
    flooded = both(in_seconds(column, 900, ONE), IN_TIME, spans_of(series, 500, ONE))
    assert tainted_seconds(run_with(change=flooded)).empty


@pytest.mark.parametrize("known", [Series.KERNEL, Series.ACCEPT])
def test_a_gateway_that_is_not_shown_to_be_in_time_keeps_its_seconds(
    run_with: Make, known: Series
) -> None:
    late = both(in_seconds("loop_lag_max_ns", 900, ONE), spans_of(known, 1, STEADY))
    assert tainted_seconds(run_with(change=late)).empty


def test_no_scenario_widens_what_in_time_means(run_with: Make) -> None:
    late = both(in_seconds("loop_lag_max_ns", 900, ONE), IN_TIME, spans_of(Series.KERNEL, 12, ONE))
    scenario = smoke_with_health('generator_share_p99 = "500 ms"')
    assert tainted_seconds(run_with(change=late, scenario=scenario)).empty


def test_few_tainted_seconds_are_left_out_and_told(run_with: Make) -> None:
    spoilt = both(
        in_seconds("gc_pause_max_ns", 150, range(15, 19)),
        spans_of(Series.PUSH, 150, range(15, 19)),
    )
    run = run_with(change=spoilt)
    check = check_of(run, "tainted seconds")
    assert check.ok
    assert check.value == pytest.approx(100 * 4 / 30)
    assert check.why == (
        "4 of 30 steady seconds left out "
        "(15 s: a garbage collection of 150 ms in the generator, "
        "16 s: a garbage collection of 150 ms in the generator, "
        "17 s: a garbage collection of 150 ms in the generator, and 1 more)"
    )
    assert check_of(run, "generator's longest garbage collection").ok
    outcome = judge(run)
    assert outcome.verdict is Verdict.PASS


def test_many_tainted_seconds_are_left_in_and_make_the_run_invalid(run_with: Make) -> None:
    spoilt = in_seconds("gc_pause_max_ns", 150, range(15, 22))
    run = run_with(change=spoilt)
    check = check_of(run, "tainted seconds")
    assert check.ok is False
    assert "7 of 30 steady seconds more than the 20 % that may be left out" in check.why
    assert measure(run, "push", "p99").left_out_s == 0
    assert judge(run).verdict is Verdict.INVALID


def test_a_scenario_says_how_many_seconds_may_be_tainted(run_with: Make) -> None:
    spoilt = in_seconds("gc_pause_max_ns", 150, range(15, 22))
    run = run_with(change=spoilt, scenario=smoke_with_health("tainted_percent = 30"))
    assert check_of(run, "tainted seconds").ok


def test_what_the_whole_phase_may_lose_each_second_may_lose(run_with: Make) -> None:
    spoilt = in_seconds("steal_ns", 300, ONE)
    scenario = smoke_with_health("generator_steal_percent = 100")
    assert tainted_seconds(run_with(change=spoilt, scenario=scenario)).empty


def test_a_late_publisher_in_a_stolen_second_is_the_hosts_doing(run_with: Make) -> None:
    late = both(in_seconds("steal_ns", 400, ONE), spans_of(Series.PUBLISH_DELAY, 300, ONE))
    assert check_of(run_with(change=late), "publisher delay p99").ok
    late = spans_of(Series.PUBLISH_DELAY, 300, ONE)
    assert check_of(run_with(change=late), "publisher delay p99").ok is False


def test_taint_outside_the_steady_phase_is_nobodys_business(run_with: Make) -> None:
    assert tainted_seconds(run_with(change=in_seconds("steal_ns", 900, range(8)))).empty
