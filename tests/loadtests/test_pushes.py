from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment

from loadtests.pushes import PUSH, PushTable, whole_ms

MS = 1_000_000


@pytest.mark.parametrize(
    ("latency_ns", "shown_ms"),
    [(0, 1), (1, 1), (MS, 1), (MS + 1, 2), (99 * MS, 99), (100 * MS + 1, 110), (1_234 * MS, 1_300)],
)
def test_a_latency_is_rounded_up(latency_ns: int, shown_ms: int) -> None:
    assert whole_ms(latency_ns) == shown_ms


@given(st.integers(0, 10**12))
def test_a_push_never_shows_as_nothing_nor_as_less_than_it_took(latency_ns: int) -> None:
    shown_ms = whole_ms(latency_ns)
    assert shown_ms >= 1
    assert shown_ms * MS >= latency_ns
    assert shown_ms * MS <= max(MS, latency_ns * 1.1 + MS)


def test_what_was_pushed_is_in_locusts_table() -> None:
    environment = Environment()
    table = PushTable.of(environment)
    for latency_ms in (1, 2, 3, 400):
        table.add("price:update", latency_ms * MS)
    table.flush()
    table.add("price:update", 5 * MS)
    table.flush()
    entry = environment.stats.get("price:update", PUSH)
    assert entry.num_requests == environment.stats.total.num_requests == 5
    assert (entry.min_response_time, entry.max_response_time) == (1, 400)
    assert entry.median_response_time == 3
    assert entry.num_failures == 0


def test_an_environment_has_one_table() -> None:
    one, other = Environment(), Environment()
    assert PushTable.of(one) is PushTable.of(one)
    assert PushTable.of(one) is not PushTable.of(other)


def test_the_end_of_the_test_tells_what_is_left() -> None:
    environment = Environment()
    PushTable.of(environment).add("price:update", MS)
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap
    assert environment.stats.get("price:update", PUSH).num_requests == 1
