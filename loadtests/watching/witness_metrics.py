"""``WitnessMetrics``: what the witness exports, and the figures of one round."""

from __future__ import annotations

import math
from collections import Counter as Tally
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from loadtests.oracles.membership import StreamCounts
from loadtests.watching import figures
from loadtests.watching.figures import WITNESS_METRICS, DeliveryOutcome, Finding

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_SHOWN: Final = {"push": figures.PUSH, "heartbeat_gap": figures.HEARTBEAT_GAP}
_TIMES: Final = (
    figures.PUSH,
    figures.PUSH_SERVICE,
    figures.PUBLISH,
    figures.CONNECT,
    figures.ACK,
    figures.HEARTBEAT_GAP,
    figures.HEARTBEAT_ERROR,
)


class WitnessMetrics:
    """Counts and times what the witness sees. Every series exists from the start, at zero.

    Attributes:
        findings: broken promises since the start, by finding.
        errors: failures since the start.
        reconnects: lost connections since the start.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.findings: Tally[Finding] = Tally()
        self.errors = self.reconnects = 0
        self._round_ns: dict[str, list[int]] = {name: [] for name in _SHOWN.values()}
        self._clients = self._gauge(figures.CLIENTS)
        self._connected = self._gauge(figures.CONNECTED)
        self._rounds = self._counter(figures.ROUNDS)
        self._deliveries = self._counter(figures.DELIVERIES, "outcome")
        self._findings = self._counter(figures.FINDINGS, "finding")
        self._errors = self._counter(figures.ERRORS)
        self._reconnects = self._counter(figures.RECONNECTS)
        self._times = {
            name: Histogram(
                name, WITNESS_METRICS[name], buckets=figures.BOUNDS_S, registry=self.registry
            )
            for name in _TIMES
        }
        for outcome in DeliveryOutcome:
            self._deliveries.labels(outcome.value)
        for finding in Finding:
            self._findings.labels(finding.value)

    def connected(self, clients: int, connected: int) -> None:
        """Set how many clients there are, and how many are connected."""
        self._clients.set(clients)
        self._connected.set(connected)

    def time(self, name: str, span_ns: int) -> None:
        """Note a time. A negative one, from two clocks, counts as zero.

        Args:
            name: of the histogram.
            span_ns: the time, ns.
        """
        self._times[name].observe(max(0, span_ns) / _NS_PER_S)
        held = self._round_ns.get(name)
        if held is not None:
            held.append(span_ns)

    def delivered(self, counts: StreamCounts) -> None:
        """Count deliveries by their outcome. One that was lost and comes late stays lost too."""
        for outcome in DeliveryOutcome:
            self._deliveries.labels(outcome.value).inc(max(0, getattr(counts, outcome.value)))

    def found(self, finding: Finding, count: int = 1) -> None:
        """Count a broken promise."""
        self.findings[finding] += count
        self._findings.labels(finding.value).inc(count)

    def failed(self) -> None:
        """Count a failed connection, request or publication."""
        self.errors += 1
        self._errors.inc()

    def reconnected(self) -> None:
        """Count a connection that ended unasked."""
        self.reconnects += 1
        self._reconnects.inc()

    def end_round(self) -> dict[str, Any]:
        """Count a round, and return the quantiles of its times in ms."""
        self._rounds.inc()
        told = {}
        for said, name in _SHOWN.items():
            values, self._round_ns[name] = sorted(self._round_ns[name]), []
            told[f"{said}_ms"] = {
                f"p{rank}": round(_nearest_rank(values, rank / 100) / _NS_PER_MS, 3)
                for rank in (50, 99)
                if values
            }
        return told

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that a scraper prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, WITNESS_METRICS[name], registry=self.registry)

    def _counter(self, name: str, *labels: str) -> Counter:
        return Counter(name, WITNESS_METRICS[name], labels, registry=self.registry)


def _nearest_rank(values: list[int], rank: float) -> int:
    return values[max(0, math.ceil(rank * len(values)) - 1)]
