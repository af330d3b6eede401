from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from synthetic_run import SMOKE, Change, Tables, client_row, event_row, span_rows

from loadtests.results import Event, Phase, Series, Verdict
from reports.believability import dirty_seconds
from reports.measures.histograms import EVERY_PHASE, STEADY
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict, judge
from reports.weighing import is_timing
from scenarios.catalogue import METRICS

Make = Callable[..., RunFrames]
BUDGETS = (
    "fairness.spread <= 5",
    "fairness.join_order <= 0.9",
    "drain.exit <= 0.4 s",
    "cost.per_message <= 10 s",
    "memory.per_client <= 1 MB",
)
SPOILT = {"fairness.spread", "fairness.join_order", "drain.exit"}
TERMINATE = '\n[[commands]]\nat = "25 s"\ndo = "terminate"\n'
GATEWAY = {
    "status": "ok",
    "exit_code": 0,
    "exits": [{"asked_s": 38.0, "exited_s": 38.5, "exit_code": 0}],
}


def late_and_fair(tables: Tables) -> None:
    """The generator's loop stands still all the time; the clients are all served alike."""
    for second in range(8, 38):
        tables["hist"] += span_rows(Series.LOOP_LAG, second, [200_000_000] * 5)
    tables["events"].append(event_row(38_000_000_000, Event.COMMAND, "terminate"))
    tables["clients"] = [
        client_row(place, 2_000_000 + 1_000 * (place * 7 % 400)) for place in range(400)
    ]


def test_bad_health_spoils_every_time_and_neither_cpu_nor_memory(run_with: Make) -> None:
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    lines = "".join(f'    "{budget}",\n' for budget in BUDGETS)
    scenario = f"{head}budgets = [\n{lines}{rest[rest.index(']') :]}{TERMINATE}"
    outcome = judge(
        run_with(scenario=scenario, change=late_and_fair, manifest={"gateway": GATEWAY})
    )
    found = {decision.budget.metric: decision for decision in outcome.decisions}
    assert {name for name, each in found.items() if each.measurement.value is None} == set()
    invalid = {name for name, each in found.items() if each.verdict is Verdict.INVALID}
    assert invalid == SPOILT


def test_a_delay_that_is_a_trifle_beside_the_limit_decides_nothing(run_with: Make) -> None:
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    scenario = f'{head}budgets = ["drain.exit <= 10 s"{rest[rest.index("]") :]}{TERMINATE}'
    outcome = judge(
        run_with(scenario=scenario, change=late_and_fair, manifest={"gateway": GATEWAY})
    )
    assert outcome.verdict is Verdict.PASS
    assert any(check.ok is False and check.is_delay for check in outcome.checks)


def _judged(run_with: Make, budget: str, change: Callable[[Tables], None]) -> RunVerdict:
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    scenario = f'{head}budgets = ["{budget}"{rest[rest.index("]") :]}{TERMINATE}'
    return judge(run_with(scenario=scenario, change=change, manifest={"gateway": GATEWAY}))


def stolen_and_fair(tables: Tables) -> None:
    """The host takes a third of the machine all the time; the generator is well."""
    late_and_fair(tables)
    tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.LOOP_LAG]
    for second in range(8, 38):
        tables["hist"] += span_rows(Series.LOOP_LAG, second, [1_000_000] * 5)
    for row in tables["generator"]:
        row["steal_ns"] = 600_000_000


def test_a_time_that_keeps_its_limit_with_what_the_host_held_up_in_it_keeps_it(
    run_with: Make,
) -> None:
    (decision,) = _judged(run_with, "drain.exit <= 1 s", stolen_and_fair).decisions
    assert decision.verdict is Verdict.PASS
    assert decision.why == "kept over all seconds, though many are dirty"


@pytest.mark.parametrize(
    "budget",
    [
        "drain.exit <= 0.4 s",
        "drain.exit >= 0.4 s",
        "heartbeat.gap.p50 <= 100 s",
        "fairness.spread <= 9",
    ],
    ids=["broken", "a lower limit", "a span between two readings", "a ratio of times"],
)
def test_what_a_host_may_have_decided_is_invalid(run_with: Make, budget: str) -> None:
    assert _judged(run_with, budget, stolen_and_fair).verdict is Verdict.INVALID


def test_a_generator_in_trouble_of_its_own_spoils_what_was_kept_too(run_with: Make) -> None:
    def starve(tables: Tables) -> None:
        stolen_and_fair(tables)
        for row in tables["generator"]:
            row["cpu_ns"] = 990_000_000

    assert _judged(run_with, "drain.exit <= 1 s", starve).verdict is Verdict.INVALID


@pytest.mark.parametrize("series", [Series.PUBLISH_DELAY, Series.LOOP_LAG, Series.GENERATOR_SHARE])
def test_a_generator_that_was_late_spoils_what_was_kept_too(run_with: Make, series: Series) -> None:
    def delay(tables: Tables) -> None:
        stolen_and_fair(tables)
        for second in range(8, 38):
            tables["hist"] += span_rows(series, second, [200_000_000] * 5)

    assert _judged(run_with, "drain.exit <= 1 s", delay).verdict is Verdict.INVALID


def test_bad_health_does_not_touch_a_run_that_only_counts(run_with: Make) -> None:
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    scenario = f'{head}budgets = ["delivery.lost == 0"{rest[rest.index("]") :]}{TERMINATE}'
    outcome = judge(
        run_with(scenario=scenario, change=late_and_fair, manifest={"gateway": GATEWAY})
    )
    assert outcome.verdict is Verdict.PASS


@pytest.mark.parametrize("metric", METRICS)
def test_a_count_and_a_size_are_no_timing_and_a_quantile_is_one(metric: str) -> None:
    kind = METRICS[metric].kind
    if kind in ("count", "bytes"):
        assert not is_timing(metric)
    if kind == "quantiles":
        assert is_timing(metric)


def slow_in(seconds: Collection[int], stolen_ms: int, stolen: Collection[int]) -> Change:
    """Push takes 25 ms in some seconds, and 2 ms else; the host takes a trifle in some."""

    def change(tables: Tables) -> None:
        tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.PUSH]
        for second in range(8, 38):
            took_ms = 25 if second in seconds else 2
            tables["hist"] += span_rows(Series.PUSH, second, [took_ms * 1_000_000] * 700)
        for row in tables["generator"]:
            if row["t_s"] in stolen:
                row["steal_ns"] = stolen_ms * 1_000_000

    return change


STALLS = tuple(range(9, 38, 4))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param(slow_in(STALLS, 40, STALLS), Verdict.INVALID, id="slow where it was stolen"),
        pytest.param(
            slow_in(range(10, 38, 4), 40, STALLS), Verdict.INVALID, id="slow in the second after"
        ),
        pytest.param(slow_in(range(8, 38), 40, STALLS), Verdict.FAIL, id="slow all the time"),
        pytest.param(slow_in(STALLS, 40, range(11, 38, 4)), Verdict.FAIL, id="slow elsewhere"),
        pytest.param(slow_in(STALLS, 9, STALLS), Verdict.FAIL, id="too little to have done it"),
        pytest.param(
            slow_in(range(8, 38), 400, range(12, 24)), Verdict.FAIL, id="slow beside a robbed half"
        ),
        pytest.param(
            slow_in(range(12, 25), 400, range(12, 24)), Verdict.INVALID, id="slow in a robbed half"
        ),
        pytest.param(
            slow_in(range(8, 38), 40, range(8, 38)),
            Verdict.INCONCLUSIVE,
            id="nothing else to judge by",
        ),
    ],
)
def test_a_broken_limit_stands_only_where_the_host_cannot_have_broken_it(
    run_with: Make, change: Change, verdict: Verdict
) -> None:
    (decision,) = _judged(run_with, "push.p99 <= 10 ms", change).decisions
    assert decision.verdict is verdict
    told = {
        Verdict.FAIL: decision.why == "" or "broken in clean seconds too" in decision.why,
        Verdict.INVALID: "broken, but kept without" in decision.why or "dirty" in decision.why,
        Verdict.INCONCLUSIVE: "too little is left to tell" in decision.why,
    }
    assert told[verdict], decision.why


@pytest.mark.parametrize(
    ("phases", "seconds"),
    [(STEADY, {8, 20, 21}), (EVERY_PHASE, {7, 8, 20, 21, 38})],
    ids=["of the steady phase", "of all phases"],
)
def test_a_second_that_lost_more_than_a_limit_is_dirty_for_it_and_so_is_the_next(
    run_with: Make, phases: tuple[Phase, ...], seconds: set[int]
) -> None:
    run = run_with(change=slow_in((), 40, (7, 20, 38)))
    assert set(dirty_seconds(run, phases, limit_ns=39_000_000)) == seconds
    assert dirty_seconds(run, phases, limit_ns=40_000_000) == {}
    assert dirty_seconds(run, phases) == {}


def test_no_limit_makes_a_loss_of_one_tick_dirty(run_with: Make) -> None:
    run = run_with(change=slow_in((), 10, (20,)))
    assert dirty_seconds(run, limit_ns=1_000_000) == {}


@pytest.mark.parametrize(
    ("stolen_ms", "verdict"), [(30, Verdict.INVALID), (10, Verdict.FAIL)], ids=["more", "less"]
)
def test_a_time_without_a_course_fails_only_where_most_seconds_lost_less_than_its_limit(
    run_with: Make, stolen_ms: int, verdict: Verdict
) -> None:
    def change(tables: Tables) -> None:
        late_and_fair(tables)
        tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.LOOP_LAG]
        for second in range(8, 38):
            tables["hist"] += span_rows(Series.LOOP_LAG, second, [100_000] * 5)
        for row in tables["generator"]:
            row["steal_ns"] = stolen_ms * 1_000_000

    exits = [{"asked_s": 38.0, "exited_s": 38.03, "exit_code": 0}]
    gateway = {"gateway": {"status": "ok", "exit_code": 0, "exits": exits}}
    head, rest = SMOKE.read_text(encoding="utf-8").split("budgets = [", 1)
    scenario = f'{head}budgets = ["drain.exit <= 20 ms"{rest[rest.index("]") :]}{TERMINATE}'
    (decision,) = judge(run_with(scenario=scenario, change=change, manifest=gateway)).decisions
    assert decision.verdict is verdict, decision.why


def test_what_keeps_its_limit_keeps_it_with_all_seconds(run_with: Make) -> None:
    change = slow_in(STALLS, 40, STALLS)
    (decision,) = _judged(run_with, "push.p99 <= 30 ms", change).decisions
    assert decision.verdict is Verdict.PASS
    assert decision.measurement.left_out_s == 0
