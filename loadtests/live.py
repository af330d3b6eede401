"""The newest second of a run in figures, for those who watch: merged over processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from loadtests.histogram import BUCKETS, Histogram
from loadtests.recording import Recorder
from loadtests.results import Series
from loadtests.secondseen import SecondSeen


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveFigures:
    """One second of one process, or of several together; ``errors`` and ``missed`` so far."""

    clients: int = 0
    sent: int = 0
    received: int = 0
    errors: int = 0
    missed: int = 0
    push: Histogram = field(default_factory=Histogram)

    @classmethod
    def of(cls, seen: SecondSeen, recorder: Recorder) -> Self:
        """Return the figures of what a recorder flushed."""
        return cls(
            clients=seen.clients,
            sent=seen.counts["sent"],
            received=seen.counts["received"],
            errors=recorder.totals["errors"],
            missed=recorder.totals["missed"],
            push=seen.histogram(Series.PUSH),
        )

    @classmethod
    def merged(cls, parts: Iterable[LiveFigures]) -> Self:
        """Return the figures of several processes together."""
        parts = list(parts)
        sums = {
            name: sum(getattr(part, name) for part in parts)
            for name in ("clients", "sent", "received", "errors", "missed")
        }
        return cls(**sums, push=Histogram.merged(part.push for part in parts))

    def packed(self) -> dict[str, Any]:
        """Return the figures as plain lists and numbers, to be sent."""
        buckets = np.flatnonzero(self.push.counts)
        return {
            "clients": self.clients,
            "sent": self.sent,
            "received": self.received,
            "errors": self.errors,
            "missed": self.missed,
            "push": [buckets.tolist(), self.push.counts[buckets].tolist()],
        }

    @classmethod
    def unpacked(cls, content: Mapping[str, Any]) -> Self:
        """Return the figures that ``packed`` gave."""
        buckets, counts = content["push"]
        whole = np.zeros(BUCKETS, dtype=np.int64)
        whole[np.asarray(buckets, dtype=np.int64)] = counts
        return cls(**{**content, "push": Histogram(whole)})

    def described(self) -> dict[str, object]:
        """Return what ``logs/live.json`` says of them."""
        return {
            "clients": self.clients,
            "requests": self.sent,
            "received": self.received,
            "errors": self.errors,
            "missed": self.missed,
            "push_p50_ns": self.push.quantile_ns(0.5),
            "push_p99_ns": self.push.quantile_ns(0.99),
        }
