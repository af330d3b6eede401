"""What a run says, read from its directory: the files of ``loadtests.results`` and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests.record.histogram import BUCKETS, Histogram
from loadtests.record.manifest import read_json
from loadtests.results import MANIFEST, VERDICT, Phase, Series

NS_PER_S: Final = 1_000_000_000


class TrialReading:
    """One finished run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = _json(directory / MANIFEST)
        self.verdict = _json(directory / VERDICT)

    @property
    def t0_ns(self) -> int:
        """The run's start, monotonic."""
        return int(self.manifest["t0_monotonic_ns"])

    @property
    def published(self) -> int:
        """How many publications the gateway accepted, as the publisher's ledger says."""
        return int(self.manifest["publisher"]["published"])

    def span_ns(self, phase: Phase) -> tuple[int, int]:
        """Return when a phase began and ended, monotonic. Raises KeyError: it never began."""
        for found in self.manifest["phases"]:
            if found["phase"] == phase:
                start_ns, end_ns = (round(found[name] * NS_PER_S) for name in ("start_s", "end_s"))
                return self.t0_ns + start_ns, self.t0_ns + end_ns
        raise KeyError(f"the run has no {phase} phase")

    def histogram(
        self, series: Series, phase: Phase = Phase.STEADY, seconds: frozenset[int] | None = None
    ) -> Histogram:
        """Return a series of a phase, of some seconds of the run alone when they are given."""
        rows = pq.read_table(self.directory / "hist.parquet")
        wanted = pc.and_(pc.equal(rows["series"], str(series)), pc.equal(rows["phase"], str(phase)))
        rows = rows.filter(wanted)
        t_s, buckets, counts = (rows[name].to_numpy() for name in ("t_s", "bucket", "count"))
        if seconds is not None:
            kept = np.isin(t_s, sorted(seconds))
            buckets, counts = buckets[kept], counts[kept]
        whole = np.zeros(BUCKETS, dtype=np.int64)
        np.add.at(whole, buckets, counts)
        return Histogram(whole)

    def ledger_sum(
        self, column: str, *, group: str | None = None, stream: Callable[[str], bool] | None = None
    ) -> int:
        """Return a column of the ledger, summed over the rows of a group and of some streams."""
        rows = pq.read_table(self.directory / "ledger.parquet").to_pylist()
        return sum(
            int(row[column])
            for row in rows
            if (group is None or row["group"] == group)
            and (stream is None or stream(row["stream"]))
        )

    def budget(self, metric: str) -> dict[str, Any]:
        """Return what the verdict says of the first budget on a metric. Raises KeyError."""
        for found in self.verdict["budgets"]:
            if found["metric"] == metric:
                return dict(found)
        raise KeyError(f"the run has no budget on {metric}")


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content is None:
        raise FileNotFoundError(f"{path.parent.name} holds no {path.name}")
    return content
