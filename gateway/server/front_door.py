"""The front door: who may open an Engine.IO session, decided before there is one.

A refusal here is an HTTP answer with ``Retry-After``, so that the back-off of a stock
client brings it back (contract: handshake).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.client_address import client_address
from gateway.limits.address_admission import AddressAdmission
from gateway.metrics import GatewayMetrics
from gateway.server.clock import Clock
from gateway.server.log import get_logger
from gateway.settings import Settings
from gateway.transport import HandshakeRefusal, RequestEnviron

_RETRY_WHILE_DRAINING_S: Final = 5
_TOO_MANY_REQUESTS: Final = 429

log = get_logger(__name__)


class FrontDoor:
    """Admission by address, and the answer while the gateway starts or drains.

    Args:
        settings: limits by address, trusted proxies.
        admission: the counts.
        clock: for the rolling minute.
        metrics: where refusals are counted.
        is_ready: whether new clients are welcome.
    """

    def __init__(
        self,
        settings: Settings,
        admission: AddressAdmission,
        clock: Clock,
        metrics: GatewayMetrics,
        is_ready: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._clock = clock
        self._metrics = metrics
        self._is_ready = is_ready

    def admit(self, environ: RequestEnviron) -> HandshakeRefusal | None:
        """Give a session its place, or say why not; the transport's ``admit``."""
        if not self._is_ready():
            return HandshakeRefusal(503, "not accepting new clients", _RETRY_WHILE_DRAINING_S)
        refusal = self._admission.admit(self.address_of(environ), self._clock.monotonic_ns())
        if refusal is None:
            return None
        self._metrics.address_refused(refusal.limit)
        log.warning("session refused", reason=refusal.limit, status=_TOO_MANY_REQUESTS)
        return HandshakeRefusal(_TOO_MANY_REQUESTS, refusal.limit, refusal.retry_after_s)

    def session_closed(self, environ: RequestEnviron) -> None:
        """Give the place of a session back."""
        self._admission.release(self.address_of(environ))

    def address_of(self, environ: RequestEnviron) -> str:
        """Return the client's address: the peer's, or what a trusted proxy says it is."""
        proxies = self._settings.trusted_proxies
        if not proxies:
            return client_address(environ.peer, None, proxies)
        return client_address(environ.peer, environ.head.header("x-forwarded-for"), proxies)
