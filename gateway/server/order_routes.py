"""``OrderRoutes``: the routes of the paper exchange, for programs and for pages of CLIENT_URL."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from gateway.auth import Identity
from gateway.contract import ORDERS_PATH, ErrorCode, OrderStatus, Text, symbol_room
from gateway.entitlements import require_rooms
from gateway.errors import InvalidOrder, NotAllowed
from gateway.limits.quota import Quota
from gateway.limits.user_windows import UserWindows
from gateway.server.context import Context
from gateway.server.http_answers import Guard, body_of, json_answer, rejected
from gateway.sources.exchange.order import PaperOrder
from gateway.sources.exchange.request import parse_order
from gateway.sources.exchange_source import ExchangeSource

_MOST_BODY_BYTES: Final = 4_096
_MINUTE_S: Final = 60.0
_NS_PER_S: Final = 1_000_000_000
_RETRY_S: Final = 1
_METHODS: Final = "GET, POST, DELETE"
_PREFLIGHT_S: Final = 600

_Answer = Callable[[web.Request, Identity], Awaitable[web.StreamResponse]]


class OrderRoutes:
    """Answers a user's requests for orders.

    Args:
        context: the parts of the gateway.
        guard: admits users.
        exchange: places the orders.
    """

    def __init__(self, context: Context, guard: Guard, exchange: ExchangeSource) -> None:
        self._context = context
        self._guard = guard
        self._exchange = exchange
        quota = Quota.of(context.settings.exchange_requests_per_minute, _MINUTE_S)
        self._windows = UserWindows(quota, quota.window_ns)
        self._swept_ns = 0

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        app.router.add_post(ORDERS_PATH, self.place)
        app.router.add_get(ORDERS_PATH, self.statement)
        app.router.add_delete(f"{ORDERS_PATH}/{{id}}", self.cancel)
        for path in (ORDERS_PATH, f"{ORDERS_PATH}/{{id}}"):
            app.router.add_options(path, self.preflight)

    async def place(self, request: web.Request) -> web.StreamResponse:
        """Place an order: 201 with it, or 200 with the known one of its ``clientOrderId``."""
        return await self._answer(request, self._place)

    async def statement(self, request: web.Request) -> web.StreamResponse:
        """Answer with the user's orders, positions and balances."""
        return await self._answer(request, self._statement)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel an open order, and answer with it."""
        return await self._answer(request, self._cancel)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """Answer the question of a browser whether a page may send a request."""
        if not self._allows_origin(request):
            return _forbidden_origin()
        answer = web.Response(status=204, headers=_cors(request))
        answer.headers["Access-Control-Allow-Methods"] = _METHODS
        answer.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        answer.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
        return answer

    def _allows_origin(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        return origin is None or origin in self._context.settings.client_urls

    async def _answer(self, request: web.Request, act: _Answer) -> web.StreamResponse:
        """Admit a user within its limit, act, and let a page of CLIENT_URL read the answer."""
        if not self._allows_origin(request):
            return _forbidden_origin()
        admitted = await self._guard.admit_user(request)
        if isinstance(admitted, web.Response):
            answer: web.StreamResponse = admitted
        else:
            answer = self._refusal(admitted.user_id) or await act(request, admitted)
        if not answer.prepared:
            answer.headers.update(_cors(request))
        return answer

    def _refusal(self, user_id: str) -> web.Response | None:
        """Count a request, and return the refusal of one over the limit."""
        now_ns = self._context.clock.monotonic_ns()
        if now_ns - self._swept_ns >= _NS_PER_S:
            self._swept_ns = now_ns
            self._windows.sweep(now_ns)
        wait_ns = self._windows.acquire(user_id, now_ns).admit(now_ns)
        self._windows.release(user_id, now_ns)
        if not wait_ns:
            return None
        retry_s = math.ceil(wait_ns / _NS_PER_S)
        return rejected(
            429,
            Text.RATE_LIMIT_EXCEEDED,
            ErrorCode.RATE_LIMIT_EXCEEDED,
            headers={"Retry-After": str(retry_s)},
            retry_after_s=retry_s,
        )

    async def _place(self, request: web.Request, user: Identity) -> web.StreamResponse:
        body = await body_of(request, _MOST_BODY_BYTES)
        if not isinstance(body, bytes):
            return body
        try:
            wanted = parse_order(body, self._exchange.trades)
            require_rooms(user.entitlements, (symbol_room(wanted.symbol),))
        except InvalidOrder as error:
            return json_answer({"errors": list(map(_problem, error.problems))}, status=400)
        except NotAllowed as error:
            return rejected(403, error.message, error.code)
        if not self._can_act() or not self._exchange.has_room_for(user.user_id):
            return _busy()
        placed = await self._exchange.place(user.user_id, wanted)
        if placed is None:
            return _busy()
        if placed.order.request != wanted:
            words = "clientOrderId is the name of another order of yours; choose a new one"
            return rejected(409, words, ErrorCode.INVALID_PAYLOAD)
        return _with_order(placed.order, status=201 if placed.is_new else 200)

    async def _statement(self, _request: web.Request, user: Identity) -> web.StreamResponse:
        statement = self._exchange.statement(user.user_id)
        return json_answer(statement | {"timestamp": self._context.broadcaster.timestamp()})

    async def _cancel(self, request: web.Request, user: Identity) -> web.StreamResponse:
        if not self._can_act():
            return _busy()
        order = self._exchange.cancel(user.user_id, request.match_info["id"])
        if order is None:
            return rejected(404, "You have no order of this id", ErrorCode.INVALID_PAYLOAD)
        if order.status is not OrderStatus.CANCELLED:
            words = f"The order is {order.status} and cannot be cancelled"
            return rejected(409, words, ErrorCode.NOT_ALLOWED)
        return _with_order(order)

    def _can_act(self) -> bool:
        return not self._context.is_draining and not self._exchange.is_busy


def _with_order(order: PaperOrder, status: int = 200) -> web.Response:
    return json_answer({"order": order.payload()}, status=status)


def _problem(problem: tuple[str, str]) -> dict[str, Any]:
    field, words = problem
    message = f"{field} {words}" if field else words
    return {"field": field or None, "message": message, "code": ErrorCode.INVALID_PAYLOAD}


def _busy() -> web.Response:
    return rejected(
        503,
        "The exchange takes no orders now; try again later",
        ErrorCode.INTERNAL_ERROR,
        headers={"Retry-After": str(_RETRY_S)},
        retry_after_s=_RETRY_S,
    )


def _forbidden_origin() -> web.Response:
    return rejected(403, "Pages of this origin may not place orders", ErrorCode.NOT_ALLOWED)


def _cors(request: web.Request) -> dict[str, str]:
    headers = {"Vary": "Origin", "Cache-Control": "no-store"}
    origin = request.headers.get("Origin")
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers
