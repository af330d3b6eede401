"""Quantiles of spans: which seconds they come from, and how wide their intervals are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_run import Tables, span_rows

from loadtests.results import Phase, Series
from reports.measures.histograms import histogram_of
from reports.measures.registry import measure
from reports.run_frames import RunFrames

Make = Callable[..., RunFrames]
_MS = 1_000_000
_S = 1_000_000_000
STEADY = range(8, 38)


def filled(series: Series, values_ns: list[int], seconds: range = STEADY) -> Callable[..., None]:
    def change(tables: Tables) -> None:
        for second in seconds:
            tables["hist"] += span_rows(series, second, values_ns)

    return change


STAGES = [
    ("accept", Series.ACCEPT),
    ("kernel", Series.KERNEL),
    ("read", Series.GENERATOR_SHARE),
    ("fanout.skew", Series.FANOUT_SKEW),
    ("staleness", Series.STALENESS),
    ("orders.accept", Series.ORDER_ACCEPT),
    ("orders.fill", Series.ORDER_FILL),
    ("session", Series.SESSION),
    ("session_delay", Series.SESSION_DELAY),
]


@pytest.mark.parametrize(("metric", "series"), STAGES)
def test_each_stage_is_read_from_its_own_series(
    run_with: Make, metric: str, series: Series
) -> None:
    assert measure(run_with(), metric, "p50").value is None
    run = run_with(change=filled(series, [3 * _MS] * 20))
    found = measure(run, metric, "p50")
    assert found.value == pytest.approx(3 * _MS, rel=0.001)
    assert (found.n, found.needed) == (600, 5)


def test_p99_99_needs_as_many_values_as_it_takes_to_see_it(run_with: Make) -> None:
    found = measure(run_with(), "push", "p99.99")
    assert (found.n, found.needed) == (21_000, 29_956)


def stolen(*seconds: int, percent: float = 15) -> Callable[[Tables], None]:
    """Have the host take a share of the machine's two cores, and pushes be late for it."""

    def change(tables: Tables) -> None:
        for row in tables["generator"]:
            took = round(percent / 100 * 2 * _S) if row["t_s"] in seconds else 0
            row["steal_ns"] = took
        for second in seconds:
            tables["hist"] += span_rows(Series.PUSH, second, [150 * _MS] * 300)

    return change


def test_a_stolen_second_is_left_out_of_what_is_timed(run_with: Make) -> None:
    spoilt = measure(run_with(change=stolen(20, percent=5)), "push", "p99")
    assert spoilt.value == pytest.approx(150 * _MS, rel=0.001)
    found = measure(run_with(change=stolen(20)), "push", "p99")
    assert found.value is not None
    assert found.value < 10 * _MS
    assert (found.n, found.left_out_s) == (700 * 28, 2)
    assert found.why == "2 dirty seconds left out"


def test_counts_leave_nothing_out(run_with: Make) -> None:
    assert measure(run_with(change=stolen(20)), "delivery.owed").left_out_s == 0


def test_the_next_beat_is_left_out_with_the_one_that_was_late(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        stolen(16)(tables)
        for second in (16, 21):  # late by 300 ms, so the next gap is short by as much
            tables["hist"] += span_rows(Series.HEARTBEAT_ERROR, second, [300 * _MS] * 300)

    found = measure(run_with(change=change), "heartbeat.error", "p99")
    assert found.value is not None
    assert found.value < 10 * _MS


def test_one_kind_of_stream_can_be_looked_at_alone(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        tables["hist"] += span_rows(Series.PUSH, 20, [7 * _MS] * 9, family="user")

    assert histogram_of(run_with(change=change), Series.PUSH, (Phase.STEADY,), family="user").n == 9


def clock(**facts: Any) -> dict[str, Any]:
    return {"clock": {"gateway": "a" * 16, "generator": "b" * 16, "same": False, **facts}}


def test_two_clocks_widen_a_one_way_interval_by_their_bound(run_with: Make) -> None:
    one = measure(run_with(), "push", "p99")
    two = measure(run_with(manifest=clock(error_ns=2 * _MS)), "push", "p99")
    assert one.low is not None
    assert one.high is not None
    assert two.value == one.value
    assert two.low == pytest.approx(one.low - 2 * _MS)
    assert two.high == pytest.approx(one.high + 2 * _MS)
    assert two.why == "two clocks, ± 2 ms"


def test_a_widened_interval_never_reaches_below_zero(run_with: Make) -> None:
    assert measure(run_with(manifest=clock(error_ns=_S)), "push", "p50").low == 0


def test_two_clocks_that_nobody_compared_give_no_interval(run_with: Make) -> None:
    found = measure(run_with(manifest=clock(error_ns=None)), "push_service", "p99")
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert found.why == "gateway and generator have two clocks with an unknown difference"


def test_a_round_trip_needs_one_clock_only(run_with: Make) -> None:
    one = measure(run_with(), "ack", "p50")
    assert measure(run_with(manifest=clock(error_ns=2 * _MS)), "ack", "p50") == one
