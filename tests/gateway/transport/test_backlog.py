"""The backlog of a client that does not keep up: what is lossless, what is conflated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.backlog import Backlog
from gateway.transport.parcels import Flow, Lane, Parcel

FLOW = Flow(lane=Lane.MARKET, conflate_by=("symbol",), previous="prevSeq")


def encode(payload: Mapping[str, Any]) -> Parcel:
    return Parcel("2" + json.dumps(["price", payload]))


def tick(symbol: str, seq: int) -> Parcel:
    payload = {"symbol": symbol, "seq": seq, "prevSeq": seq - 1}
    parcel = encode(payload)
    parcel.conflatable(("/", "price"), payload, FLOW, encode)
    return parcel


def order(number: int) -> Parcel:
    return Parcel(f'2["order",{number}]')


def read(parcel: Parcel) -> Any:
    return json.loads(parcel.polled()[2:])[1]


def drain(backlog: Backlog, most_bytes: int = 65_536) -> list[Any]:
    taken = []
    while backlog:
        taken += [read(parcel) for parcel in backlog.take(most_bytes)]
    return taken


def test_the_newest_of_each_stream_waits_with_the_number_of_the_last_one_sent() -> None:
    backlog = Backlog()
    for seq in (4, 5, 6):
        backlog.add(tick("BTC", seq), 0)
    backlog.add(tick("ETH", 9), 0)
    assert drain(backlog) == [
        {"symbol": "BTC", "seq": 6, "prevSeq": 3},
        {"symbol": "ETH", "seq": 9, "prevSeq": 8},
    ]
    assert backlog.conflated == 2


def test_a_parcel_that_replaced_nothing_is_the_one_that_all_share() -> None:
    backlog = Backlog()
    parcel = tick("BTC", 4)
    backlog.add(parcel, 0)
    assert backlog.take(65_536) == [parcel]


def test_what_is_lossless_goes_first_and_in_order() -> None:
    backlog = Backlog()
    for number in range(3):
        backlog.add(tick("BTC", number + 1), 0)
        backlog.add(order(number), 0)
    assert drain(backlog) == [0, 1, 2, {"symbol": "BTC", "seq": 3, "prevSeq": 0}]


def test_what_is_settled_is_not_conflated_any_more() -> None:
    backlog = Backlog()
    backlog.add(tick("BTC", 1), 0)
    backlog.settle(5)
    backlog.add(order(7), 6)
    backlog.add(tick("BTC", 2), 7)
    assert [item if isinstance(item, int) else item["seq"] for item in drain(backlog)] == [1, 7, 2]


def test_the_age_is_that_of_the_oldest_lossless_parcel() -> None:
    backlog = Backlog()
    backlog.add(tick("BTC", 1), 10)
    assert backlog.since_ns() is None
    backlog.add(order(1), 20)
    backlog.add(order(2), 30)
    assert backlog.since_ns() == 20
    backlog.take(1)
    assert backlog.since_ns() == 30


def test_the_same_event_in_two_namespaces_is_two_streams() -> None:
    backlog = Backlog()
    for namespace in ("/", "/other"):
        payload = {"symbol": "BTC", "seq": 1, "prevSeq": 0}
        parcel = encode(payload)
        parcel.conflatable((namespace, "price"), payload, FLOW, encode)
        backlog.add(parcel, 0)
    assert len(drain(backlog)) == 2


def test_a_payload_without_its_fields_is_lossless() -> None:
    parcel = encode({"seq": 1})
    parcel.conflatable(("/", "price"), {"seq": 1}, FLOW, encode)
    assert parcel.key is None


@given(
    st.lists(st.tuples(st.sampled_from(["A", "B", "order"]), st.integers(0, 3)), max_size=80),
    st.integers(1, 400),
)
def test_nothing_is_lost_but_what_prev_seq_says(
    steps: list[tuple[str, int]], most_bytes: int
) -> None:
    """Whatever is added and taken: orders all arrive, and ticks form an unbroken chain."""
    backlog = Backlog()
    numbers = {"A": 0, "B": 0, "order": 0}
    got: list[Any] = []
    for name, take in steps:
        numbers[name] += 1
        backlog.add(order(numbers[name]) if name == "order" else tick(name, numbers[name]), 0)
        for _ in range(take):
            got += [read(parcel) for parcel in backlog.take(most_bytes)]
    got += drain(backlog, most_bytes)
    assert [item for item in got if isinstance(item, int)] == list(range(1, numbers["order"] + 1))
    for symbol in "AB":
        last = 0
        for item in got:
            if isinstance(item, dict) and item["symbol"] == symbol:
                assert item["prevSeq"] == last
                last = item["seq"]
        assert last == numbers[symbol]
    assert (backlog.lossless_bytes, backlog.market_bytes) == (0, 0)


def test_an_event_that_is_one_stream_waits_once_and_never_ages() -> None:
    backlog = Backlog()
    for count in (5, 4, 3):
        payload = {"count": count}
        parcel = encode(payload)
        parcel.conflatable(("/", "count"), payload, Flow(conflate_by=()), encode)
        backlog.add(parcel, count)
    assert backlog.since_ns() is None, "nothing lossless waits"
    assert drain(backlog) == [{"count": 3}]
