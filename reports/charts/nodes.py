"""The nodes of a run, apart."""

from __future__ import annotations

import pandas as pd

from reports import quantities
from reports.charts.canvas import Chart
from reports.node_table import node_table
from reports.run_frames import RunFrames


def nodes_apart(run: RunFrames) -> Chart:
    """Return the clients, CPU, memory and push latency of each of several nodes."""
    table = node_table(run)
    if table.empty:
        return Chart("apart", "No nodes apart: the run had one gateway", "")
    note = (
        "Steady phase. Clients and CPU (of one core) are means, memory is the largest. A push "
        "counts for the node of the client that read it."
    )
    return Chart("apart", _title(table), note, table=table)


def _title(table: pd.DataFrame) -> str:
    found = table["push_p50_ns"].dropna()
    words = quantities.counted(len(table), "node")
    if found.empty:
        return f"{words}; no push was timed"
    low, high = quantities.span(float(found.min())), quantities.span(float(found.max()))
    return f"{words} push with a median of {low} to {high}"
