"""``AdminRoutes``: the routes of the scope ``admin``: disconnect, revoke, drain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from gateway.administration import parse_disconnection, parse_revocation, require_empty
from gateway.audit import AuditEvent
from gateway.auth import Identity
from gateway.contract import DISCONNECT_PATH, DRAIN_PATH, REVOKE_PATH, Scope
from gateway.errors import InvalidPayload
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.http_answers import Guard, body_of, json_answer, rejected
from gateway.server.log import get_logger

_MOST_BODY_BYTES: Final = 4_096
_Facts = dict[str, Any]
_Action = Callable[[bytes], tuple[_Facts, _Facts]]
"""Acts on a body, and returns the answer and what else the log tells."""

log = get_logger(__name__)


class AdminRoutes:
    """Answers the requests of an administrator.

    Args:
        context: the parts of the gateway.
        connections: closes clients.
        guard: admits requests by their scope.
        drain: begins to drain the gateway.
    """

    def __init__(
        self,
        context: Context,
        connections: Connections,
        guard: Guard,
        drain: Callable[[], None],
    ) -> None:
        self._context = context
        self._connections = connections
        self._guard = guard
        self._drain = drain

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        app.router.add_post(DISCONNECT_PATH, self.disconnect)
        app.router.add_post(REVOKE_PATH, self.revoke)
        app.router.add_post(DRAIN_PATH, self.drain)

    async def disconnect(self, request: web.Request) -> web.StreamResponse:
        """Disconnect a client or all clients of a user: ``{disconnected, timestamp}``."""
        return await self._perform(request, self._disconnect)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Refuse a user's earlier tokens and close their connections: as ``disconnect``."""
        return await self._perform(request, self._revoke)

    async def drain(self, request: web.Request) -> web.StreamResponse:
        """Begin to drain the gateway, if it is not draining: ``{clients, timestamp}``."""
        return await self._perform(request, self._begin_drain, status=202)

    async def _perform(
        self, request: web.Request, action: _Action, status: int = 200
    ) -> web.StreamResponse:
        identity = await self._guard.admit(request, Scope.ADMIN)
        if isinstance(identity, web.Response):
            return identity
        body = await body_of(request, _MOST_BODY_BYTES)
        if not isinstance(body, bytes):
            return body
        try:
            answer, asked = action(body)
        except InvalidPayload as error:
            self._note(request, identity, {"refused": error.code.value})
            return rejected(400, error.message, error.code)
        log.info(
            "administered",
            path=request.path,
            administrator=identity.user_id,
            **asked,
            **answer,
        )
        self._note(request, identity, asked | answer)
        answer["timestamp"] = self._context.broadcaster.timestamp()
        return json_answer(answer, status=status)

    def _note(self, request: web.Request, identity: Identity, facts: _Facts) -> None:
        self._context.security.note(
            AuditEvent.ADMINISTERED,
            address=self._guard.address_of(request),
            administrator=identity.user_id,
            path=request.path,
            **facts,
        )

    def _disconnect(self, body: bytes) -> tuple[_Facts, _Facts]:
        asked = parse_disconnection(body)
        if asked.user_id is None:
            sids: tuple[str, ...] = (asked.client_id or "",)
        else:
            sids = self._context.user_connections.of(asked.user_id)
        closed = [self._connections.kick(sid, reason="kicked") for sid in sids]
        return {"disconnected": sum(closed)}, {"user": asked.user_id, "client": asked.client_id}

    def _revoke(self, body: bytes) -> tuple[_Facts, _Facts]:
        context = self._context
        unix_s = context.clock.unix_s()
        asked = parse_revocation(body, unix_s + context.settings.token_leeway_seconds)
        context.revocations.revoke(
            asked.user_id, asked.issued_before, unix_s, context.clock.monotonic_ns()
        )
        closed = self._connections.close_revoked(asked.user_id)
        asked_for = {"user": asked.user_id, "issued_before": asked.issued_before}
        return {"disconnected": closed}, asked_for

    def _begin_drain(self, body: bytes) -> tuple[_Facts, _Facts]:
        require_empty(body)
        self._drain()
        return {"clients": len(self._context.sessions)}, {}
