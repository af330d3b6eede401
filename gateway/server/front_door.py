"""``FrontDoor``: admits or refuses a request before it gets an Engine.IO session.

A refused request gets an HTTP answer with ``Retry-After``, so a stock client tries again by
itself (contract: handshake).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.audit import AuditEvent
from gateway.client_address import client_address, peer_address
from gateway.limits.address_admission import AddressAdmission
from gateway.metrics import GatewayMetrics
from gateway.server.clock import Clock
from gateway.server.faults import FaultLog
from gateway.server.security import Security
from gateway.settings import Settings
from gateway.transport import HandshakeRefusal, RequestEnviron

_RETRY_WHILE_DRAINING_S: Final = 5
_TOO_MANY_REQUESTS: Final = 429


class FrontDoor:
    """Admits requests by address, unless the gateway is starting or draining.

    Args:
        settings: the settings, for the trusted proxies.
        admission: the limits by address.
        clock: the clock.
        metrics: counts refusals.
        faults: logs refusals.
        security: notes refusals.
        is_ready: returns whether the gateway accepts new clients.
    """

    def __init__(
        self,
        settings: Settings,
        admission: AddressAdmission,
        clock: Clock,
        metrics: GatewayMetrics,
        faults: FaultLog,
        security: Security,
        is_ready: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._clock = clock
        self._metrics = metrics
        self._faults = faults
        self._security = security
        self._is_ready = is_ready

    def admit(self, environ: RequestEnviron) -> HandshakeRefusal | None:
        """Admit a request, or return its refusal; the transport's ``admit``."""
        if not self._is_ready():
            return HandshakeRefusal(503, "not accepting new clients", _RETRY_WHILE_DRAINING_S)
        address = self.address_of(environ)
        refusal = self._admission.admit(address, self._clock.monotonic_ns())
        if refusal is None:
            return None
        self._metrics.address_refused(refusal.limit)
        self._faults.note(
            "session refused", address=address, reason=refusal.limit, status=_TOO_MANY_REQUESTS
        )
        self._security.note(AuditEvent.SESSION_REFUSED, address=address, reason=refusal.limit.value)
        return HandshakeRefusal(_TOO_MANY_REQUESTS, refusal.limit, refusal.retry_after_s)

    def session_closed(self, environ: RequestEnviron) -> None:
        """Release the place of a session; the transport's ``on_session_close``."""
        self._admission.release(self.address_of(environ))

    def address_of(self, environ: RequestEnviron) -> str:
        """Return the client's address: the peer's, or the one that a trusted proxy names."""
        proxies = self._settings.trusted_proxies
        if not proxies:
            return peer_address(environ.peer)
        return client_address(environ.peer, environ.head.header("x-forwarded-for"), proxies)
