"""Faults of what single clients get: heartbeats, and the edges of a subscription."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.contract import EVENTS, Family, ServerEvent
from gateway.server.app import Gateway
from tests.faults.ports import wrap

_UNLUCKY_ONE_IN: Final = 100
_SLOWER: Final = 1.2
_KEPT_ONE_IN: Final = 5
_MARKET: Final = frozenset(name for name, row in EVENTS.items() if row.family is Family.MARKET)


def _one_percent(gateway: Gateway) -> list[str]:
    """Return the clients of 1 % of the users, always the same ones."""
    return [
        session.sid
        for session in gateway.context.sessions
        if zlib.crc32(session.identity.user_id.encode()) % _UNLUCKY_ONE_IN == 0
    ]


def drop_heartbeats(gateway: Gateway) -> None:
    """Leave 1 % of the users out of each heartbeat, always the same ones."""

    def around(broadcast: Callable[..., int]) -> Callable[..., int]:
        def dropping(event: str, data: Any, **more: Any) -> int:
            if event == ServerEvent.HEARTBEAT:
                more["skip"] = [*more.get("skip", ()), *_one_percent(gateway)]
            return broadcast(event, data, **more)

        return dropping

    wrap(gateway.transport, "broadcast", around)


def double_heartbeats(gateway: Gateway) -> None:
    """Send each heartbeat a second time to 1 % of the users, always the same ones."""

    def around(broadcast: Callable[..., int]) -> Callable[..., int]:
        def doubling(event: str, data: Any, **more: Any) -> int:
            sent = broadcast(event, data, **more)
            if event == ServerEvent.HEARTBEAT:
                for sid in _one_percent(gateway):
                    broadcast(event, data, rooms=sid)
            return sent

        return doubling

    wrap(gateway.transport, "broadcast", around)


def beat_in_bursts(gateway: Gateway) -> None:
    """Send two heartbeats each time, each with a number of its own."""

    def around(beat: Callable[[], None]) -> Callable[[], None]:
        def beating() -> None:
            beat()
            beat()

        return beating

    wrap(gateway._ticks, "beat", around)


def slow_beats(gateway: Gateway) -> None:
    """Beat 1.2 times too slowly; the welcome says what was promised."""
    ticks = gateway._ticks

    def around(every: Callable[..., None]) -> Callable[..., None]:
        def slower(seconds: float, action: Callable[[], None]) -> None:
            every(seconds * _SLOWER if action == ticks.beat else seconds, action)

        return slower

    wrap(ticks, "_every", around)


def lose_first(gateway: Gateway) -> None:
    """Leave each client out of the first market event after it joined the room."""
    fresh: set[tuple[str, str]] = set()

    def around_enter(enter: Callable[..., None]) -> Callable[..., None]:
        def entering(sid: str, rooms: Iterable[str]) -> None:
            rooms = list(rooms)
            fresh.update((sid, room) for room in rooms)
            enter(sid, rooms)

        return entering

    def around_broadcast(broadcast: Callable[..., int]) -> Callable[..., int]:
        def losing(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            if event in _MARKET:
                lost = {key for key in fresh if key[1] in rooms}
                fresh.difference_update(lost)
                more["skip"] = [*more.get("skip", ()), *(sid for sid, _ in lost)]
            return broadcast(event, data, rooms=rooms, **more)

        return losing

    wrap(gateway.transport, "enter_rooms", around_enter)
    wrap(gateway.transport, "broadcast", around_broadcast)


def keep_rooms(gateway: Gateway) -> None:
    """Forget to take one client in five out of the rooms that it leaves."""
    numbers = itertools.count(1)

    def around(leave: Callable[..., None]) -> Callable[..., None]:
        def leaving(sid: str, rooms: Iterable[str]) -> None:
            if next(numbers) % _KEPT_ONE_IN:
                leave(sid, rooms)

        return leaving

    wrap(gateway.transport, "leave_rooms", around)
