"""Fairness among clients, and what a message costs: ratios with known answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synthetic_run import Tables, client_row

from reports.measures.fairness import client_means
from reports.measures.registry import measure
from reports.run_frames import RunFrames

Make = Callable[..., RunFrames]
_MS = 1_000_000


def clients_of(*means_ns: int) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables["clients"] = [client_row(place, mean) for place, mean in enumerate(means_ns)]

    return change


def test_clients_served_alike_have_no_spread(run_with: Make) -> None:
    run = run_with(change=clients_of(*[2 * _MS] * 400))
    found = measure(run, "fairness.spread")
    assert (found.value, found.low, found.high, found.n) == (1, 1, 1, 400)


def test_the_spread_is_the_99th_client_over_the_middle_one(run_with: Make) -> None:
    found = measure(run_with(change=clients_of(*[_MS] * 950, *[3 * _MS] * 50)), "fairness.spread")
    assert found.value == 3
    assert found.needed == 299


@pytest.mark.parametrize(
    ("means", "value"),
    [
        pytest.param(range(1, 301), 1.0, id="who came last is served last"),
        pytest.param(range(300, 0, -1), -1.0, id="who came last is served first"),
    ],
)
def test_the_order_of_arrival_shows(run_with: Make, means: range, value: float) -> None:
    found = measure(run_with(change=clients_of(*means)), "fairness.join_order")
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(value)


def test_an_order_that_means_nothing_is_near_zero(run_with: Make) -> None:
    means = [1_000 + index * 7_919 % 997 for index in range(500)]
    found = measure(run_with(change=clients_of(*means)), "fairness.join_order")
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_who_got_no_push_is_no_client_of_the_comparison(run_with: Make) -> None:
    def change(tables: Tables) -> None:
        clients_of(_MS, _MS)(tables)
        tables["clients"].append(client_row(2, 0, pushes=0))

    assert client_means(run_with(change=change))["place"].tolist() == [0, 1]


def test_no_push_to_anybody_is_no_fairness(run_with: Make) -> None:
    for metric in ("fairness.spread", "fairness.join_order"):
        assert measure(run_with(), metric).value is None
    run = run_with(change=clients_of(_MS, _MS, _MS))
    assert measure(run, "fairness.join_order").why == (
        "all clients are equal, so there is no order"
    )


def costing(each_cpu_ns: int, messages: int, **last: int) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in tables["server"]:
            row["cpu_ns"] = each_cpu_ns * row["t_s"]
            row["messages_out"] = messages * row["t_s"]
        tables["server"][-2].update(last)

    return change


def test_the_cost_of_a_message_is_cpu_over_messages(run_with: Make) -> None:
    found = measure(run_with(change=costing(180 * _MS, 9_000)), "cost.per_message")
    assert (found.value, found.low, found.high, found.n) == (20_000, 20_000, 20_000, 29)


def test_instructions_are_a_cost_where_the_machine_counts_them(run_with: Make) -> None:
    def counted(tables: Tables) -> None:
        costing(180 * _MS, 9_000)(tables)
        for row in tables["server"]:
            row["instructions"] = 450_000_000 * row["t_s"]

    found = measure(run_with(change=counted), "cost.instructions")
    assert (found.value, found.low, found.high, found.n) == (50_000, 50_000, 50_000, 29)
    elsewhere = measure(run_with(change=costing(180 * _MS, 9_000)), "cost.instructions")
    assert elsewhere.value is None
    assert "the machine counts no instructions" in elsewhere.why


def test_an_uneven_cost_has_an_interval(run_with: Make, passing_run: RunFrames) -> None:
    found = measure(passing_run, "cost.per_message")
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


def test_a_counter_that_began_anew_is_no_negative_cost(run_with: Make) -> None:
    run = run_with(change=costing(180 * _MS, 9_000, cpu_ns=0, messages_out=0))
    found = measure(run, "cost.per_message")
    assert (found.value, found.n) == (20_000, 28)


@pytest.mark.parametrize(
    ("column", "words"),
    [("cpu_ns", "the run did not start it"), ("messages_out", "does not report its sent messages")],
)
def test_what_the_gateway_does_not_say_has_no_cost(run_with: Make, column: str, words: str) -> None:
    def change(tables: Tables) -> None:
        for row in tables["server"]:
            row[column] = None

    found = measure(run_with(change=change), "cost.per_message")
    assert found.value is None
    assert words in found.why


def test_a_gateway_that_sent_nothing_has_no_cost(run_with: Make) -> None:
    found = measure(run_with(change=costing(180 * _MS, 0)), "cost.per_message")
    assert found.why == "the gateway sent no message in the steady phase"
