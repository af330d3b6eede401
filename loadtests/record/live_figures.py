"""``LiveFigures``: the figures of a run's newest second, merged over its processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

import numpy as np

from loadtests.record.histogram import BUCKETS, Histogram
from loadtests.record.recording import Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import Event, LimitOutcome, Series

GENERATOR_COLUMNS: Final = ("cpu_ns", "run_queue_ns", "steal_ns", "gc_pause_max_ns")
"""The generator columns that are shown; of several processes the worst."""
_WRONG: Final = (
    LimitOutcome.FALSE_ACCEPT,
    LimitOutcome.FALSE_REFUSAL,
    LimitOutcome.NEIGHBOUR_REFUSED,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveFigures:
    """One second of one process, or of several together.

    Attributes:
        clients: virtual users that are connected.
        offered: requests and sessions due in this second.
        sent: requests and sessions started in this second.
        received: events received in this second.
        errors: so far.
        missed: so far.
        heartbeats_missed: so far.
        limits_accepted: events of abusers that the gateway rightly accepted, so far.
        limits_refused: rightly refused, so far.
        limits_wrong: wrong decisions, so far.
        limits_undecided: decisions that cannot be judged, so far.
        push: push latencies of this second.
        share: the generator's own share of them, on a sample.
        nodes: push latencies of this second by node; empty where there is one gateway.
        generator: ``GENERATOR_COLUMNS`` of this second, without those not measured.
    """

    clients: int = 0
    offered: int = 0
    sent: int = 0
    received: int = 0
    errors: int = 0
    missed: int = 0
    heartbeats_missed: int = 0
    limits_accepted: int = 0
    limits_refused: int = 0
    limits_wrong: int = 0
    limits_undecided: int = 0
    push: Histogram = field(default_factory=Histogram)
    share: Histogram = field(default_factory=Histogram)
    nodes: Mapping[str, Histogram] = field(default_factory=dict)
    generator: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seen: SecondSeen, recorder: Recorder) -> Self:
        """Return the figures of one flushed second."""
        limits = _outcomes(recorder, Event.LIMIT)
        return cls(
            clients=seen.clients,
            offered=seen.counts["offered"],
            sent=seen.counts["sent"],
            received=seen.counts["received"],
            errors=recorder.totals["errors"],
            missed=recorder.totals["missed"],
            heartbeats_missed=_outcomes(recorder, Event.HEARTBEAT_MISSED).total(),
            limits_accepted=limits[LimitOutcome.ACCEPTED],
            limits_refused=limits[LimitOutcome.REFUSED],
            limits_wrong=sum(limits[outcome] for outcome in _WRONG),
            limits_undecided=limits[LimitOutcome.UNDECIDABLE],
            push=seen.histogram(Series.PUSH),
            share=seen.histogram(Series.GENERATOR_SHARE),
            nodes=seen.by_family(Series.NODE_PUSH),
            generator={
                name: value
                for name in GENERATOR_COLUMNS
                if isinstance(value := seen.generator.get(name), int)
            },
        )

    @classmethod
    def merged(cls, parts: Iterable[LiveFigures]) -> Self:
        """Return the figures of several processes together."""
        parts = list(parts)
        measured = {name for part in parts for name in part.generator}
        sums = {name: sum(getattr(part, name) for part in parts) for name in _COUNTS}
        return cls(
            **sums,
            push=Histogram.merged(part.push for part in parts),
            share=Histogram.merged(part.share for part in parts),
            nodes={
                name: Histogram.merged(p.nodes[name] for p in parts if name in p.nodes)
                for name in dict.fromkeys(name for part in parts for name in part.nodes)
            },
            generator={
                name: max(p.generator[name] for p in parts if name in p.generator)
                for name in sorted(measured)
            },
        )

    def packed(self) -> dict[str, Any]:
        """Return the figures as plain lists and numbers for a message."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: _sparse(getattr(self, name)) for name in _HISTOGRAMS},
            "nodes": {name: _sparse(push) for name, push in self.nodes.items()},
            "generator": dict(self.generator),
        }

    @classmethod
    def unpacked(cls, content: Mapping[str, Any]) -> Self:
        """Return the figures of a message."""
        whole = {name: _whole(content[name]) for name in _HISTOGRAMS}
        nodes = {name: _whole(sparse) for name, sparse in content["nodes"].items()}
        return cls(**{**content, **whole, "nodes": nodes})


_HISTOGRAMS: Final = ("push", "share")
_COUNTS: Final = tuple(
    one.name for one in fields(LiveFigures) if one.name not in (*_HISTOGRAMS, "nodes", "generator")
)


def _outcomes(recorder: Recorder, event: Event) -> Counter[str]:
    """Return how often an event occurred so far, by outcome."""
    found: Counter[str] = Counter()
    for (name, outcome), count in recorder.happened.items():
        if name == event:
            found[outcome] += count
    return found


def _sparse(histogram: Histogram) -> list[list[int]]:
    buckets = np.flatnonzero(histogram.counts)
    return [buckets.tolist(), histogram.counts[buckets].tolist()]


def _whole(sparse: list[list[int]]) -> Histogram:
    buckets, counts = sparse
    whole = np.zeros(BUCKETS, dtype=np.int64)
    whole[np.asarray(buckets, dtype=np.int64)] = counts
    return Histogram(whole)
