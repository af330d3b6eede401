"""``Routes``: the HTTP routes beside Socket.IO: health, metrics, publish, streams, statistics."""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from gateway import strict_json
from gateway.brokers.redis.log_state import LogAway
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
from gateway.errors import PublicationRejected
from gateway.publication import parse_publications
from gateway.server.context import Context
from gateway.server.http_answers import Guard, bearer, body_of, json_answer, log_away, rejected
from gateway.server.statistics import statistics, statistics_of_all
from gateway.server.tracing import Tracing

Expose = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the metrics for a header ``Accept``, and their content type."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_STREAMS_A_PART: Final = 1_000
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_RETRY_WHILE_DRAINING_S: Final = 5


class Routes:
    """Answers HTTP requests.

    Args:
        context: the parts of the gateway.
        guard: admits requests by the scope of their bearer token.
        is_ready: returns whether the gateway accepts new clients.
        expose: returns the metrics.
        tracing: traces publish requests; None traces none.
    """

    def __init__(
        self,
        context: Context,
        guard: Guard,
        is_ready: Callable[[], bool],
        expose: Expose,
        tracing: Tracing | None = None,
    ) -> None:
        self._expose = expose
        self._context = context
        self._guard = guard
        self._is_ready = is_ready
        self._publish_handler = (
            self.publish
            if tracing is None
            else tracing.traced(self.publish, context.transport.fanout.when_sent)
        )

    def add_to(self, app: web.Application) -> None:
        """Add all routes. The health routes answer under ``/api/v1`` too."""
        for prefix in ("", API_PREFIX):
            app.router.add_get(f"{prefix}{HEALTH_PATH}/live", self.live)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/ready", self.ready)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/websocket", self.websocket)
            app.router.add_get(f"{prefix}{HEALTH_PATH}/websocket/stats", self.stats)
        app.router.add_get(METRICS_PATH, self.metrics)
        app.router.add_post(PUBLISH_PATH, self._publish_handler)
        app.router.add_get(STREAMS_PATH, self.streams)

    async def live(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return json_answer({"status": "ok", "timestamp": self._context.broadcaster.timestamp()})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer whether the gateway accepts new clients: 503 while starting or draining."""
        is_ready = self._is_ready()
        return json_answer(
            {
                "status": "ready" if is_ready else "not ready",
                "timestamp": self._context.broadcaster.timestamp(),
            },
            status=200 if is_ready else 503,
        )

    async def websocket(self, _request: web.Request) -> web.Response:
        """Answer with the state of the Socket.IO side, without personal data."""
        return json_answer(
            {
                "status": "ok" if self._is_ready() else "draining",
                "connectedClients": self._context.client_count(),
                "timestamp": self._context.broadcaster.timestamp(),
            }
        )

    async def stats(self, request: web.Request) -> web.Response:
        """Answer with the clients and their subscriptions; needs the scope ``stats``."""
        identity = await self._guard.admit(request, Scope.STATS)
        if isinstance(identity, web.Response):
            return identity
        asked = request.query.get("limit", str(_PAGE))
        limit = int(asked) if _WHOLE_NUMBER.fullmatch(asked) else 0
        if not 1 <= limit <= _LARGEST_PAGE:
            return _error(
                400, f"limit must be a whole number from 1 to {_LARGEST_PAGE}", "INVALID_PAYLOAD"
            )
        context, cursor = self._context, request.query.get("cursor")
        if context.nodes is None:
            return json_answer(statistics(context, limit, cursor))
        try:
            return json_answer(await statistics_of_all(context, context.nodes, limit, cursor))
        except LogAway:
            return log_away()

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with the metrics, in the format that the scraper asks for."""
        expected = self._context.settings.metrics_token
        if expected is not None:
            given = (bearer(request) or "").encode("utf-8", "surrogateescape")
            if not secrets.compare_digest(given, expected.encode()):
                self._guard.note_refused(request, ErrorCode.AUTH_FAILED)
                return _error(401, "The metrics need their bearer token", ErrorCode.AUTH_FAILED)
        body, content_type = await self._expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Publish one item or a list, either all items or none."""
        identity = await self._guard.admit(request, Scope.PUBLISH)
        if isinstance(identity, web.Response):
            return identity
        nodes = self._context.nodes
        if nodes is not None and not nodes.is_ready and not self._context.is_draining:
            return log_away()
        if not self._is_ready():
            return rejected(
                503,
                "The gateway is draining",
                ErrorCode.SERVER_DRAINING,
                headers={"Retry-After": str(_RETRY_WHILE_DRAINING_S)},
                retry_after_s=_RETRY_WHILE_DRAINING_S,
            )
        body = await body_of(request, MAX_PUBLISH_BYTES)
        if not isinstance(body, bytes):
            return body
        try:
            receipts = self._context.broadcaster.publish(parse_publications(body))
            if not isinstance(receipts, list):
                receipts = await receipts
        except PublicationRejected as error:
            headers = {}
            answer: dict[str, Any] = {"errors": error.errors}
            if error.retry_after_s is not None:
                headers["Retry-After"] = str(math.ceil(error.retry_after_s))
                answer["retryAfter"] = round(error.retry_after_s * 1_000)
            return json_answer(answer, status=error.status, headers=headers)
        return json_answer({"accepted": len(receipts), "published": receipts}, status=202)

    async def streams(self, request: web.Request) -> web.StreamResponse:
        """Answer with the last number of every stream, in parts: there may be many."""
        identity = await self._guard.admit(request, Scope.PUBLISH)
        if isinstance(identity, web.Response):
            return identity
        streams = self._context.streams
        answer = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        await answer.prepare(request)
        part = f'{{"epoch":{strict_json.dumps(streams.epoch)},"streams":{{'
        for page in streams.pages(_STREAMS_A_PART):
            await answer.write((part + strict_json.dumps(page)[1:-1]).encode())
            part = ","
            await asyncio.sleep(0)  # a write waits for a slow reader alone
        await answer.write(f"{part.removeprefix(',')}}}}}".encode())
        return answer


def _error(status: int, message: str, code: str) -> web.Response:
    return json_answer({"message": message, "code": code}, status=status)
