"""Read a finished run's directory: the files of ``loadtests.results`` and nothing else."""

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
        """The run's start, monotonic ns."""
        return int(self.manifest["t0_monotonic_ns"])

    @property
    def published(self) -> int:
        """The number of publications that the gateway accepted, from the publisher's ledger."""
        return int(self.manifest["publisher"]["published"])

    def span_ns(self, phase: Phase) -> tuple[int, int]:
        """Return when a phase began and ended, monotonic ns.

        Raises:
            KeyError: the run has no such phase.
        """
        for found in self.manifest["phases"]:
            if found["phase"] == phase:
                start_ns, end_ns = (round(found[name] * NS_PER_S) for name in ("start_s", "end_s"))
                return self.t0_ns + start_ns, self.t0_ns + end_ns
        raise KeyError(f"the run has no {phase} phase")

    def histogram(
        self, series: Series, phase: Phase = Phase.STEADY, seconds: frozenset[int] | None = None
    ) -> Histogram:
        """Return the histogram of a series.

        Args:
            series: the series.
            phase: the only phase to count.
            seconds: the only seconds of the run to count; None counts all.
        """
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
        """Return the sum of a column of the ledger.

        Args:
            column: such as ``lost``.
            group: the only group to count; None counts all.
            stream: whether to count a stream, by its name; None counts all.
        """
        rows = pq.read_table(self.directory / "ledger.parquet").to_pylist()
        return sum(
            int(row[column])
            for row in rows
            if (group is None or row["group"] == group)
            and (stream is None or stream(row["stream"]))
        )

    def budget(self, metric: str) -> dict[str, Any]:
        """Return the verdict's entry for the first budget on a metric.

        Raises:
            KeyError: the run has no such budget.
        """
        for found in self.verdict["budgets"]:
            if found["metric"] == metric:
                return dict(found)
        raise KeyError(f"the run has no budget on {metric}")


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content is None:
        raise FileNotFoundError(f"{path.parent.name} holds no {path.name}")
    return content
