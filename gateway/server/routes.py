"""``Routes``: the HTTP routes beside Socket.IO: health, metrics, publish, streams, statistics."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from gateway import strict_json
from gateway.auth import Authenticator, Identity
from gateway.contract import (
    API_PREFIX,
    HEALTH_PATH,
    MAX_PUBLISH_BYTES,
    METRICS_PATH,
    PUBLISH_PATH,
    STREAMS_PATH,
    ErrorCode,
    Scope,
)
from gateway.entitlements import require_scope
from gateway.errors import AuthenticationError, PublicationRejected, WireError
from gateway.publication import parse_publications
from gateway.server.context import Context
from gateway.session import Session

_Handler = Callable[[web.Request], Awaitable[web.Response]]
_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_BODY_S: Final = 10.0
_RETRY_WHILE_DRAINING_S: Final = 5
_METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Routes:
    """Answers HTTP requests.

    Args:
        context: the parts of the gateway.
        authenticator: verifies bearer tokens.
        is_ready: returns whether the gateway accepts new clients.
    """

    def __init__(
        self, context: Context, authenticator: Authenticator, is_ready: Callable[[], bool]
    ) -> None:
        self._context = context
        self._authenticator = authenticator
        self._is_ready = is_ready

    def add_to(self, app: web.Application) -> None:
        """Add all routes. The health routes answer under ``/api/v1`` too."""
        for prefix in ("", API_PREFIX):
            app.router.add_get(f"{prefix}{HEALTH_PATH}/live", self.live)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/ready", self.ready)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/websocket", self.websocket)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/websocket/stats", self.stats)
        app.router.add_get(METRICS_PATH, self.metrics)
        app.router.add_post(PUBLISH_PATH, self.publish)
        app.router.add_get(STREAMS_PATH, self.streams)

    async def live(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return _json({"status": "ok", "timestamp": self._context.broadcaster.timestamp()})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer whether the gateway accepts new clients: 503 while starting or draining."""
        is_ready = self._is_ready()
        return _json(
            {
                "status": "ready" if is_ready else "not ready",
                "timestamp": self._context.broadcaster.timestamp(),
            },
            status=200 if is_ready else 503,
        )

    async def websocket(self, _request: web.Request) -> web.Response:
        """Answer with the state of the Socket.IO side, without personal data."""
        return _json(
            {
                "status": "ok" if self._is_ready() else "draining",
                "connectedClients": len(self._context.sessions),
                "timestamp": self._context.broadcaster.timestamp(),
            }
        )

    async def stats(self, request: web.Request) -> web.Response:
        """Answer with the clients and their subscriptions; needs the scope ``stats``."""
        refusal = self._refuse_without(request, Scope.STATS)
        if refusal is not None:
            return refusal
        try:
            limit = int(request.query.get("limit", _PAGE))
        except ValueError:
            limit = 0
        if not 1 <= limit <= _LARGEST_PAGE:
            return _error(
                400, f"limit must be a whole number from 1 to {_LARGEST_PAGE}", "INVALID_PAYLOAD"
            )
        return _json(self.statistics(limit, request.query.get("cursor")))

    def statistics(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """Return a page of ``{connectedClients, totalSubscriptions, clients, next?}``."""
        context = self._context
        page, following = context.sessions.page(limit, cursor)
        answer: dict[str, Any] = {
            "connectedClients": len(context.sessions),
            "totalSubscriptions": context.subscriptions.total(),
            "clients": [self._client(session) for session in page],
        }
        if following is not None:
            answer["next"] = following
        return answer

    def _client(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.sid,
            "userId": session.identity.user_id,
            "email": session.identity.email,
            "subscriptions": list(self._context.subscriptions.of(session.sid)),
        }

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with the metrics in Prometheus's text format."""
        expected = self._context.settings.metrics_token
        if expected is not None:
            given = _bearer(request) or ""
            if not secrets.compare_digest(given.encode(), expected.encode()):
                return _error(401, "The metrics need their bearer token", ErrorCode.AUTH_FAILED)
        return web.Response(
            body=self._context.metrics.expose(), headers={"Content-Type": _METRICS_CONTENT_TYPE}
        )

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one item or a list, either all items or none."""
        refusal = self._refuse_without(request, Scope.PUBLISH)
        if refusal is not None:
            return refusal
        if not self._is_ready():
            return _rejected(
                503,
                "The gateway is draining",
                ErrorCode.SERVER_DRAINING,
                headers={"Retry-After": str(_RETRY_WHILE_DRAINING_S)},
                retry_after_s=_RETRY_WHILE_DRAINING_S,
            )
        try:
            async with asyncio.timeout(_BODY_S):
                body = await request.read()
        except TimeoutError:
            return _rejected(408, f"The body took longer than {_BODY_S:g} s", "INVALID_PAYLOAD")
        except web.HTTPRequestEntityTooLarge:
            return _rejected(
                413, f"The body is larger than {MAX_PUBLISH_BYTES} bytes", "INVALID_PAYLOAD"
            )
        try:
            receipts = self._context.broadcaster.publish(parse_publications(body))
        except PublicationRejected as error:
            headers = {}
            answer: dict[str, Any] = {"errors": error.errors}
            if error.retry_after_s is not None:
                headers["Retry-After"] = str(math.ceil(error.retry_after_s))
                answer["retryAfter"] = round(error.retry_after_s * 1_000)
            return _json(answer, status=error.status, headers=headers)
        return _json({"accepted": len(receipts), "published": receipts}, status=202)

    async def streams(self, request: web.Request) -> web.Response:
        """Answer with the last number of every stream."""
        refusal = self._refuse_without(request, Scope.PUBLISH)
        if refusal is not None:
            return refusal
        context = self._context
        return _json({"epoch": context.streams.epoch, "streams": context.streams.snapshot()})

    def _refuse_without(self, request: web.Request, scope: Scope) -> web.Response | None:
        token = _bearer(request)
        if token is None:
            return _rejected(
                401,
                f"A bearer token with the scope {scope} is needed",
                ErrorCode.AUTH_MISSING,
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            identity: Identity = self._authenticator.verify(token, self._context.clock.unix_s())
            require_scope(identity, scope)
        except AuthenticationError as error:
            self._context.metrics.authentication_failed(error.code)
            return _rejected(401, error.message, error.code, headers={"WWW-Authenticate": "Bearer"})
        except WireError as error:
            return _rejected(403, error.message, error.code)
        return None


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _json(
    payload: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        text=strict_json.dumps(payload),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _error(status: int, message: str, code: str) -> web.Response:
    return _json({"message": message, "code": code}, status=status)


def _rejected(
    status: int,
    message: str,
    code: str,
    *,
    headers: dict[str, str] | None = None,
    retry_after_s: int | None = None,
) -> web.Response:
    answer: dict[str, Any] = {"errors": [{"index": None, "message": message, "code": code}]}
    if retry_after_s is not None:
        answer["retryAfter"] = 1_000 * retry_after_s
    return _json(answer, status=status, headers=headers)
