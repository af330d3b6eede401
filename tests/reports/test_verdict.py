from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_run import SMOKE, Tables, event_row, ledger_row, limit_row, span_rows

from loadtests.results import Event, ExitCode, LimitOutcome, Phase, Series, Verdict
from reports.decisions import compare, worst
from reports.measures.registry import measure
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict, judge

Make = Callable[..., RunFrames]
PASS, FAIL, INCONCLUSIVE, INVALID = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.INVALID,
)


def found(outcome: RunVerdict, start: str) -> tuple[Verdict, str]:
    decision = next(d for d in outcome.decisions if d.budget.text.startswith(start))
    return decision.verdict, decision.why


def smoke_with(old: str, new: str) -> str:
    text = SMOKE.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


def push_of(values_ns: list[int], seconds: int = 30) -> Callable[[Tables], None]:
    """Replace every push by these, each second of the steady phase."""

    def change(tables: Tables) -> None:
        tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.PUSH]
        for second in range(8, 8 + seconds):
            tables["hist"] += span_rows(Series.PUSH, second, values_ns)

    return change


def drop(table: str, **equal: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[table] = [
            row for row in tables[table] if any(row[key] != value for key, value in equal.items())
        ]

    return change


def test_a_run_that_keeps_every_budget_passes(passing_run: RunFrames) -> None:
    outcome = judge(passing_run)
    assert outcome.verdict is PASS
    assert outcome.exit_code == ExitCode.PASS
    assert outcome.reasons == ("all 17 budgets kept",)


@pytest.mark.parametrize(
    ("comparison", "low", "high", "verdict"),
    [
        ("<=", 1, 10, PASS),
        ("<=", 1, 10.1, INCONCLUSIVE),
        ("<=", 10.1, 11, FAIL),
        ("<", 1, 10, INCONCLUSIVE),
        (">=", 10, 11, PASS),
        (">", 9, 10, FAIL),
        (">", 9, 11, INCONCLUSIVE),
        ("==", 10, 10, PASS),
        ("==", 9, 11, INCONCLUSIVE),
        ("==", 11, 11, FAIL),
    ],
)
def test_an_interval_decides(comparison: str, low: float, high: float, verdict: Verdict) -> None:
    assert compare(comparison, 10, low, high) is verdict


def test_the_worst_verdict_is_fail_then_invalid_then_inconclusive() -> None:
    assert worst([PASS, INVALID, FAIL, INCONCLUSIVE]) is FAIL
    assert worst([PASS, INVALID, INCONCLUSIVE]) is INVALID
    assert worst([PASS, INCONCLUSIVE]) is INCONCLUSIVE
    assert worst([]) is INCONCLUSIVE


def test_a_time_over_its_limit_fails(run_with: Make) -> None:
    outcome = judge(run_with(change=push_of([20_000_000] * 50)))
    assert found(outcome, "push.p99")[0] is FAIL
    assert outcome.exit_code == ExitCode.BUDGET_BROKEN


def test_a_limit_inside_the_interval_is_inconclusive(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        push_of([5_000_000] * 50)(tables)
        for second in (12, 20, 31):  # 18 of 1,518: p99 is at the edge
            tables["hist"] += span_rows(Series.PUSH, second, [15_000_000] * 6)

    verdict, why = found(judge(run_with(change=change)), "push.p99")
    assert verdict is INCONCLUSIVE
    assert "the limit lies inside the interval" in why


def test_too_few_values_are_inconclusive_and_say_how_many_are_needed(run_with: Make) -> None:
    outcome = judge(run_with(change=push_of([1_000_000] * 9)))
    assert found(outcome, "push.p99") == (INCONCLUSIVE, "270 values; p99 needs 299")
    assert outcome.exit_code == ExitCode.INCONCLUSIVE


def test_policy_pass_forgives_what_is_undecided(run_with: Make) -> None:
    scenario = smoke_with('inconclusive = "fail"', 'inconclusive = "pass"')
    outcome = judge(run_with(scenario=scenario, change=push_of([1_000_000] * 9)))
    assert (outcome.verdict, outcome.exit_code) == (INCONCLUSIVE, ExitCode.PASS)


@pytest.mark.parametrize(
    ("without", "budget"),
    [
        (["ledger"], "delivery.lost"),
        (["events"], "heartbeat.missed"),
        (["events"], "rate_limit.false_accepts"),
        (["hist"], "push.p99"),
        (["timeline"], "errors"),
    ],
)
def test_a_budget_without_data_never_passes(
    run_with: Make, without: list[str], budget: str
) -> None:
    verdict, why = found(judge(run_with(without=without)), budget)
    assert verdict is INCONCLUSIVE
    assert why.startswith("no data: the run wrote no ")


def test_a_run_without_any_table_is_judged_and_does_not_pass(run_with: Make) -> None:
    names = ["hist", "timeline", "server", "generator", "ledger", "events", "sample"]
    outcome = judge(run_with(without=names))
    assert {decision.verdict for decision in outcome.decisions} == {INCONCLUSIVE}


def test_a_ledger_that_owed_nothing_proves_nothing(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["ledger"] = [ledger_row("price:A", "subscriber", 0)]

    verdict, why = found(judge(run_with(change=change)), "delivery.lost")
    assert (verdict, why) == (
        INCONCLUSIVE,
        "no data: no delivery was owed",
    )


def test_one_lost_delivery_fails(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["ledger"].append(ledger_row("price:SYM001/USDT", "subscriber", 10, lost=1))

    outcome = judge(run_with(change=change))
    assert found(outcome, "delivery.lost")[0] is FAIL
    assert outcome.reasons[0] == "delivery.lost == 0: 1"


def test_a_saturated_generator_makes_times_invalid_and_not_counts(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for second in range(8, 38):
            tables["hist"] += span_rows(Series.LOOP_LAG, second, [200_000_000] * 5)

    outcome = judge(run_with(change=change))
    assert found(outcome, "push.p99")[0] is INVALID
    assert found(outcome, "delivery.lost")[0] is PASS
    assert (outcome.verdict, outcome.exit_code) == (INVALID, ExitCode.INVALID)


def test_a_counted_loss_stays_fail_when_timing_is_invalid(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["ledger"].append(ledger_row("trading", "trader", 10, lost=2))
        for second in range(8, 38):
            tables["hist"] += span_rows(Series.LOOP_LAG, second, [200_000_000] * 5)

    outcome = judge(run_with(change=change))
    assert found(outcome, "push.p99")[0] is INVALID
    assert (outcome.verdict, outcome.exit_code) == (FAIL, ExitCode.BUDGET_BROKEN)


def test_health_that_nobody_measured_lets_no_time_pass(run_with: Make) -> None:
    outcome = judge(run_with(change=drop("hist", series=Series.LOOP_LAG)))
    verdict, why = found(outcome, "push.p99")
    assert verdict is INCONCLUSIVE
    assert "generator loop lag p99 is not known" in why


@pytest.mark.parametrize(
    ("manifest", "verdict", "code", "reason"),
    [
        pytest.param(
            {"publisher": {"status": "lost"}}, INVALID, ExitCode.INVALID,
            "publisher: it exited early",
            id="publisher lost",
        ),
        pytest.param(
            {"gateway": {"status": "died", "exit_code": -9}}, INVALID, ExitCode.GATEWAY_FAILED,
            "gateway: exited unexpectedly, exit code -9", id="gateway died",
        ),
        pytest.param(
            {"status": "interrupted"}, INCONCLUSIVE, ExitCode.INCONCLUSIVE,
            "the run was interrupted", id="interrupted",
        ),
        pytest.param(
            {"status": "aborted"}, INVALID, ExitCode.INVALID, "a process of the run was lost",
            id="aborted",
        ),
        pytest.param(
            {"status": "running"}, INCONCLUSIVE, ExitCode.INCONCLUSIVE, "has not ended",
            id="still running",
        ),
    ],
)  # fmt: skip
def test_how_a_run_ended_decides_too(
    run_with: Make, manifest: dict[str, Any], verdict: Verdict, code: ExitCode, reason: str
) -> None:
    outcome = judge(run_with(manifest=manifest))
    assert (outcome.verdict, outcome.exit_code) == (verdict, code)
    assert any(reason in words for words in outcome.reasons)


def test_an_interrupted_run_is_not_forgiven_by_the_policy(run_with: Make) -> None:
    scenario = smoke_with('inconclusive = "fail"', 'inconclusive = "pass"')
    outcome = judge(run_with(scenario=scenario, manifest={"status": "interrupted"}))
    assert outcome.exit_code == ExitCode.INCONCLUSIVE


def test_a_lost_process_is_invalid(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(event_row(9, Event.LOST_PROCESS, detail="worker 2 was lost"))

    outcome = judge(run_with(change=change))
    assert (outcome.verdict, outcome.exit_code) == (INVALID, ExitCode.INVALID)
    assert "processes: worker 2 was lost" in outcome.reasons


@pytest.mark.parametrize(
    ("outcome", "metric"),
    [
        (LimitOutcome.FALSE_ACCEPT, "rate_limit.false_accepts"),
        (LimitOutcome.FALSE_REFUSAL, "rate_limit.false_refusals"),
        (LimitOutcome.NEIGHBOUR_REFUSED, "rate_limit.neighbours_refused"),
    ],
)
def test_each_wrong_decision_of_the_limiter_fails_its_budget(
    run_with: Make, outcome: LimitOutcome, metric: str
) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(limit_row(30_000_000_000, outcome))

    judged = judge(run_with(change=change))
    failed = [d.budget.metric for d in judged.decisions if d.verdict is FAIL]
    assert failed == [metric]


def test_accepted_and_refused_count_the_wrong_ones_too(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(limit_row(30_000_000_000, LimitOutcome.FALSE_ACCEPT))
        tables["events"].append(limit_row(31_000_000_000, LimitOutcome.UNDECIDABLE))

    run = run_with(change=change)
    assert measure(run, "rate_limit.accepted").value == 61
    assert measure(run, "rate_limit.refused").value == 42
    assert measure(run, "rate_limit.refused").why == "1 of 104 decisions cannot be judged"


def test_only_undecidable_decisions_are_no_data(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        rows = [row for row in tables["events"] if row["event"] != Event.LIMIT]
        tables["events"] = [*rows, limit_row(9_000_000_000, LimitOutcome.UNDECIDABLE)]

    verdict, why = found(judge(run_with(change=change)), "rate_limit.false_accepts")
    assert (verdict, why) == (INCONCLUSIVE, "no data: none of 1 decisions can be judged")


def test_a_missed_heartbeat_fails(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["events"].append(event_row(9, Event.HEARTBEAT_MISSED, value_ns=10_000_000_000))

    assert found(judge(run_with(change=change)), "heartbeat.missed")[0] is FAIL


def test_a_scenario_without_an_abuser_has_no_rate_limit_data(run_with: Make) -> None:
    text = smoke_with("[users.abuser]\ncount = 1\nburst = 70\n", "")
    lines = [line for line in text.splitlines() if "rate_limit." not in line]
    run = run_with(scenario="\n".join(lines))
    assert "no abuser" in measure(run, "rate_limit.false_accepts").why


@pytest.mark.parametrize("late", [Phase.RAMP, Phase.WARM_UP, Phase.DRAIN])
def test_only_the_steady_phase_judges_a_push(run_with: Make, late: Phase) -> None:
    second = {Phase.RAMP: 3, Phase.WARM_UP: 6, Phase.DRAIN: 38}[late]

    def change(tables: Tables) -> None:
        tables["hist"] += span_rows(Series.PUSH, second, [900_000_000] * 5_000)

    assert found(judge(run_with(change=change)), "push.p99")[0] is PASS


def test_memory_per_client_is_what_was_put_in(passing_run: RunFrames) -> None:
    found = measure(passing_run, "memory.per_client")
    assert found.value == pytest.approx(20 * 1024, rel=0.02)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.why == "private anonymous memory (PSS)"


def test_resident_memory_serves_where_no_private_memory_is_known(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for row in tables["server"]:
            row["pss_anon_bytes"] = None

    found = measure(run_with(change=change), "memory.per_client")
    assert found.value == pytest.approx(20 * 1024, rel=0.02)
    assert found.why == "resident memory (RSS)"


def test_the_memory_of_all_clients_counts_though_the_ramp_is_over(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        for row in tables["server"][4:6]:
            row["phase"] = str(Phase.WARM_UP)

    found = measure(run_with(change=change), "memory.per_client")
    assert found.n == 5
    assert found.value == pytest.approx(20 * 1024, rel=0.02)


def test_a_ramp_of_one_second_has_no_memory_slope(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["server"] = tables["server"][:1]

    found = measure(run_with(change=change), "memory.per_client")
    assert (found.value, found.why) == (
        None,
        "memory is known at 1 client count; a slope needs 4",
    )


def test_a_quantile_metric_asks_for_a_statistic(passing_run: RunFrames) -> None:
    with pytest.raises(ValueError, match=r"push\.p99"):
        measure(passing_run, "push")


@pytest.mark.parametrize("statistic", ["p50", "p90", "p95", "p99", "p99.9", "max"])
def test_every_statistic_has_an_interval_around_its_value(
    passing_run: RunFrames, statistic: str
) -> None:
    found = measure(passing_run, "push", statistic)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
