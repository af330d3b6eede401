"""Clients, CPU, memory and push latency of each node of a run."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from loadtests.results import Phase, Series
from reports import intervals
from reports.measures.histograms import STEADY, histogram_of
from reports.run_frames import RunFrames

_S: Final = 1_000_000_000
_MEMORY: Final = ("pss_anon_bytes", "rss_bytes")


def node_table(run: RunFrames) -> pd.DataFrame:
    """Return a row for each of several nodes; no rows for a single gateway."""
    names = [str(each.get("name")) for each in run.manifest.facts.get("nodes") or ()]
    rows = run["nodes"]
    steady = rows[rows["phase"] == str(Phase.STEADY)]
    return pd.DataFrame([_describe(run, name, steady[steady["node"] == name]) for name in names])


def _describe(run: RunFrames, name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Return what is known of a node; NaN for what is not."""
    push = histogram_of(run, Series.NODE_PUSH, STEADY, family=name)
    quantiles = {
        f"push_p{quantile}_ns": intervals.quantile_of(push, quantile / 100) if push.n else np.nan
        for quantile in (50, 99)
    }
    memory = next((rows[one].dropna() for one in _MEMORY if rows[one].notna().any()), rows["fds"])
    return {
        "node": name,
        "clients": _mean(rows["clients"]),
        "cpu_percent": _cpu_percent(rows),
        "memory_bytes": float(memory.max()) if memory.name in _MEMORY else np.nan,
        **quantiles,
        "pushes": push.n,
    }


def _mean(values: pd.Series[Any]) -> float:
    told = values.dropna().to_numpy(dtype=np.float64)
    return float(told.mean()) if len(told) else np.nan


def _cpu_percent(rows: pd.DataFrame) -> float:
    """Return the mean CPU use; a step in which the counter fell (a restart) is left out."""
    told = rows.dropna(subset=["cpu_ns"]).sort_values("t_s")
    ran = told["cpu_ns"].astype(float).diff() / told["t_s"].diff()
    return 100 * _mean(ran[ran >= 0]) / _S
