from __future__ import annotations

import time

import gevent
import numpy as np
import pytest
from deadlines import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment

from loadtests.errors import ConnectionClosed
from loadtests.reading.batches import Batch
from loadtests.reading.pushes import PushTable, whole_ms
from loadtests.reading.request_samples import PUSH

MS = 1_000_000


def shown(latency_ns: int) -> int:
    return int(whole_ms(np.array([latency_ns]))[0])


def push(table: PushTable, latency_ns: int, name: str = "price:update", number: int = 1) -> None:
    payload = {"symbol": "S", "seq": number, "ts": 5}
    table.intake.take(5_000 + latency_ns, 7, name, payload)


@pytest.mark.parametrize(
    ("latency_ns", "shown_ms"),
    [(0, 1), (1, 1), (MS, 1), (MS + 1, 2), (99 * MS, 99), (100 * MS + 1, 110), (1_234 * MS, 1_300)],
)
def test_a_latency_is_rounded_up(latency_ns: int, shown_ms: int) -> None:
    assert shown(latency_ns) == shown_ms


@given(st.integers(0, 10**12))
def test_a_push_never_shows_as_nothing_nor_as_less_than_it_took(latency_ns: int) -> None:
    shown_ms = shown(latency_ns)
    assert shown_ms >= 1
    assert shown_ms * MS >= latency_ns
    assert shown_ms * MS <= max(MS, latency_ns * 1.1 + MS)


def test_what_was_pushed_is_in_locusts_table() -> None:
    environment = Environment()
    table = PushTable.of(environment)
    for latency_ms in (1, 2, 3, 400):
        push(table, latency_ms * MS)
    table.flush()
    push(table, 5 * MS)
    push(table, 9 * MS, "ticker:update")
    table.flush()
    entry = environment.stats.get("price:update", PUSH)
    assert entry.num_requests == 5
    assert environment.stats.total.num_requests == 6
    assert (entry.min_response_time, entry.max_response_time) == (1, 400)
    assert entry.median_response_time == 3
    assert entry.num_failures == 0
    assert environment.stats.get("ticker:update", PUSH).max_response_time == 9


def test_a_negative_latency_is_none_for_locust_and_reaches_the_record() -> None:
    environment = Environment()
    table = PushTable.of(environment)
    batches: list[Batch] = []
    table.record(batches.append)
    push(table, -1)
    table.flush()
    assert environment.stats.get("price:update", PUSH).num_requests == 0
    assert batches[0].service_ns.tolist() == [-1]


def test_a_new_record_does_not_get_what_came_before_it() -> None:
    table = PushTable.of(Environment())
    first: list[Batch] = []
    second: list[Batch] = []
    table.record(first.append)
    push(table, MS)
    table.record(second.append)
    push(table, 2 * MS)
    table.flush()
    assert [batch.service_ns.tolist() for batch in first] == [[MS]]
    assert [batch.service_ns.tolist() for batch in second] == [[2 * MS]]


def test_a_failure_of_the_hub_is_a_line_of_locusts_table() -> None:
    environment = Environment()
    fired: list[dict[str, object]] = []
    environment.events.request.add_listener(lambda **facts: fired.append(facts))  # type: ignore[no-untyped-call]  # Locust's own gap
    table = PushTable.of(environment)
    table.fail("CONNECT", "lost", ConnectionClosed("gone"))
    deadline = time.monotonic() + DEADLINE_S
    while not fired:
        assert time.monotonic() < deadline
        gevent.sleep(0.01)
    assert fired[0]["name"] == "lost"
    assert fired[0]["response_time"] is None
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap


def test_equal_limits_are_kept_once_and_others_as_they_are() -> None:
    table = PushTable.of(Environment())
    first, second, third = ({"limits": {"symbols": n}} for n in (1, 1, 2))
    kept = [table.share_limits(welcome)["limits"] for welcome in (first, second, third)]
    assert kept[0] is kept[1]
    assert kept[2] == {"symbols": 2}
    assert table.share_limits({"clientId": "c"}) == {"clientId": "c"}


def test_an_environment_has_one_table() -> None:
    one, other = Environment(), Environment()
    assert PushTable.of(one) is PushTable.of(one)
    assert PushTable.of(one) is not PushTable.of(other)


def test_the_end_of_the_test_tells_what_is_left_and_ends_the_pump() -> None:
    environment = Environment()
    table = PushTable.of(environment)
    table.start()
    push(table, MS)
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap
    assert environment.stats.get("price:update", PUSH).num_requests == 1
    assert table._pump is None
