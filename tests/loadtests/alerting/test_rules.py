"""The rules of every scenario: the real promtool says whether each alert fires on its fault."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blackbox.target import Target
from deadlines import RUN_S
from typer.testing import CliRunner

from loadtests.alerting.budget_rules import SECTION, BudgetRule, rules_of
from loadtests.alerting.dashboard import dashboard
from loadtests.alerting.files import rule_files
from loadtests.alerting.rules import Alert, anchor
from loadtests.alerting.series import SERIES, Computed, Counted, Times, why_absent
from loadtests.alerting.standing import STANDING
from loadtests.cli.commands import app
from loadtests.endpoints import parse_metrics
from loadtests.watching import figures
from loadtests.watching.witness_metrics import WitnessMetrics
from scenarios.budgets import parse_budget
from scenarios.catalogue import METRICS
from scenarios.finding import named_scenarios
from scenarios.schema import Scenario, read_scenario

SCENARIOS = {name: read_scenario(path) for name, path in named_scenarios().items()}
MINUTES = 20
INSTANCE = 'instance="here:3000"'
Inputs = list[dict[str, str]]


def flat(value: float) -> str:
    return f"{value:g}x{MINUTES}"


def rising(each_minute: float) -> str:
    return f"0+{each_minute:g}x{MINUTES}"


def stepped(to: float) -> str:
    """Return a counter that was 0 for ten minutes and is ``to`` afterwards."""
    return f"0x9 {to:g}x{MINUTES - 10}"


def named(name: str, labels: str = "", job: str = "tidegate") -> str:
    more = f",{labels}" if labels else ""
    return f'{name}{{job="{job}",{INSTANCE}{more}}}'


def one(series: str, values: str) -> Inputs:
    return [{"series": series, "values": values}]


STANDING_CASES: Mapping[str, tuple[Inputs, ...]] = {
    "TidegateDown": (one(named("up"), flat(0)), one(named("up"), flat(1))),
    "TidegateNotReady": (
        one(named("tidegate_ready"), flat(0)),
        one(named("tidegate_ready"), flat(1)),
    ),
    "TidegateDisconnects": tuple(
        one(named("tidegate_connections_closed_total", f'reason="{reason}"'), rising(60 * 30))
        + one(named("tidegate_clients"), flat(1_000))
        for reason in ("transport_close", "draining")
    ),
    "TidegateAuthenticationFailures": tuple(
        one(named("tidegate_authentication_failures_total", 'code="AUTH_FAILED"'), rising(each))
        for each in (120, 6)
    ),
    "TidegateLimitViolations": tuple(
        one(named("tidegate_limit_violations_total", 'limit="connection"'), rising(each))
        for each in (120, 6)
    ),
    "TidegateSlowConsumers": tuple(
        one(named("tidegate_connections_closed_total", f'reason="{reason}"'), rising(2))
        for reason in ("slow_consumer", "client")
    ),
    "TidegateLoopLag": tuple(
        one(named("tidegate_loop_lag_max_seconds"), flat(lag)) for lag in (0.5, 0.02)
    ),
    "TidegateQueueBytes": tuple(
        one(named("tidegate_queue_bytes"), flat(size)) for size in (200e6, 1e6)
    ),
    "TidegateFileDescriptors": tuple(
        one(named("process_open_fds"), flat(held)) + one(named("process_max_fds"), flat(1_024))
        for held in (1_000, 100)
    ),
    "TidegateHandlerErrors": (
        one(named("tidegate_handler_errors_total"), stepped(1)),
        one(named("tidegate_handler_errors_total"), flat(7)),
    ),
    "TidegateWitnessDown": tuple(
        one(named("up", job="tidegate-witness"), flat(up)) for up in (0, 1)
    ),
    "TidegateWitnessDisconnected": tuple(
        one(named(figures.CONNECTED), flat(on)) + one(named(figures.CLIENTS), flat(8))
        for on in (7, 8)
    ),
    "TidegateBrokenPromise": tuple(
        one(named(figures.FINDINGS, 'finding="lost"'), values) for values in (stepped(1), flat(3))
    ),
}
"""By standing alert: series with its fault, and clean ones."""


def buckets(series: Times, beyond_all: bool) -> Inputs:
    """Return a histogram whose values are all beyond the last bound, or within the first."""
    inputs = []
    for bound in (*series.bounds_s, "+Inf"):
        is_empty = beyond_all and bound != "+Inf"
        name = named(f"{series.name}_bucket", f'le="{bound}"')
        inputs += one(name, flat(0) if is_empty else rising(60))
    return inputs + one(named(f"{series.name}_count"), rising(60))


def inputs_of(rule: BudgetRule, is_faulty: bool) -> Inputs:
    series, budget = SERIES[rule.budget.metric], rule.budget
    is_high = is_faulty == (budget.operator in ("<=", "<", "=="))
    if isinstance(series, Times):
        if budget.statistic == "max" and series.maximum:
            limit_s = budget.limit / 1e9
            return one(named(series.maximum), flat(2 * limit_s if is_high else limit_s / 2))
        return buckets(series, is_high)
    if isinstance(series, Counted):
        values = stepped(3 * budget.limit + 5) if is_high else flat(2)
        return one(named(series.name, series.labels), values)
    assert isinstance(series, Computed)
    cpu_s = 60 * (0.9 if is_high else 0.001)
    sent = one(named("tidegate_messages_out_total", 'kind="market"'), rising(60 * 2_000))
    return one(named("process_cpu_seconds_total"), rising(cpu_s)) + sent


def case(name: str, inputs: Inputs, fires: bool) -> dict[str, Any]:
    """Return a test of promtool: whether an alert fires at any time of its series."""
    expression = (
        f'count(max_over_time(ALERTS{{alertname="{name}",alertstate="firing"}}[{MINUTES}m]))'
    )
    samples = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "name": f"{name} {'fires' if fires else 'is silent'}",
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [
            {"expr": expression, "eval_time": f"{MINUTES - 1}m", "exp_samples": samples}
        ],
    }


def run_promtool(*words: str, folder: Path) -> None:
    done = subprocess.run(
        ("promtool", *words), cwd=folder, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def queries_of(board: str) -> Iterator[str]:
    for panel in json.loads(board)["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$instance", ".*")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    for scenario in SCENARIOS.values():
        for name, text in rule_files(scenario).items():
            (folder / name).write_text(text)
    return folder


@pytest.mark.real_part("promtool")
def test_promtool_accepts_every_rule_and_every_query_of_every_dashboard(rules: Path) -> None:
    queries = [
        {"record": "query", "expr": query}
        for scenario in SCENARIOS.values()
        for query in queries_of(dashboard(scenario.name, rules_of(scenario).rules))
    ]
    groups = [{"name": f"query-{place}", "rules": [rule]} for place, rule in enumerate(queries)]
    (rules / "queries.json").write_text(json.dumps({"groups": groups}))
    files = sorted(path.name for path in rules.glob("*.yml"))
    run_promtool("check", "rules", "--lint=none", "queries.json", *files, folder=rules)
    run_promtool("check", "rules", "--lint-fatal", *files, folder=rules)


def cases_of_standing() -> list[dict[str, Any]]:
    found = []
    for name, (faulty, clean) in STANDING_CASES.items():
        found += [case(name, faulty, fires=True), case(name, clean, fires=False)]
    return found


def cases_of_budgets() -> dict[str, list[dict[str, Any]]]:
    """Return the cases of each scenario's file. A budget of two scenarios is tried once."""
    tried: set[str] = set()
    found = {}
    for scenario in SCENARIOS.values():
        rules = [rule for rule in rules_of(scenario).rules if rule.budget.text not in tried]
        tried |= {rule.budget.text for rule in rules}
        found[f"budgets-{scenario.name}.yml"] = [
            case(rule.alert.name, inputs_of(rule, is_faulty), fires=is_faulty)
            for rule in rules
            for is_faulty in (True, False)
        ]
    return found


@pytest.mark.real_part("promtool")
def test_each_alert_fires_on_its_fault_and_is_silent_on_a_clean_series(rules: Path) -> None:
    plans = {"standing.yml": cases_of_standing()}
    plans |= cases_of_budgets()
    names = []
    for file, cases in plans.items():
        names.append(f"test-{file}.json")
        content = {"rule_files": [file], "evaluation_interval": "1m", "tests": cases}
        (rules / names[-1]).write_text(json.dumps(content))
    assert sum(map(len, plans.values())) > 100
    run_promtool("test", "rules", *names, folder=rules)


def test_every_standing_alert_has_a_case_with_its_fault() -> None:
    alerts = {rule.name for group in STANDING for rule in group.rules if isinstance(rule, Alert)}
    assert alerts == set(STANDING_CASES)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_of_the_catalogue_has_a_series_or_a_reason(metric: str) -> None:
    if metric in SERIES:
        with pytest.raises(KeyError):
            why_absent(metric)
    else:
        assert why_absent(metric)


def test_no_series_is_kept_for_a_metric_that_is_gone() -> None:
    assert SERIES.keys() <= METRICS.keys()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_budget_of_a_scenario_is_dropped(scenario: Scenario) -> None:
    found = rules_of(scenario)
    assert len(found.rules) + len(found.absent) == len(scenario.budgets)
    text = rule_files(scenario)[f"budgets-{scenario.name}.yml"]
    for budget in scenario.budgets:
        assert budget.text in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("push.p99 ratio <= 1.1", "two runs"),
        ("delivery.received >= 5", "clients|load"),
        ("delivery.lost == 5", "load of the scenario"),
        ("delivery.conflated >= 5", "load of the scenario"),
        ("push.max >= 5 ms", "from above"),
        ("push.max <= 1 h", "no bucket"),
        ("drain.exit <= 9 s", "command"),
    ],
)
def test_a_budget_that_no_rule_can_show_says_why(text: str, reason: str) -> None:
    smoke = SCENARIOS["smoke"]
    (absent,) = rules_of(_with(smoke, text)).absent
    assert re.search(reason, absent.reason)


def test_a_least_quantile_fires_below_its_limit() -> None:
    (rule,) = rules_of(_with(SCENARIOS["smoke"], "push.p99 >= 5 ms")).rules
    assert rule.alert.expression.endswith("< 0.005")
    assert rule.alert.name == "TidegateBudgetPushP99Low"


def test_a_maximum_counts_the_values_above_the_next_bound() -> None:
    (rule,) = rules_of(_with(SCENARIOS["smoke"], "push.max <= 12 ms")).rules
    assert 'le="0.015"' in rule.record.expression
    assert rule.alert.expression.endswith("> 0")


def _with(scenario: Scenario, text: str) -> Scenario:
    return replace(scenario, budgets=(parse_budget(text, 1),))


def test_the_rules_and_dashboards_query_only_metrics_that_exist(gateway: Target) -> None:
    own = parse_metrics(gateway.get("/metrics").body.decode())
    witness = parse_metrics(WitnessMetrics().expose("")[0].decode())
    exposed = {name.partition("{")[0] for name in (*own, *witness)} | {"up"}
    for scenario in SCENARIOS.values():
        found = rules_of(scenario).rules
        recorded = {rule.record.name for rule in found}
        queries = [*queries_of(dashboard(scenario.name, found))]
        queries += [rule.record.expression for rule in found]
        queries += [rule.alert.expression for rule in found]
        queries += [r.expression for g in STANDING for r in g.rules]
        for query in queries:
            assert names_in(query) <= exposed | recorded, query


def names_in(query: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}", "", query)
    return set(re.findall(r"\b(?:instance:\w+:\w+|tidegate_\w+|process_\w+|up)\b", bare))


def test_the_bounds_of_the_rules_are_those_of_the_metrics(gateway: Target) -> None:
    pages = gateway.get("/metrics").body.decode() + WitnessMetrics().expose("")[0].decode()
    for series in SERIES.values():
        if isinstance(series, Times):
            found = re.findall(rf'^{series.name}_bucket{{le="([0-9.]+)"}}', pages, re.MULTILINE)
            assert found == [str(float(bound)) for bound in series.bounds_s], series.name


def test_the_command_writes_its_files_and_names_them(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["rules", "smoke", "--output", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    assert [Path(line).name for line in told.output.splitlines()] == [
        "standing.yml",
        "budgets-smoke.yml",
        "dashboard-smoke.json",
    ]
    assert all(Path(line).stat().st_size for line in told.output.splitlines())


def test_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["rules", "smoky", "--output", str(tmp_path)])
    assert told.exit_code == 2
    assert "smoke" in told.output
    assert not list(tmp_path.iterdir())


def test_each_alert_has_its_section_in_the_operations_page_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    alerts = {rule.name for group in STANDING for rule in group.rules if isinstance(rule, Alert)}
    chapter = page.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = re.findall(r"^### (.+)$", chapter, re.MULTILINE)
    assert sorted(sections) == sorted([*alerts, SECTION])
    assert all(finding.value in page for finding in figures.Finding)


def test_each_runbook_of_an_alert_is_a_heading_of_the_operations_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    named = re.findall(
        r"runbook: '[^#]+#([^']+)'", "".join(rule_files(SCENARIOS["smoke"]).values())
    )
    assert named
    assert set(named) <= anchors
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors
