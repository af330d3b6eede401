from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from full_run import rows_of
from synthetic_run import Tables

from loadtests.results import Phase, Series
from reports import charts
from reports.node_table import node_table
from reports.page import render_page
from reports.run_frames import RunFrames
from reports.summary import render_summary
from reports.verdict import judge

Make = Callable[..., RunFrames]
MS = 1_000_000
NODES = [{"name": f"node-{number}", "url": f"http://h:{number}", "pid": None} for number in (1, 2)]


def add_nodes(tables: Tables) -> None:
    """Add ten seconds of two nodes: the second restarts in the middle, and tells no memory."""
    for second in range(10, 20):
        spent = (1 + second) * 250 * MS
        head = {"t_s": second, "phase": str(Phase.STEADY)}
        first = {**head, "node": "node-1", "clients": 40, "cpu_ns": spent, "rss_bytes": 1 << 20}
        ran = second - 15 if second >= 15 else second
        other = {**head, "node": "node-2", "clients": 20, "cpu_ns": (1 + ran) * 100 * MS}
        tables["nodes"] += [first, {**other, "rss_bytes": None}]
        for family, span_ms in (("node-1", 2), ("node-2", 6)):
            tables["hist"] += rows_of(Series.NODE_PUSH, second, [span_ms * MS] * 10, family=family)


@pytest.fixture
def run(run_with: Make) -> RunFrames:
    return run_with(change=add_nodes, manifest={"nodes": NODES})


def test_each_node_has_its_clients_cpu_memory_and_push_latency(run: RunFrames) -> None:
    first, second = node_table(run).to_dict("records")
    assert (first["node"], first["clients"], first["memory_bytes"]) == ("node-1", 40, 1 << 20)
    assert first["cpu_percent"] == pytest.approx(25)
    assert first["push_p50_ns"] == pytest.approx(2 * MS, rel=2e-3)
    assert first["pushes"] == 100
    assert second["cpu_percent"] == pytest.approx(10), "the restart is no negative step"
    assert np.isnan(second["memory_bytes"])


def test_the_report_and_the_summary_show_the_nodes(run: RunFrames) -> None:
    outcome = judge(run)
    chart = charts.nodes_apart(run)
    assert chart.title == "2 nodes push with a median of 2.00 ms to 6.00 ms"
    assert "2 nodes push" in render_page(run, outcome).replace("\N{NO-BREAK SPACE}", " ")
    assert "| node-1 | 40 | 25 |" in render_summary(run, outcome)


def test_one_gateway_has_no_table_of_nodes(passing_run: RunFrames) -> None:
    assert node_table(passing_run).empty
    assert charts.nodes_apart(passing_run).is_absent
    assert "## Nodes" not in render_summary(passing_run, judge(passing_run))
