from __future__ import annotations

from typing import Any

from loadtests.health.node_totals import NodeTotals


def figures(**columns: Any) -> dict[str, Any]:
    return {"clients": 10, "cpu_ns": 100, "rss_bytes": 5, "loop_lag_ns": 3, **columns}


def test_nodes_add_up_and_delays_are_those_of_the_worst() -> None:
    total = NodeTotals(2).add([figures(), figures(clients=4, loop_lag_ns=9)])
    assert total == {"clients": 14, "cpu_ns": 200, "rss_bytes": 10, "loop_lag_ns": 9}


def test_what_one_node_does_not_tell_has_no_sum() -> None:
    bare = figures()
    del bare["rss_bytes"]
    assert "rss_bytes" not in NodeTotals(2).add([figures(), bare])


def test_a_node_that_is_away_has_no_clients_and_its_cpu_time_stays_spent() -> None:
    totals = NodeTotals(2)
    totals.add([figures(), figures(cpu_ns=70)])
    away = totals.add([figures(cpu_ns=110), {}])
    assert (away["clients"], away["cpu_ns"]) == (10, 180)
    back = totals.add([figures(cpu_ns=120), figures(clients=0, cpu_ns=5)])
    assert (back["clients"], back["cpu_ns"]) == (10, 120 + 70 + 5)
    assert totals.add([{}, {}]) == {}


def test_nodes_that_share_a_core_do_not_count_their_waits_for_each_other() -> None:
    totals = NodeTotals(2)
    assert (
        totals.add([figures(core_wait_ns=None), figures(core_wait_ns=None)])["core_wait_ns"] is None
    )
    seconds = [figures(cpu_ns=300, core_wait_ns=60), figures(cpu_ns=150, core_wait_ns=230)]
    # The first ran for 200 ns of the second's wait; the second for 50 of the first's.
    assert totals.add(seconds)["core_wait_ns"] == 30
