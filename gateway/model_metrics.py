"""``ModelMetrics``: the metrics of model streams, without any user or session."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.contract import ModelProvider


class StreamEnd(StrEnum):
    """How a model stream ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    ERROR = "error"
    LEFT = "left"  # its client has left


MODEL_METRICS: Final[dict[str, str]] = {
    "tidegate_model_streams": "Model streams that are running.",
    "tidegate_model_streams_started_total": "Model streams that were started, by provider.",
    "tidegate_model_streams_ended_total": "Model streams that ended, by outcome.",
    "tidegate_model_first_token_seconds": "Time from a request to the first token of its answer.",
}
_FIRST_TOKEN_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class ModelMetrics:
    """Counts and times model streams.

    Args:
        registry: the Prometheus registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        names = list(MODEL_METRICS)
        self._running = Gauge(names[0], MODEL_METRICS[names[0]], registry=registry)
        self._started = Counter(names[1], MODEL_METRICS[names[1]], ("provider",), registry=registry)
        self._ended = Counter(names[2], MODEL_METRICS[names[2]], ("outcome",), registry=registry)
        self._first_token_s = Histogram(
            names[3], MODEL_METRICS[names[3]], buckets=_FIRST_TOKEN_BUCKETS_S, registry=registry
        )
        for provider in ModelProvider:
            self._started.labels(provider.value)
        for outcome in StreamEnd:
            self._ended.labels(outcome.value)

    def started(self, provider: ModelProvider) -> None:
        """Count a stream that starts."""
        self._running.inc()
        self._started.labels(provider.value).inc()

    def ended(self, outcome: StreamEnd) -> None:
        """Count a stream that ends."""
        self._running.dec()
        self._ended.labels(outcome.value).inc()

    def first_token(self, seconds: float) -> None:
        """Note the time from a request to the first token, s."""
        self._first_token_s.observe(seconds)
