"""Faults of answers that look like successes: of another request, user or time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gateway.channels import SubscriptionRequest
from gateway.contract import ServerEvent
from gateway.server import handlers
from gateway.server.app import Gateway
from tests.faults.ports import wrap

_ONE_IN: Final = 10
_ANOTHER: Final = "ELSE/USDT"
_STALE_S: Final = 10.0
_NS_PER_S: Final = 1_000_000_000


def subscribe_to_another(_gateway: Gateway) -> None:
    """Take one subscription in ten, with its answer, for one to another symbol."""
    numbers = itertools.count(1)

    def around(parse: Callable[..., SubscriptionRequest]) -> Callable[..., SubscriptionRequest]:
        def parsing(payload: object) -> SubscriptionRequest:
            request = parse(payload)
            if not request.symbols or next(numbers) % _ONE_IN:
                return request
            return replace(request, symbols=(_ANOTHER, *request.symbols[1:]))

        return parsing

    wrap(handlers, "parse_subscription", around)  # a process has one gateway


def welcome_another(gateway: Gateway) -> None:
    """Welcome one client in ten as another user."""
    numbers = itertools.count(1)

    def around(reply: Callable[..., bool]) -> Callable[..., bool]:
        def replying(sid: str, event: str, data: Any) -> bool:
            if event == ServerEvent.CONNECTED and not next(numbers) % _ONE_IN:
                data = {**data, "userId": f"{data['userId']}x"}
            return reply(sid, event, data)

        return replying

    wrap(gateway.transport, "reply", around)


def tell_old_figures(gateway: Gateway) -> None:
    """Answer with the metrics of 10 s ago, and before those with the first ones."""
    told: deque[tuple[int, tuple[bytes, str]]] = deque()

    def around(
        expose: Callable[[str], tuple[bytes, str]],
    ) -> Callable[[str], tuple[bytes, str]]:
        def exposing(accept: str) -> tuple[bytes, str]:
            now_ns = gateway.clock.monotonic_ns()
            told.append((now_ns, expose(accept)))
            while len(told) > 1 and now_ns - told[1][0] >= _STALE_S * _NS_PER_S:
                told.popleft()
            return told[0][1]

        return exposing

    wrap(gateway.context.metrics, "expose", around)
