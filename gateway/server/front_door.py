"""The front door: who may open an Engine.IO session, decided before there is one.

A refusal here is an HTTP answer with ``Retry-After``, so that the back-off of a stock
client brings it back (contract: handshake).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.admission import AddressAdmission, client_address
from gateway.contract import SOCKETIO_PATH
from gateway.metrics import GatewayMetrics
from gateway.server.clock import Clock
from gateway.server.log import get_logger
from gateway.settings import Settings

_ADDRESS: Final = web.RequestKey("address", str)
_OPENED: Final = web.RequestKey("opened", bool)
_RETRY_WHILE_DRAINING_S: Final = 5

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

    @property
    def middleware(self) -> Middleware:
        """The aiohttp middleware that stands before every route."""

        @web.middleware
        async def stand_at_the_door(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.rstrip("/") == SOCKETIO_PATH.rstrip("/") and _asks_for_session(request):
                return await self._admit(request, handler)
            return await handler(request)

        return stand_at_the_door

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ready():
            return _refusal(503, _RETRY_WHILE_DRAINING_S, "not accepting new clients")
        address = client_address(
            request.remote or "",
            request.headers.get("X-Forwarded-For"),
            self._settings.trusted_proxies,
        )
        refusal = self._admission.admit(address, self._clock.monotonic_ns())
        if refusal is not None:
            self._metrics.address_refused(refusal.reason)
            log.warning("session refused", reason=refusal.reason, status=refusal.status)
            return _refusal(refusal.status, math.ceil(refusal.retry_after_s), refusal.reason)
        request[_ADDRESS] = address
        try:
            return await handler(request)
        finally:
            if _OPENED not in request:  # it never became a session: bad version, origin, …
                self._admission.release(address)

    def session_opened(self, environ: dict[str, Any]) -> None:
        """Note that an admitted request became a session: its place is held until it closes."""
        environ["aiohttp.request"][_OPENED] = True

    def session_closed(self, environ: dict[str, Any]) -> None:
        """Give the place of a session back."""
        self._admission.release(address_of(environ))


def address_of(environ: dict[str, Any]) -> str:
    """Return the client's address that the front door found for this session."""
    address: str = environ["aiohttp.request"][_ADDRESS]
    return address


def _asks_for_session(request: web.Request) -> bool:
    return request.method == "GET" and "sid" not in request.query


def _refusal(status: int, retry_after_s: int, reason: str) -> web.Response:
    return web.json_response(
        {"message": reason}, status=status, headers={"Retry-After": str(retry_after_s)}
    )
