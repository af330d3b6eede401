"""``Security``: tells security events to the audit log, and to the watch for anomalies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.anomaly import Anomalies, Anomaly, Signal, SubjectKind
from gateway.audit import AuditEvent
from gateway.contract import ClientEvent
from gateway.limits.address_admission import AddressAdmission
from gateway.metrics import GatewayMetrics
from gateway.server.audit_log import AuditLog
from gateway.server.clock import Clock
from gateway.server.faults import FaultLog
from gateway.server.lines import LineWriter
from gateway.settings import Settings

_STANDARD_ERROR: Final = 2
_OF_EVENTS: Final[dict[str | None, Signal]] = {
    ClientEvent.SUBSCRIBE: Signal.SUBSCRIPTION,
    ClientEvent.UNSUBSCRIBE: Signal.SUBSCRIPTION,
    ClientEvent.GET_SUBSCRIPTIONS: Signal.SUBSCRIPTION,
    ClientEvent.PING: Signal.PING,
    ClientEvent.TOKEN_REFRESH: Signal.TOKEN,
    ClientEvent.LLM_CHAT_STREAM: Signal.MODEL,
    ClientEvent.LLM_STREAM_REQUEST: Signal.MODEL,
    ClientEvent.LLM_STREAM_CANCEL: Signal.MODEL,
}
_OF_SECURITY_EVENTS: Final[dict[AuditEvent, Signal]] = {
    AuditEvent.AUTHENTICATED: Signal.CONNECT,
    AuditEvent.AUTHENTICATION_REFUSED: Signal.REFUSAL,
    AuditEvent.TOKEN_REFUSED: Signal.REFUSAL,
    AuditEvent.SESSION_REFUSED: Signal.REFUSAL,
    AuditEvent.LIMIT_EXCEEDED: Signal.REFUSAL,
    AuditEvent.ENTITLEMENT_REFUSED: Signal.REFUSAL,
    AuditEvent.SCOPE_REFUSED: Signal.REFUSAL,
    AuditEvent.PROTOCOL_BREACH: Signal.ERROR,
}


class AnomalyWatch:
    """Counts what users and addresses do, and tells what is unlike their past.

    Args:
        clock: the clock.
        metrics: counts anomalies.
        faults: logs them.
        key_of: returns the key that an address is counted by, ``None`` if it is exempt.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: GatewayMetrics,
        faults: FaultLog,
        key_of: Callable[[str], str | None],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._faults = faults
        self._key_of = key_of
        self._users = Anomalies(SubjectKind.USER)
        self._addresses = Anomalies(SubjectKind.ADDRESS)
        self.on_anomaly: Callable[[Anomaly], None] = _ignore

    def __len__(self) -> int:
        return len(self._users) + len(self._addresses)

    def received(self, user: str, event: str | None, now_ns: int) -> None:
        """Count an event of a client.

        Args:
            user: its user.
            event: the event's name, ``None`` for an unknown one.
            now_ns: the time, monotonic ns.
        """
        found = self._users.note(user, _OF_EVENTS.get(event, Signal.ERROR), now_ns)
        if found is not None:
            self._tell(found)

    def happened(self, signal: Signal, user: str | None, address: str | None) -> None:
        """Count a signal of a user and of an address.

        Args:
            signal: the signal.
            user: the user, ``None`` if unknown.
            address: the address, ``None`` if unknown.
        """
        now_ns = self._clock.monotonic_ns()
        found = [] if user is None else [self._users.note(user, signal, now_ns)]
        key = None if address is None else self._key_of(address)
        if key is not None:
            found.append(self._addresses.note(key, signal, now_ns))
        for anomaly in found:
            if anomaly is not None:
                self._tell(anomaly)

    def sweep(self) -> None:
        """Forget the subjects that have been silent for long."""
        now_ns = self._clock.monotonic_ns()
        self._users.sweep(now_ns)
        self._addresses.sweep(now_ns)

    def _tell(self, anomaly: Anomaly) -> None:
        self._metrics.security.anomaly_found(anomaly.kind, anomaly.signal)
        self._faults.note(
            "anomaly",
            subject=anomaly.subject,
            kind=anomaly.kind.value,
            signal=anomaly.signal.name.lower(),
            score=round(anomaly.score, 2),
        )
        self.on_anomaly(anomaly)


class Security:
    """Where the gateway tells its security events.

    Args:
        audit: the audit log, ``None`` without one.
        watch: the watch for anomalies, ``None`` without one.
    """

    def __init__(self, audit: AuditLog | None, watch: AnomalyWatch | None) -> None:
        self.audit = audit
        self.watch = watch
        if watch is not None:
            watch.on_anomaly = self._note_anomaly
        self.close_user: Callable[[str], None] | None = None
        """Closes the clients of a user that behaves unlike its past; ``None`` to leave them."""

    def note(
        self,
        event: AuditEvent,
        *,
        user: str | None = None,
        address: str | None = None,
        **facts: object,
    ) -> None:
        """Note a security event. Never waits.

        Args:
            event: the event.
            user: the user, ``None`` if unknown.
            address: the client's address, ``None`` if unknown.
            **facts: what else the audit log tells, without tokens and payloads.
        """
        if self.audit is not None:
            self.audit.note(event, user=user, address=address, **facts)
        if self.watch is not None:
            signal = _OF_SECURITY_EVENTS.get(event)
            if signal is not None:
                self.watch.happened(signal, user, address)

    def failed(self, user: str, address: str) -> None:
        """Note an event of a client that was answered with an error."""
        if self.watch is not None:
            self.watch.happened(Signal.ERROR, user, address)

    def _note_anomaly(self, anomaly: Anomaly) -> None:
        if self.audit is not None:
            self.audit.note(
                AuditEvent.ANOMALY,
                **{anomaly.kind.value: anomaly.subject},
                signal=anomaly.signal.name.lower(),
                score=round(anomaly.score, 2),
            )
        if self.close_user is not None and anomaly.kind is SubjectKind.USER:
            self.close_user(anomaly.subject)


def make_security(
    settings: Settings,
    clock: Clock,
    metrics: GatewayMetrics,
    faults: FaultLog,
    addresses: AddressAdmission,
    standard_error: LineWriter | None,
) -> Security:
    """Return what the settings ask for: an audit log, a watch for anomalies, both or neither.

    Args:
        settings: the settings.
        clock: the clock.
        metrics: shows both.
        faults: logs anomalies.
        addresses: knows which addresses are exempt.
        standard_error: takes the audit log if it goes there; ``None`` for a writer of its own.
    """
    audit: AuditLog | None = None
    watch: AnomalyWatch | None = None
    if settings.audit_log is not None and settings.audit_key is not None:
        lines = standard_error or LineWriter(_STANDARD_ERROR)
        audit = AuditLog(settings.audit_log, settings.audit_key, lines.write)
        metrics.security.watch_audit(audit)
    if settings.anomaly != "off":
        watch = AnomalyWatch(clock, metrics, faults, addresses.key)
        metrics.security.watch_subjects(watch.__len__)
    return Security(audit, watch)


def _ignore(_anomaly: Anomaly) -> None:
    """Tell nobody."""
