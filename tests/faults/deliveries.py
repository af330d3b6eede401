"""Faults between a publication and those who are owed it: all wrap the transport's broadcast."""

from __future__ import annotations

import asyncio
import copy
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gateway.contract import EVENTS, UNLISTED, Family, user_room
from gateway.server.app import Gateway
from tests.faults.ports import wrap

ONE_IN: Final = 10_000
_DIGIT_ONE_IN: Final = 5_000
_BY_GATEWAY: Final = frozenset({"seq", "prevSeq", "ts", "srcTs"})
_LATE_S: Final = 0.02
_LATE_ONE_IN: Final = 100
_FOREIGN_ONE_IN: Final = 10
_BLOCKED_S: Final = 2.0
_POLL_S: Final = 0.02
_ALTERED: Final = 10
_HELD_S: Final = 0.05
_HELD_EACH_S: Final = 5.0


Broadcast = Callable[..., int]


def _family_of(event: str) -> Family:
    return EVENTS.get(event, UNLISTED).family


def _wrap(gateway: Gateway, around: Callable[[Broadcast], Broadcast]) -> None:
    wrap(gateway.transport, "broadcast", around)


def members_of(gateway: Gateway, rooms: Any) -> list[str]:
    """Return the ids of the clients in some rooms, each once, in a stable order."""
    manager = gateway.transport.manager
    named = [rooms] if isinstance(rooms, str) else list(rooms or ())
    return list(
        dict.fromkeys(sid for room in named for sid, _ in manager.get_participants("/", room))
    )


class Lottery:
    """Draws one of the market deliveries in so many, evenly: the same ones for the same load."""

    def __init__(self, gateway: Gateway, one_in: int) -> None:
        self._gateway = gateway
        self._one_in = one_in
        self._until_next = one_in // 2

    def draw(self, event: str, rooms: Any) -> str | None:
        """Return the client whose delivery of this broadcast was drawn, None for nobody's."""
        if _family_of(event) is not Family.MARKET:
            return None
        sids = members_of(self._gateway, rooms)
        self._until_next -= len(sids)
        if self._until_next > 0 or not sids:
            return None
        drawn = sids[self._until_next % len(sids)]
        self._until_next += self._one_in
        return drawn


def lose(gateway: Gateway) -> None:
    """Leave one delivery in 10,000 out."""
    lottery = Lottery(gateway, ONE_IN)

    def around(broadcast: Broadcast) -> Broadcast:
        def losing(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            sid = lottery.draw(event, rooms)
            return broadcast(event, data, rooms=rooms, **_skipping(more, sid))

        return losing

    _wrap(gateway, around)


def double(gateway: Gateway) -> None:
    """Send one delivery in 10,000 again."""
    lottery = Lottery(gateway, ONE_IN)

    def around(broadcast: Broadcast) -> Broadcast:
        def doubling(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            sid = lottery.draw(event, rooms)
            sent = broadcast(event, data, rooms=rooms, **more)
            if sid is not None:
                broadcast(event, data, rooms=sid)
            return sent

        return doubling

    _wrap(gateway, around)


def swap(gateway: Gateway) -> None:
    """Let one delivery in 10,000 change places with the next of its stream."""
    lottery = Lottery(gateway, ONE_IN)
    held: dict[tuple[str, Any], tuple[str, Any]] = {}

    def around(broadcast: Broadcast) -> Broadcast:
        def swapping(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            stream = (event, data.get("symbol"))
            sid = None if stream in held else lottery.draw(event, rooms)
            sent = broadcast(event, data, rooms=rooms, **_skipping(more, sid))
            if sid is not None:
                held[stream] = (sid, data)
            elif stream in held:
                broadcast(event, held[stream][1], rooms=held.pop(stream)[0])
            return sent

        return swapping

    _wrap(gateway, around)


def claim_conflation(gateway: Gateway) -> None:
    """Lose one delivery in 10,000, and have the next of its stream claim that it replaced it."""
    lottery = Lottery(gateway, ONE_IN)
    owing: dict[tuple[str, Any], tuple[str, int]] = {}

    def around(broadcast: Broadcast) -> Broadcast:
        def claiming(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            stream = (event, data.get("symbol"))
            lost = None if stream in owing else lottery.draw(event, rooms)
            sid, previous = owing.pop(stream, (lost, 0))
            sent = broadcast(event, data, rooms=rooms, **_skipping(more, sid))
            if lost is not None:
                owing[stream] = (lost, data["prevSeq"])
            elif sid is not None:
                broadcast(event, {**data, "prevSeq": previous}, rooms=sid)
            return sent

        return claiming

    _wrap(gateway, around)


def change_digit(gateway: Gateway) -> None:
    """Change a digit of some number that the publisher wrote, in one delivery in 5,000."""
    lottery = Lottery(gateway, _DIGIT_ONE_IN)
    numbers = itertools.count()

    def around(broadcast: Broadcast) -> Broadcast:
        def changing(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            sid = lottery.draw(event, rooms)
            sent = broadcast(event, data, rooms=rooms, **_skipping(more, sid))
            if sid is not None:
                broadcast(event, with_another_digit(data, next(numbers)), rooms=sid)
            return sent

        return changing

    _wrap(gateway, around)


def with_another_digit(payload: dict[str, Any], turn: int) -> dict[str, Any]:
    """Return a copy of a market event in which one digit of one number is another.

    Args:
        payload: the event.
        turn: chooses the number and the digit; each is chosen in some turn.
    """
    changed: dict[str, Any] = copy.deepcopy(payload)
    places = [
        (holder, key)
        for holder, key in _numbers_in(changed)
        if holder is not changed or key not in _BY_GATEWAY
    ]
    holder, key = places[turn % len(places)]
    text = repr(holder[key])
    digits = [place for place, letter in enumerate(text) if letter.isdigit()]
    place = digits[turn // len(places) % len(digits)]
    digit = str((int(text[place]) + 1) % 10)
    holder[key] = type(holder[key])(text[:place] + digit + text[place + 1 :])
    return changed


def _numbers_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each number in a payload: what holds it, and its key there."""
    if isinstance(value, dict):
        for key, held in value.items():
            if isinstance(held, int | float) and not isinstance(held, bool):
                yield value, key
            else:
                yield from _numbers_in(held)
    elif isinstance(value, list):
        for held in value:
            yield from _numbers_in(held)


def change_side(gateway: Gateway) -> None:
    """Turn one public order in ten from buy to sell, or back."""
    numbers = itertools.count(1)

    def around(broadcast: Broadcast) -> Broadcast:
        def changing(event: str, data: Any, **more: Any) -> int:
            order = data.get("order")
            if isinstance(order, dict) and "userSeq" not in data and not next(numbers) % _ALTERED:
                side = "sell" if order["side"] == "buy" else "buy"
                data = {**data, "order": {**order, "side": side}}
            return broadcast(event, data, **more)

        return changing

    _wrap(gateway, around)


def encode_for_each(gateway: Gateway) -> None:
    """Encode each event once for each of its recipients."""

    def around(broadcast: Broadcast) -> Broadcast:
        def encoding(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            if _family_of(event) is not Family.MARKET:
                return broadcast(event, data, rooms=rooms, **more)
            return sum(broadcast(event, data, rooms=sid) for sid in members_of(gateway, rooms))

        return encoding

    _wrap(gateway, around)


def hold_loop(gateway: Gateway) -> None:
    """Hold the event loop for 50 ms each 5 s."""

    def around(start: Callable[..., None]) -> Callable[..., None]:
        def starting(*arguments: Any) -> None:
            start(*arguments)
            gateway._ticks._every(_HELD_EACH_S, lambda: time.sleep(_HELD_S))

        return starting

    wrap(gateway._ticks, "start", around)


def delay(gateway: Gateway) -> None:
    """Hold the gateway up for 20 ms before one market broadcast in a hundred."""
    numbers = itertools.count(1)

    def around(broadcast: Broadcast) -> Broadcast:
        def delaying(event: str, *arguments: Any, **more: Any) -> int:
            if _family_of(event) is Family.MARKET and not next(numbers) % _LATE_ONE_IN:
                time.sleep(_LATE_S)
            return broadcast(event, *arguments, **more)

        return delaying

    _wrap(gateway, around)


def tell_another(gateway: Gateway) -> None:
    """Send the owner's form of one order in ten to another user, too."""
    numbers = itertools.count(1)

    def around(broadcast: Broadcast) -> Broadcast:
        def telling(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            sent = broadcast(event, data, rooms=rooms, **more)
            owner = _owner_of(event, data, rooms)
            if owner is not None and not next(numbers) % _FOREIGN_ONE_IN:
                others = (s.identity.user_id for s in gateway.context.sessions)
                other = next((user for user in others if user_room(user) != owner), None)
                if other is not None:
                    broadcast(event, data, rooms=[user_room(other)])
            return sent

        return telling

    _wrap(gateway, around)


def name_owner(gateway: Gateway) -> None:
    """Put the owner's own order number into the public form."""

    def around(broadcast: Broadcast) -> Broadcast:
        secret: dict[str, Any] = {}

        def naming(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            order = data.get("order")
            if isinstance(order, dict):
                if _owner_of(event, data, rooms) is not None:
                    secret["clientOrderId"] = order.get("clientOrderId")
                elif "userSeq" not in data and secret:
                    data = {**data, "order": {**order, **secret}}
            return broadcast(event, data, rooms=rooms, **more)

        return naming

    _wrap(gateway, around)


def wait_for_slow(gateway: Gateway) -> None:
    """Hold the broadcasts to a room back while one of its clients has bytes that wait."""
    held: dict[str, deque[Callable[[], int]]] = defaultdict(deque)
    since_s: dict[str, float] = {}

    def around(broadcast: Broadcast) -> Broadcast:
        def waiting(event: str, data: Any, *, rooms: Any = None, **more: Any) -> int:
            if _family_of(event) is not Family.MARKET:
                return broadcast(event, data, rooms=rooms, **more)
            room = str(data["symbol"])
            queue = held[room]

            def send() -> int:
                return broadcast(event, data, rooms=rooms, **more)

            if not queue and not _is_slow(gateway, rooms):
                return send()
            queue.append(send)
            if len(queue) == 1:
                since_s[room] = time.monotonic()
                asyncio.get_running_loop().call_later(_POLL_S, look, room, rooms)
            return 0

        def look(room: str, rooms: Any) -> None:
            if _is_slow(gateway, rooms) and time.monotonic() - since_s[room] < _BLOCKED_S:
                asyncio.get_running_loop().call_later(_POLL_S, look, room, rooms)
                return
            while held[room]:
                held[room].popleft()()

        return waiting

    _wrap(gateway, around)


def _is_slow(gateway: Gateway, rooms: Any) -> bool:
    manager = gateway.transport.manager
    return any(session.waiting_bytes for session in manager.sessions("/", rooms, ()))


def _owner_of(event: str, data: Any, rooms: Any) -> str | None:
    """Return the room of the user whose own form of a trading event this is."""
    if _family_of(event) is not Family.TRADING or "userSeq" not in data:
        return None
    return next((room for room in rooms if room.startswith(user_room(""))), None)


def _skipping(more: dict[str, Any], sid: str | None) -> dict[str, Any]:
    if sid is None:
        return more
    skip: Iterable[str] = more.get("skip", ())
    return {**more, "skip": [*skip, sid]}
