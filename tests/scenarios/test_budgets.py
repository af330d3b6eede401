from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.schema import METRICS, STATISTICS, ScenarioError, parse_budget


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
        ("push <= 10 ms", "a statistic is missing; use one of p50"),
        ("push.p98 <= 10 ms", "p98 is no statistic"),
        ("push.p99 => 10 ms", "is no operator"),
        ("push.p99 <= 10", "a unit is missing; use one of ns, us, ms, s"),
        ("push.p99 <= 10 KB", "KB is no unit of it"),
        ("push.p99 <= ten ms", "is no number"),
        ("errors.p99 == 0", "has no statistics"),
        ("errors == 0 ms", "whole number without a unit"),
        ("errors == 0.5", "whole number without a unit"),
        ("memory.per_client <= 4 ms", "use one of B, KB, MB"),
        ("", "such as"),
        ("push.p99", "such as"),
    ],
)
def test_a_wrong_budget_is_answered_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_budget(text, 3)
    assert words in str(caught.value)
    assert caught.value.problems[0].line == 3


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
