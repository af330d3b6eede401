from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.budgets import STATISTICS
from scenarios.schema import METRICS, ScenarioError, parse_budget


@pytest.mark.parametrize(
    ("text", "metric", "statistic", "operator", "limit"),
    [
        ("push.p99 <= 10 ms", "push", "p99", "<=", 10e6),
        ("push.p99.9<0.5s", "push", "p99.9", "<", 5e8),
        ("heartbeat.error.p99 <= 100 ms", "heartbeat.error", "p99", "<=", 1e8),
        ("heartbeat.missed == 0", "heartbeat.missed", None, "==", 0),
        ("connect.max > 1 us", "connect", "max", ">", 1e3),
        ("memory.per_client <= 40 KB", "memory.per_client", None, "<=", 40 * 1024),
        ("delivery.received >= 1,000", "delivery.received", None, ">=", 1000),
        ("cost.per_message <= 20 us", "cost.per_message", None, "<=", 20e3),
        ("cost.per_message <= 20 \u00b5s", "cost.per_message", None, "<=", 20e3),
        ("cost.per_message <= 20\u03bcs", "cost.per_message", None, "<=", 20e3),
        ("connect.max <= 1.5 m", "connect", "max", "<=", 90e9),
        ("connect.max <= 2h", "connect", "max", "<=", 7.2e12),
        ("memory.returned >= 0.9", "memory.returned", None, ">=", 0.9),
    ],
)
def test_a_budget_is_read_in_the_metrics_own_unit(
    text: str, metric: str, statistic: str | None, operator: str, limit: float
) -> None:
    budget = parse_budget(text, 7)
    assert (budget.metric, budget.statistic, budget.operator, budget.limit, budget.line) == (
        metric,
        statistic,
        operator,
        limit,
        7,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pusch.p99 <= 10 ms", "did you mean push?"),
        ("push <= 10 ms", "the statistic is missing; use one of p50"),
        ("push.p98 <= 10 ms", "p98 is not a statistic"),
        ("push.p99 => 10 ms", "is not an operator"),
        ("push.p99 <= 10", "the unit is missing; use one of ns, us, ms, s, m, h"),
        ("push.p99 <= 10 KB", "KB is not a unit of push"),
        ("push.p99 <= ten ms", "is not a number"),
        ("errors.p99 == 0", "has no statistics"),
        ("errors == 0 ms", "whole number without a unit"),
        ("errors == 0.5", "whole number without a unit"),
        ("memory.per_client <= 4 ms", "use one of B, KB, MB"),
        ("errors ratio <= 1.1", "only times, numbers and bytes take a ratio"),
        ("memory.returned ratio >= 1.1", "only times, numbers and bytes take a ratio"),
        ("push.p99 ratio == 1", "a ratio takes one of <=, <, >=, >"),
        ("push.p99 ratio <= 10 %", "is not a ratio"),
        ("push.p99 ratio <= 0", "a number over 0"),
        ("push.p99 ratio <= 1.1 above 2", "the unit is missing"),
        ("push.p99 ratio <= 1.1 above 2 KB", "KB is not a unit of push"),
        ("push.p99 <= 10 ms above 2 ms", '"above" needs a ratio'),
        ("", "such as"),
        ("push.p99", "such as"),
    ],
)
def test_a_wrong_budget_is_answered_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_budget(text, 3)
    assert words in str(caught.value)
    assert caught.value.problems[0].line == 3


@pytest.mark.parametrize(
    ("text", "operator", "limit", "floor"),
    [
        ("push.p99 ratio <= 1.10", "<=", 1.10, None),
        ("push.p99 ratio <= 1.10 above 2 ms", "<=", 1.10, 2e6),
        ("push.p99 ratio<1.2 above 0.5ms", "<", 1.2, 5e5),
        ("cost.instructions ratio <= 1.05 above 50_000", "<=", 1.05, 50e3),
        ("cost.per_message ratio <= 1.05 above 5 us", "<=", 1.05, 5e3),
        ("memory.per_client ratio <= 1.1 above 1 KB", "<=", 1.1, 1024),
    ],
)
def test_a_ratio_to_a_baseline_has_a_floor_below_which_it_does_not_matter(
    text: str, operator: str, limit: float, floor: float | None
) -> None:
    budget = parse_budget(text, 7)
    assert budget.is_relative
    assert (budget.operator, budget.limit, budget.floor) == (operator, limit, floor)


def test_an_absolute_and_a_relative_budget_of_one_metric_are_about_two_figures() -> None:
    absolute, relative = parse_budget("push.p99 <= 9 ms", 1), parse_budget("push.p99 ratio <= 2", 2)
    assert absolute.subject != relative.subject
    assert absolute.subject == parse_budget("push.p99 <= 8 ms", 3).subject


def test_a_problem_names_the_file_that_it_is_in() -> None:
    with pytest.raises(ScenarioError, match=r"^ci\.toml:4: budget \"push <= 1 ms\""):
        parse_budget("push <= 1 ms", 4, "ci.toml")


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_a_scenario_error(text: str) -> None:
    try:
        budget = parse_budget(text, 1)
    except ScenarioError:
        return
    assert budget.metric in METRICS


@given(
    st.sampled_from(sorted(m.name for m in METRICS.values() if m.kind == "quantiles")),
    st.sampled_from(STATISTICS),
    st.integers(0, 10**6),
)
def test_what_was_written_is_what_is_read(metric: str, statistic: str, number: int) -> None:
    budget = parse_budget(f"{metric}.{statistic} <= {number} us", 1)
    assert (budget.metric, budget.statistic, budget.limit) == (metric, statistic, number * 1_000)
