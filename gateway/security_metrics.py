"""``SecurityMetrics``: the metrics of the audit log and of anomalies, without personal data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.anomaly import Signal, SubjectKind
from gateway.series import Followed

SECURITY_METRICS: Final[dict[str, str]] = {
    "tidegate_audit_lines_total": "Lines written to the audit log.",
    "tidegate_audit_lost_total": "Security events that the audit log could not keep.",
    "tidegate_audit_queued": "Security events that are not written to the audit log yet.",
    "tidegate_audit_last_number": "Number of the last line of the audit log.",
    "tidegate_anomalies_total": "Anomalies, by kind of subject and by signal.",
    "tidegate_anomaly_subjects": "Users and addresses whose behaviour is watched.",
}


class AuditState(Protocol):
    """What a scrape reads of an audit log."""

    written: int
    lost: int

    @property
    def queued(self) -> int:
        """Events that are not written yet."""

    @property
    def last_number(self) -> int:
        """The number of the last line."""


class SecurityMetrics:
    """Shows the state of the audit log, and counts anomalies.

    Args:
        registry: the Prometheus registry.
        followed: the list of counters that each scrape brings up to date.
    """

    def __init__(self, registry: CollectorRegistry, followed: list[Followed]) -> None:
        names, told = list(SECURITY_METRICS), SECURITY_METRICS
        self._lines = Counter(names[0], told[names[0]], registry=registry)
        self._lost = Counter(names[1], told[names[1]], registry=registry)
        self._queued = Gauge(names[2], told[names[2]], registry=registry)
        self._last_number = Gauge(names[3], told[names[3]], registry=registry)
        self._anomalies = Counter(names[4], told[names[4]], ("kind", "signal"), registry=registry)
        self._subjects = Gauge(names[5], told[names[5]], registry=registry)
        self._followed = followed
        for kind in SubjectKind:
            for signal in Signal:
                self._anomalies.labels(kind.value, signal.name.lower())

    def watch_audit(self, audit: AuditState) -> None:
        """Set the audit log whose state each scrape reads."""
        self._followed.append(Followed(self._lines, lambda: audit.written))
        self._followed.append(Followed(self._lost, lambda: audit.lost))
        self._queued.set_function(lambda: audit.queued)
        self._last_number.set_function(lambda: audit.last_number)

    def watch_subjects(self, subjects: Callable[[], float]) -> None:
        """Set the function that returns the number of watched subjects."""
        self._subjects.set_function(subjects)

    def anomaly_found(self, kind: SubjectKind, signal: Signal) -> None:
        """Count an anomaly.

        Args:
            kind: of its subject.
            signal: what it did.
        """
        self._anomalies.labels(kind.value, signal.name.lower()).inc()
