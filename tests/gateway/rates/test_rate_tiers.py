from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import MAX_RATES
from gateway.rates.rate_tiers import EVERY, RateChange, RateTiers
from gateway.rates.tier import SlotFrame, TierRoom, Update

WHOLE = "market-data"
RATES = (EVERY, *MAX_RATES)
CLIENTS = ("ada", "bob", "cy")
SYMBOLS = ("A", "B")
ROOMS = (WHOLE, *(f"{WHOLE}:{symbol}" for symbol in SYMBOLS))


class Market:
    """A gateway without sockets: what each client gets, and what it may rely on."""

    def __init__(self) -> None:
        self.tiers = RateTiers()
        self.now_ns = 0
        self.last: dict[str, int] = {}
        self.held: dict[str, tuple[str, ...]] = dict.fromkeys(CLIENTS, ())
        self.rooms: dict[object, set[str]] = {}
        self.position: dict[tuple[str, str], int] = {}
        """The last number of each client in each stream that it holds."""
        self.got: list[tuple[str, str, int]] = []
        self.awaited: dict[int, int] = {}

    def holds(self, sid: str, stream: str) -> bool:
        return WHOLE in self.held[sid] or f"{WHOLE}:{stream.partition(':')[2]}" in self.held[sid]

    def publish(self, symbol: str) -> None:
        stream = f"price:{symbol}"
        number = self.last[stream] = self.last.get(stream, 0) + 1
        payload = {"symbol": symbol, "seq": number, "prevSeq": number - 1, "ts": 1}
        packet = ("2" + json.dumps(["price:update", payload], separators=(",", ":"))).encode()
        rooms = (WHOLE, f"{WHOLE}:{symbol}")
        update = Update("price:update", symbol, rooms, stream, number, packet)
        plain = set().union(*(self.rooms.get(room, set()) for room in rooms))
        for sid in plain - set(self.tiers.apart.get((rooms[1], EVERY), ())):
            self.deliver(sid, stream, number, number - 1)
        for rate, due_ns in self.tiers.offer(update, self.now_ns):
            assert rate not in self.awaited
            self.awaited[rate] = due_ns

    def slot(self) -> None:
        """End the next slot that is awaited."""
        if not self.awaited:
            return
        rate = min(self.awaited, key=self.awaited.__getitem__)
        self.now_ns = max(self.now_ns, self.awaited.pop(rate))
        more = True
        while more:
            frames, more = self.tiers.take(rate, 1)
            self.send(frames)

    def send(self, frames: Sequence[SlotFrame]) -> None:
        for frame in frames:
            members: set[str] = set()
            for room in frame.rooms:
                members |= {room} if room in CLIENTS else self.rooms.get(room, set())
            payload = json.loads(frame.packet[1:])[1]
            assert payload["seq"] == frame.update.number
            for sid in members - set(frame.skip):
                self.deliver(sid, frame.update.stream, payload["seq"], payload["prevSeq"])

    def deliver(self, sid: str, stream: str, number: int, previous: int) -> None:
        assert self.holds(sid, stream), "nobody gets what it does not hold"
        last = self.position.get((sid, stream), 0)
        assert previous == last, "prevSeq is the last number that the client got"
        assert number > last, "numbers neither repeat nor fall"
        self.position[sid, stream] = number
        self.got.append((sid, stream, number))

    def subscribe(self, sid: str, rooms: tuple[str, ...], rate: int) -> None:
        before = self.held[sid]
        self.apply(sid, rooms, self.tiers.subscribe(sid, rooms, rate, before), (*before, *rooms))

    def unsubscribe(self, sid: str, rooms: tuple[str, ...]) -> None:
        before = self.held[sid]
        after = tuple(room for room in before if room not in rooms)
        self.apply(sid, rooms, self.tiers.unsubscribe(sid, rooms, before), after)

    def apply(
        self, sid: str, rooms: tuple[str, ...], change: RateChange, held: tuple[str, ...]
    ) -> None:
        before = {stream for stream in self.last if self.holds(sid, stream)}
        self.send(change.catch_up)
        for room in change.left:
            self.rooms.get(room, set()).discard(sid)
        for room in change.entered:
            self.rooms.setdefault(room, set()).add(sid)
        self.held[sid] = tuple(dict.fromkeys(held))
        for stream, number in self.last.items():
            if WHOLE not in rooms and f"{WHOLE}:{stream.partition(':')[2]}" not in rooms:
                continue
            mark = change.marks.get(stream, number)
            if stream in before:
                assert mark == self.position.get((sid, stream), 0), "`at` is what the client has"
            self.position[sid, stream] = mark

    def begin_epoch(self) -> None:
        """Begin all streams anew, as after a log that has lost its data."""
        self.tiers.forget_waiting()
        self.last.clear()
        self.position.clear()

    def drop(self, sid: str) -> None:
        self.tiers.drop(sid)
        for members in self.rooms.values():
            members.discard(sid)
        self.held[sid] = ()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(SYMBOLS)),
        st.tuples(st.just("slot")),
        st.tuples(st.just("begin_epoch")),
        st.tuples(
            st.just("subscribe"),
            st.sampled_from(CLIENTS),
            st.sampled_from([(WHOLE,), ROOMS[1:], (ROOMS[1],), (ROOMS[2],)]),
            st.sampled_from(RATES),
        ),
        st.tuples(
            st.just("unsubscribe"),
            st.sampled_from(CLIENTS),
            st.sampled_from([(WHOLE,), ROOMS[1:], (ROOMS[1],)]),
        ),
        st.tuples(st.just("drop"), st.sampled_from(CLIENTS)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(steps)
def test_numbers_never_repeat_or_fall_and_the_last_one_always_arrives(
    actions: list[tuple[object, ...]],
) -> None:
    market = Market()
    for name, *arguments in actions:
        getattr(market, str(name))(*arguments)
    while market.awaited:
        market.slot()
    for sid in CLIENTS:
        for stream, number in market.last.items():
            if market.holds(sid, stream):
                assert market.position.get((sid, stream), 0) == number
    for sid in CLIENTS:
        market.drop(sid)
    assert (len(market.tiers), market.tiers.carriers, market.tiers.apart) == (0, {}, {})


def test_one_slot_brings_one_event_a_stream_however_many_there_were() -> None:
    market = Market()
    market.subscribe("ada", (ROOMS[1],), 2)
    market.subscribe("bob", (ROOMS[1],), EVERY)
    for _ in range(50):
        market.publish("A")
    market.slot()
    assert [number for sid, _, number in market.got if sid == "ada"] == [50]
    assert [number for sid, _, number in market.got if sid == "bob"] == list(range(1, 51))


def test_the_rate_of_a_symbol_goes_before_that_of_the_whole_channel() -> None:
    market = Market()
    market.subscribe("ada", (WHOLE,), 1)
    market.subscribe("ada", (ROOMS[1],), EVERY)
    for symbol in ("A", "A", "B", "B"):
        market.publish(symbol)
    assert market.got == [("ada", "price:A", 1), ("ada", "price:A", 2)]
    market.slot()
    assert market.got[2:] == [("ada", "price:B", 2)]
    market.unsubscribe("ada", (ROOMS[1],))
    market.publish("A")
    assert market.got[3:] == []
    market.slot()
    assert market.got[3:] == [("ada", "price:A", 3)]


def test_a_new_epoch_has_no_number_of_the_old_one() -> None:
    market = Market()
    market.subscribe("ada", (ROOMS[1],), 1)
    for _ in range(3):
        market.publish("A")
    market.begin_epoch()
    market.publish("A")
    market.slot()
    assert market.got == [("ada", "price:A", 1)]


def test_a_client_that_moves_is_brought_up_to_date_at_once() -> None:
    market = Market()
    market.subscribe("ada", (ROOMS[1],), 1)
    market.publish("A")
    market.subscribe("ada", (ROOMS[1],), EVERY)
    assert market.got == [("ada", "price:A", 1)]


def test_a_client_that_leaves_is_told_the_last_number_that_it_got() -> None:
    market = Market()
    market.subscribe("ada", (ROOMS[1],), 1)
    market.publish("A")
    market.slot()
    market.publish("A")
    change = market.tiers.unsubscribe("ada", (ROOMS[1],), (ROOMS[1],))
    assert change.marks == {"price:A": 1}
    assert (change.left, change.catch_up) == ([TierRoom(ROOMS[1], 1)], [])


def test_a_client_without_a_rate_is_not_kept() -> None:
    tiers = RateTiers()
    tiers.subscribe("ada", ROOMS, EVERY, ())
    assert (len(tiers), tiers.carriers) == (0, {})
    tiers.subscribe("ada", ROOMS, 5, ROOMS)
    assert tiers.of("ada") == dict.fromkeys(ROOMS, 5)
    tiers.subscribe("ada", ROOMS, EVERY, ROOMS)
    assert (len(tiers), tiers.carriers, tiers.of("ada")) == (0, {}, {})


def test_other_events_of_a_room_find_its_members_at_every_rate() -> None:
    tiers = RateTiers()
    tiers.subscribe("ada", (WHOLE,), 5, ())
    tiers.subscribe("bob", (WHOLE,), 1, ())
    assert tiers.tier_rooms([WHOLE, "trading"]) == [TierRoom(WHOLE, 1), TierRoom(WHOLE, 5)]


def test_a_tier_that_was_left_and_joined_again_knows_no_old_number() -> None:
    market = Market()
    market.subscribe("ada", (ROOMS[1],), 1)
    market.publish("A")
    market.unsubscribe("ada", (ROOMS[1],))
    market.publish("A")
    market.subscribe("ada", (ROOMS[1],), 1)
    market.publish("A")
    market.slot()
    assert market.got == [("ada", "price:A", 3)]
