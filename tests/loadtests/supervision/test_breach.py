from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from loadtests.supervision.breach import GROSS, SECONDS, BreachWatch
from scenarios.schema import parse_budget

BUDGETS = [parse_budget(text, 1) for text in ("push.p99 <= 10 ms", "errors == 0")]
SLOW_MS, GROSS_MS, FINE_MS = 11, 10 * GROSS + 1, 9


def second(t_s: int, p99_ms: float | None = None, **members: Any) -> dict[str, Any]:
    p99_ns = None if p99_ms is None else p99_ms * 1e6
    return {"t_s": t_s, "phase": "steady", "clients": 100, "push_p99_ns": p99_ns, **members}


def after(latencies_ms: Sequence[float | None], **members: Any) -> BreachWatch:
    watch = BreachWatch(BUDGETS)
    for t_s, p99_ms in enumerate(latencies_ms):
        watch.see(second(t_s, p99_ms, **members))
    return watch


@pytest.mark.parametrize(
    ("latencies_ms", "visible", "gross"),
    [
        pytest.param([FINE_MS] * 9, False, False, id="kept"),
        pytest.param([SLOW_MS] * SECONDS, True, False, id="over, three in a row"),
        pytest.param([SLOW_MS, SLOW_MS, FINE_MS] * 4, False, False, id="never three in a row"),
        pytest.param([GROSS_MS] * SECONDS, True, True, id="far over, three in a row"),
        pytest.param([GROSS_MS, GROSS_MS, SLOW_MS] * 3, True, False, id="over all the while"),
        pytest.param([None] * 9, False, False, id="nothing measured"),
        pytest.param([GROSS_MS, None, GROSS_MS, GROSS_MS], True, True, id="an empty second"),
    ],
)
def test_three_slow_seconds_in_a_row_are_a_breach(
    latencies_ms: list[float | None], visible: bool, gross: bool
) -> None:
    watch = after(latencies_ms)
    assert (bool(watch.visible), bool(watch.gross)) == (visible, gross)


def test_the_words_tell_what_was_and_what_is_allowed() -> None:
    assert after([GROSS_MS] * 3).gross == (
        "push p99 was 201 ms, allowed 10 ms: over 20 times as much, 3 seconds in a row"
    )


def test_only_the_steady_phase_counts() -> None:
    assert not after([GROSS_MS] * 9, phase="warm-up").visible


def test_a_strained_generators_lateness_is_nobodys_breach() -> None:
    assert not after([GROSS_MS] * 9, strains=["own-share"]).visible


def test_the_same_second_seen_again_changes_nothing() -> None:
    watch = BreachWatch(BUDGETS)
    for _ in range(9):
        watch.see(second(1, GROSS_MS))
    watch.see(None)
    assert not watch.visible


def test_more_errors_than_clients_are_gross() -> None:
    assert after([FINE_MS] * 2, errors=99).gross == ""
    assert after([FINE_MS] * 2, errors=100).gross == "100 errors of 100 clients, allowed 0"


def test_the_strictest_absolute_budget_counts_and_a_ratio_does_not() -> None:
    texts = ("push.p99 ratio <= 1.1", "push.p99 <= 2 s", "push.p99 <= 1 s", "push.p50 <= 1 ms")
    watch = BreachWatch([parse_budget(text, 1) for text in texts])
    for t_s in range(3):
        watch.see(second(t_s, 1_500.0, errors=10_000))
    assert watch.visible
    assert not watch.gross


def test_without_budgets_nothing_is_a_breach() -> None:
    watch = BreachWatch([])
    for t_s in range(5):
        watch.see(second(t_s, GROSS_MS, errors=10_000))
    assert not watch.visible
