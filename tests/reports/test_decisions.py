from __future__ import annotations

from collections.abc import Callable

import pytest
from synthetic_run import SMOKE, Tables, client_row, event_row, span_rows

from loadtests.results import Event, Series, Verdict
from reports.decisions import is_timing
from reports.frames import RunFrames
from reports.verdict import judge
from scenarios.metrics import METRICS

Make = Callable[..., RunFrames]
BUDGETS = (
    "fairness.spread <= 5",
    "fairness.join_order <= 0.9",
    "drain.exit <= 1 s",
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
