from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import MAX_RATES
from gateway.rates.tier import Tier, Update, renumbered

MS = 1_000_000
S = 1_000 * MS
ROOMS = ("market-data", "market-data:A")


def update(number: int, symbol: str = "A", text: str = "") -> Update:
    payload = {"symbol": symbol, "text": text, "seq": number, "prevSeq": number - 1, "ts": 5}
    packet = "2" + json.dumps(["price:update", payload], separators=(",", ":"))
    rooms = ("market-data", f"market-data:{symbol}")
    return Update("price:update", symbol, rooms, f"price:{symbol}", number, packet.encode())


def sent(tier: Tier, most: int = 100) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return number, previous number and skipped clients of each frame of a slot."""
    frames, _ = tier.take(most, {})
    return [(frame.update.number, frame.previous, frame.skip) for frame in frames]


def tier_of(rate: int, phase_ns: int = 0) -> Tier:
    tier = Tier(rate, phase_ns)
    tier.add("market-data:A")
    return tier


def test_a_slot_sends_the_newest_event_with_the_number_before_the_first_one_that_waited() -> None:
    tier = tier_of(5)
    assert [tier.offer(update(number), 10 * MS) for number in (7, 8, 9)] == [200 * MS, None, None]
    assert sent(tier) == [(9, 6, ())]
    assert sent(tier) == []


def test_a_packet_gets_another_previous_number_and_keeps_all_else() -> None:
    text = 'the publisher\'s own "prevSeq":3, and more'
    packet = renumbered(update(9, text=text).packet, 4)
    assert json.loads(packet[1:]) == [
        "price:update",
        {"symbol": "A", "text": text, "seq": 9, "prevSeq": 4, "ts": 5},
    ]


@given(
    st.sampled_from(MAX_RATES),
    st.integers(0, 40 * MS),
    st.lists(st.tuples(st.integers(0, 3 * S), st.integers(-2 * MS, 300 * MS)), max_size=30),
)
def test_slots_are_even_and_none_is_used_twice(
    rate: int, phase_ns: int, steps: list[tuple[int, int]]
) -> None:
    """Each step waits, offers, and takes the slot early (a coarse timer) or late (a busy loop)."""
    tier = tier_of(rate, phase_ns)
    ends_ns: list[int] = []
    now_ns = 17
    for number, (wait_ns, late_ns) in enumerate(steps, start=1):
        now_ns += wait_ns
        due_ns = tier.offer(update(number), now_ns)
        assert due_ns is not None
        slot_ns = S // rate
        assert due_ns > now_ns
        assert due_ns <= max(now_ns, ends_ns[-1] if ends_ns else 0) + slot_ns
        ends_ns.append(due_ns)
        now_ns = max(now_ns, due_ns + late_ns)
        assert len(sent(tier)) == 1
    assert all((end - phase_ns) % (S // rate) == 0 for end in ends_ns)
    assert all(later > former for former, later in pairwise(ends_ns))


def test_the_slots_of_two_tiers_never_end_together() -> None:
    ends = [
        {tier_of(rate, place * 10 * MS).offer(update(1), at) for at in range(0, S, 10 * MS)}
        for place, rate in enumerate(MAX_RATES)
    ]
    assert not any(one & other for place, one in enumerate(ends) for other in ends[place + 1 :])


def test_a_slot_with_many_streams_is_sent_in_parts_and_loses_none() -> None:
    tier = Tier(1)
    tier.add("market-data")
    for symbol in "ABCDE":
        tier.offer(update(1, symbol), 0)
    parts = []
    has_more = True
    while has_more:
        frames, has_more = tier.take(2, {})
        parts.append("".join(frame.update.symbol for frame in frames))
        if len(parts) == 1:
            assert tier.offer(update(2, "A"), S) is None, "the rest of the slot is awaited"
    assert parts == ["AB", "CD", "EA"]


def test_a_member_that_has_the_waiting_number_does_not_get_it_again() -> None:
    tier = tier_of(1)
    tier.offer(update(4), 0)
    tier.join("price:A", "new")
    assert (tier.position("price:A", "old"), tier.position("price:A", "new")) == (3, 4)
    assert sent(tier) == [(4, 3, ("new",))]


def test_a_new_member_gets_its_first_frame_with_its_own_number_before_it() -> None:
    tier = tier_of(1)
    tier.offer(update(4), 0)
    tier.join("price:A", "new")
    tier.join("price:A", "other")
    tier.offer(update(5), 0)
    tier.join("price:A", "latest")
    frames, _ = tier.take(9, {})
    assert [(frame.previous, frame.rooms, frame.skip) for frame in frames] == [
        (3, (("market-data:A", 1),), ("new", "other", "latest")),
        (4, ("new", "other"), ()),
    ]


@pytest.mark.parametrize("leave", ["leave", "forget"])
def test_a_client_that_has_gone_gets_no_frame(leave: str) -> None:
    tier = tier_of(1)
    tier.offer(update(4), 0)
    tier.join("price:A", "gone")
    tier.offer(update(5), 0)
    if leave == "leave":
        tier.leave("price:A", "gone")
    else:
        tier.forget("gone")
    assert sent(tier) == [(5, 3, ())]


def test_what_waits_is_forgotten_with_the_last_member() -> None:
    tier = tier_of(1)
    tier.offer(update(4), 0)
    tier.remove("market-data:A")
    assert tier.rooms == {}
    assert tier.newest("price:A") is None
    tier.add("market-data:A")
    assert tier.offer(update(9), 0) is None, "its timer still runs"
    assert sent(tier) == [(9, 8, ())]
