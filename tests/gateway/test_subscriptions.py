from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels import channel_of_room, is_symbol_room
from gateway.contract import Channel
from gateway.errors import TooManySubscriptions
from gateway.subscriptions import Subscriptions

ROOMS = ["trading", "llm", "market-data", "market-data:A", "market-data:B"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "drop"]),
        st.sampled_from("xy"),
        st.lists(st.sampled_from(ROOMS), unique=True, max_size=4),
    ),
    max_size=30,
)


@given(STEPS)
def test_the_counts_are_those_of_the_rooms_that_are_held(
    steps: list[tuple[str, str, list[str]]],
) -> None:
    table = Subscriptions()
    model: dict[str, dict[str, None]] = {}
    for verb, sid, rooms in steps:
        held = model.setdefault(sid, {})
        if verb == "join":
            assert table.join(sid, rooms) == tuple(r for r in rooms if r not in held)
            held.update(dict.fromkeys(rooms))
        elif verb == "leave":
            assert table.leave(sid, rooms) == tuple(r for r in rooms if r in held)
            model[sid] = {r: None for r in held if r not in rooms}
        else:
            table.drop(sid)
            model[sid] = {}
    everything = [room for held in model.values() for room in held]
    counted = Counter(channel_of_room(room) for room in everything)
    assert {sid: table.of(sid) for sid in model} == {sid: tuple(r) for sid, r in model.items()}
    assert table.counts() == {channel: counted[channel] for channel in Channel}
    assert table.total() == len(everything)
    assert table.symbol_count() == len({r for r in everything if is_symbol_room(r)})
    assert len(table) == sum(1 for held in model.values() if held)


def test_a_call_over_the_clients_limit_is_refused_whole() -> None:
    table = Subscriptions(max_rooms_per_client=2)
    table.join("x", ["trading"])
    with pytest.raises(TooManySubscriptions):
        table.join("x", ["llm", "market-data:A"])
    assert table.of("x") == ("trading",)
    assert table.symbol_count() == 0
    assert table.join("x", ["trading", "llm"]) == ("llm",), "a room held already counts once"


def test_the_process_limit_counts_distinct_symbols() -> None:
    table = Subscriptions(max_symbols_per_process=2)
    table.join("x", ["market-data:A", "market-data:B"])
    assert table.join("y", ["market-data:A", "trading"])
    with pytest.raises(TooManySubscriptions):
        table.join("y", ["llm", "market-data:C"])
    assert table.of("y") == ("market-data:A", "trading")
    table.leave("x", ["market-data:B"])
    assert table.join("y", ["market-data:C"])
