from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.contrib.csv_request_logger import CsvRequestLogger
from locust.env import Environment

from loadtests.reading.pushes import PushTable
from loadtests.reading.request_samples import MOST_SAMPLES, PUSH, divide

MS = 1_000_000
Fired = list[dict[str, Any]]


@pytest.fixture
def environment() -> Environment:
    found = Environment()
    found.create_local_runner()  # registers Locust's own listener
    return found


@pytest.fixture
def fired(environment: Environment) -> Fired:
    calls: Fired = []
    environment.events.request.add_listener(lambda **facts: calls.append(facts))  # type: ignore[no-untyped-call]  # Locust's own gap
    return calls


def receive(environment: Environment, latencies_ns: list[int], name: str = "price:update") -> None:
    table = PushTable.of(environment)
    read_ns = time.monotonic_ns()
    for number, latency_ns in enumerate(latencies_ns, 1):
        ts = (read_ns - latency_ns) // 1_000
        table.intake.take(read_ns, 7, name, {"symbol": "S", "seq": number, "ts": ts})


def end(environment: Environment) -> None:
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap


@given(st.integers(1, 100_000))
def test_the_shares_are_equal_and_hold_every_push(count: int) -> None:
    ranks, sizes = divide(count)
    assert len(ranks) == min(count, MOST_SAMPLES)
    assert sizes.sum() == count
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(ranks) > 0).all()
    assert 0 <= ranks[0] <= ranks[-1] < count


def test_a_second_of_many_pushes_is_few_calls_that_stand_for_all(
    environment: Environment, fired: Fired
) -> None:
    latencies_ns = [n * MS for n in range(1, 5_001)]
    receive(environment, latencies_ns)
    receive(environment, [3 * MS], "ticker:update")
    end(environment)
    prices = [call for call in fired if call["name"] == "price:update"]
    assert len(prices) == MOST_SAMPLES
    assert sum(call["context"]["pushes"] for call in prices) == 5_000
    times_ms = [call["response_time"] for call in prices]
    for q in (0.5, 0.9, 0.99):
        assert np.quantile(times_ms, q) == pytest.approx(5_000 * q, abs=5_000 / MOST_SAMPLES)
    (ticker,) = [call for call in fired if call["name"] == "ticker:update"]
    assert ticker["request_type"] == PUSH
    assert ticker["response_time"] == pytest.approx(3, abs=0.01)
    assert ticker["exception"] is None
    assert ticker["start_time"] == pytest.approx(time.time() - 0.003, abs=30)


def test_locusts_table_counts_each_push_once(environment: Environment, fired: Fired) -> None:
    receive(environment, [MS] * 250)
    end(environment)
    assert fired
    assert environment.stats.get("price:update", PUSH).num_requests == 250
    assert environment.stats.total.num_requests == 250


def test_locusts_table_still_takes_requests(environment: Environment) -> None:
    PushTable.of(environment)
    environment.events.request.fire(  # type: ignore[no-untyped-call]  # Locust's own gap
        request_type="EMIT", name="subscribe", response_time=2.0, response_length=0, context={}
    )
    assert environment.stats.get("subscribe", "EMIT").num_requests == 1


def test_a_csv_logger_gets_a_row_for_each_sample(environment: Environment, tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    logger = CsvRequestLogger(str(path))
    logger.register(environment)
    receive(environment, [2 * MS, 4 * MS, 9 * MS])
    end(environment)
    logger.close()
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["name"] for row in rows] == ["price:update"] * 3
    assert [float(row["response_time_ms"]) for row in rows] == pytest.approx([2, 4, 9], abs=0.01)


def test_a_second_without_pushes_calls_nobody(environment: Environment, fired: Fired) -> None:
    PushTable.of(environment)
    end(environment)
    assert fired == []
