"""Faults of clients with a rate of their own: of the slots that their tiers send."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from gateway.rates.rate_tiers import EVERY, RateChange
from gateway.rates.tier import SlotFrame, Update
from gateway.server.app import Gateway
from tests.faults.ports import wrap

_LOST_ONE_IN = 100

Take = Callable[[int, int], tuple[list[SlotFrame], bool]]


def lose(gateway: Gateway) -> None:
    """Leave one frame of a slot in a hundred out."""
    numbers = itertools.count(1)

    def around(take: Take) -> Take:
        def taking(rate: int, most: int) -> tuple[list[SlotFrame], bool]:
            frames, has_more = take(rate, most)
            return [frame for frame in frames if next(numbers) % _LOST_ONE_IN], has_more

        return taking

    wrap(gateway.context.rates.tiers, "take", around)


def send_first(gateway: Gateway) -> None:
    """Take the first event of a slot in place of the newest: the last one may never arrive."""
    waiting: set[str] = set()

    def around_offer(offer: Callable[..., Any]) -> Callable[..., Any]:
        def offering(update: Update, now_ns: int) -> Any:
            if update.stream in waiting:
                return []
            waiting.add(update.stream)
            return offer(update, now_ns)

        return offering

    def around_take(take: Take) -> Take:
        def taking(rate: int, most: int) -> tuple[list[SlotFrame], bool]:
            frames, has_more = take(rate, most)
            waiting.difference_update(frame.update.stream for frame in frames)
            return frames, has_more

        return taking

    wrap(gateway.context.rates.tiers, "offer", around_offer)
    wrap(gateway.context.rates.tiers, "take", around_take)


def ignore(gateway: Gateway) -> None:
    """Answer a subscription with its rate, and send every event."""

    def around(subscribe: Callable[..., RateChange]) -> Callable[..., RateChange]:
        def subscribing(
            sid: str, rooms: Sequence[str], _rate: int, held: Sequence[str]
        ) -> RateChange:
            return subscribe(sid, rooms, EVERY, held)

        return subscribing

    wrap(gateway.context.rates.tiers, "subscribe", around)
