"""Faults of one node among several that share a log. Each acts on the second node alone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.brokers.redis.broker import RedisBroker
from gateway.nodes.entries import Entry
from gateway.server.app import Gateway
from loadtests.plan.nodes import node_name
from tests.faults.ports import wrap

_FAULTY: Final = node_name(1)
_ONE_IN: Final = 50
_CUT_EACH_S: Final = 4.0

Deliver = Callable[..., None]


def _broker_of(gateway: Gateway) -> RedisBroker | None:
    """Return the broker of the node that is to have the fault; None at any other gateway."""
    broker = gateway.context.broker
    is_faulty = gateway.settings.node == _FAULTY and isinstance(broker, RedisBroker)
    return broker if is_faulty and isinstance(broker, RedisBroker) else None


def swap(gateway: Gateway) -> None:
    """Deliver one publication in 50 after the next of its stream."""
    _around_publications(gateway, _swapping)


def renumber(gateway: Gateway) -> None:
    """Give one publication in 50 the number of the next of its stream, and that one its own."""
    _around_publications(gateway, _renumbering)


def _around_publications(gateway: Gateway, around: Callable[[Deliver], Deliver]) -> None:
    broker = _broker_of(gateway)
    if broker is not None:
        wrap(broker.node, "publication", around)


def _in_pairs(deliver: Deliver, change: Callable[[Entry, Entry], tuple[Entry, Entry]]) -> Deliver:
    """Return a delivery that changes one publication in 50 and the next of its stream."""
    held: dict[str, Entry] = {}
    numbers = itertools.count(1)

    def pairing(entry: Entry, *, follows: bool) -> None:
        stream = entry.route.stream
        if stream is not None and stream in held:
            for each in change(held.pop(stream), entry):
                deliver(each, follows=follows)
        elif stream is not None and next(numbers) % _ONE_IN == 0:
            held[stream] = entry
        else:
            deliver(entry, follows=follows)

    return pairing


def _swapping(deliver: Deliver) -> Deliver:
    return _in_pairs(deliver, lambda first, second: (second, first))


def _renumbering(deliver: Deliver) -> Deliver:
    def change(first: Entry, second: Entry) -> tuple[Entry, Entry]:
        return second._replace(seq=first.seq), first._replace(seq=second.seq)

    return _in_pairs(deliver, change)


def cut(gateway: Gateway) -> None:
    """Cut the node off from Redis each 4 s. It joins again as it should: this is no fault."""
    broker = _broker_of(gateway)
    if broker is None:
        return

    def around(watch: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def cutting() -> None:
            await asyncio.wait_for(watch(), _CUT_EACH_S)

        return cutting

    wrap(broker.link, "_watch", around)


def skip(gateway: Gateway) -> None:
    """Cut the node off each 4 s, and go on at the end of the log: what came meanwhile is lost."""
    cut(gateway)
    broker = _broker_of(gateway)
    if broker is None:
        return

    def around(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def skipping(script: str, *arguments: Any) -> Any:
            answer = await call(script, *arguments)
            if script == "join" and answer[5]:
                broker.number, broker.link._last_id = int(answer[2]), answer[3]
            return answer

        return skipping

    wrap(broker.link, "_call", around)


HARMLESS: Final[dict[str, Callable[[Gateway], None]]] = {"node-cut": cut}
"""What happens to a node and must not show."""
