"""``AdminRoutes``: the routes of the scope ``admin``: disconnect, revoke, drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from gateway.administration import parse_disconnection, parse_revocation, require_empty
from gateway.audit import AuditEvent
from gateway.auth import Identity
from gateway.brokers.redis.log_state import LogAway
from gateway.contract import DISCONNECT_PATH, DRAIN_PATH, REVOKE_PATH, Scope
from gateway.errors import InvalidPayload
from gateway.server.connections import Connections
from gateway.server.context import Context
from gateway.server.http_answers import Guard, body_of, json_answer, log_away, rejected
from gateway.server.log import get_logger

_MOST_BODY_BYTES: Final = 4_096
_Facts = dict[str, Any]
_Action = Callable[[bytes], Awaitable[tuple[_Facts, _Facts]]]
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
            answer, asked = await action(body)
        except InvalidPayload as error:
            self._note(request, identity, {"refused": error.code.value})
            return rejected(400, error.message, error.code)
        except LogAway:
            return log_away()
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

    async def _disconnect(self, body: bytes) -> tuple[_Facts, _Facts]:
        asked = parse_disconnection(body)
        nodes = self._context.nodes
        if nodes is not None:
            facts = {"userId": asked.user_id, "clientId": asked.client_id}
            closed = sum((await nodes.ask("disconnect", facts)).values())
        else:
            closed = self._connections.kick_all(asked.user_id, asked.client_id)
        return {"disconnected": closed}, {"user": asked.user_id, "client": asked.client_id}

    async def _revoke(self, body: bytes) -> tuple[_Facts, _Facts]:
        context = self._context
        unix_s = context.clock.unix_s()
        asked = parse_revocation(body, unix_s + context.settings.token_leeway_seconds)
        if context.nodes is not None:
            closed = await context.nodes.revoke(asked.user_id, asked.issued_before)
        else:
            closed = self._connections.revoke(asked.user_id, asked.issued_before)
        asked_for = {"user": asked.user_id, "issued_before": asked.issued_before}
        return {"disconnected": closed}, asked_for

    async def _begin_drain(self, body: bytes) -> tuple[_Facts, _Facts]:
        require_empty(body)
        self._drain()
        return {"clients": len(self._context.sessions)}, {}
