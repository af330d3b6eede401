"""Which series of Prometheus shows a metric of the catalogue, or why none does.

The witness (``tidegate watch``) sees what a client sees; the gateway tells the rest. A metric of
the load generator, or one that needs a load of its own, has no series in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.watching import figures
from loadtests.watching.figures import DeliveryOutcome, Finding
from scenarios.catalogue import METRICS

GATEWAY_LAG_BOUNDS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15,
    0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
FIRST_TOKEN_BOUNDS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
LEAST_MESSAGES_PER_S: Final = 1_000
"""Below it, the gateway's periodic work would count as the cost of messages."""


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram of times in seconds, with the upper bounds of its buckets.

    Attributes:
        name: of the histogram, without ``_bucket``.
        bounds_s: upper bounds of its buckets.
        maximum: a gauge of its longest recent value; empty without one.
    """

    name: str
    bounds_s: tuple[float, ...] = figures.BOUNDS_S
    maximum: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter, or some of its series.

    Attributes:
        name: of the counter.
        labels: matchers, such as ``outcome="lost"``.
    """

    name: str
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression in the metric's unit: ns or B."""

    expression: str


Series = Times | Counted | Computed


def _found(finding: Finding) -> Counted:
    return Counted(figures.FINDINGS, f'finding="{finding}"')


def _delivered(outcome: DeliveryOutcome) -> Counted:
    return Counted(figures.DELIVERIES, f'outcome="{outcome}"')


GATEWAY_JOB: Final = "tidegate"
WITNESS_JOB: Final = "tidegate-witness"
"""Names of the scrape jobs in ``docs/deploy/prometheus.yml``."""
_SENT: Final = "sum by (instance) (rate(tidegate_messages_out_total[5m]))"
SERIES: Final[Mapping[str, Series]] = {
    "push": Times(figures.PUSH),
    "push_service": Times(figures.PUSH_SERVICE),
    "publish_ack": Times(figures.PUBLISH),
    "connect": Times(figures.CONNECT),
    "ack": Times(figures.ACK),
    "ack_service": Times(figures.ACK),
    "heartbeat.gap": Times(figures.HEARTBEAT_GAP),
    "heartbeat.error": Times(figures.HEARTBEAT_ERROR),
    "loop_lag": Times(
        "tidegate_loop_lag_seconds", GATEWAY_LAG_BOUNDS_S, "tidegate_loop_lag_max_seconds"
    ),
    "llm.first_token": Times("tidegate_model_first_token_seconds", FIRST_TOKEN_BOUNDS_S),
    "delivery.lost": _delivered(DeliveryOutcome.LOST),
    "delivery.duplicate": _delivered(DeliveryOutcome.DUPLICATE),
    "delivery.reordered": _delivered(DeliveryOutcome.REORDERED),
    "delivery.late": _delivered(DeliveryOutcome.LATE),
    "delivery.leaked": _delivered(DeliveryOutcome.LEAKED),
    "delivery.conflated": _delivered(DeliveryOutcome.CONFLATED),
    "delivery.false_conflations": _found(Finding.FALSE_CONFLATION),
    "delivery.altered": _found(Finding.ALTERED),
    "delivery.over_rate": _found(Finding.OVER_RATE),
    "isolation.unsubscribed": _found(Finding.UNSUBSCRIBED),
    "isolation.foreign": _found(Finding.FOREIGN),
    "isolation.private_fields": _found(Finding.PRIVATE_FIELD),
    "snapshot.wrong": _found(Finding.SNAPSHOT),
    "answers.mismatched": _found(Finding.ANSWER),
    "heartbeat.missed": _found(Finding.HEARTBEAT_MISSED),
    "heartbeat.extra": _found(Finding.HEARTBEAT_EXTRA),
    "heartbeat.false_evictions": Counted(figures.RECONNECTS),
    "return.lost": _found(Finding.RETURN_LOST),
    "return.doubled": _found(Finding.RETURN_DOUBLED),
    "disconnect.stranded": _found(Finding.STRANDED),
    "disconnect.left_open": _found(Finding.LEFT_OPEN),
    "dead_peer.late": _found(Finding.PEER_UNNOTICED),
    "auth.false_accepts": _found(Finding.TOKEN_ACCEPTED),
    "auth.overstayed": _found(Finding.TOKEN_OVERSTAYED),
    "errors": Counted(figures.ERRORS),
    "cost.per_message": Computed(
        f'1e9 * sum by (instance) (rate(process_cpu_seconds_total{{job="{GATEWAY_JOB}"}}[5m])) '
        f"/ ({_SENT} > {LEAST_MESSAGES_PER_S})"
    ),
}
"""By metric of the catalogue: the series that shows it."""

_REASONS: Final[Mapping[str, tuple[str, ...]]] = {
    "it belongs to the load generator, not to the gateway": (
        "publish_delay", "schedule_delay", "session_delay", "missed",
    ),
    "it needs many clients at one time": (
        "fairness.", "fanout.skew", "session", "storm.", "staleness", "delivery.owed",
        "delivery.received",
    ),
    "it needs stamps of the kernel or of one clock, which only a run takes": (
        "accept", "kernel", "read", "gauges.age",
    ),
    "it needs clients that break the rules": (
        "rate_limit.", "dead_peer.", "auth.",
    ),
    "it needs the machine's counters, which only a run reads": ("cost.instructions",),
    "it needs a command to the gateway": ("drain.",),
    "it is the slope over several numbers of clients": ("memory.",),
    "it needs clients whose tokens name entitlements": ("isolation.unentitled",),
    "it needs the paper exchange": ("orders.",),
    "it needs requests to a model": ("llm.",),
    "it needs a returning user with a known number of missed events": ("return.",),
}  # fmt: skip


def why_absent(metric: str) -> str:
    """Return why a metric has no series in production.

    Raises:
        KeyError: it has one, or it is no metric of the catalogue.
    """
    if metric in METRICS and metric not in SERIES:
        for reason, names in _REASONS.items():
            if any(
                metric == name or (name[-1] == "." and metric.startswith(name)) for name in names
            ):
                return reason
    raise KeyError(metric)
