"""The last value of each symbol's stream is kept, within a bound."""

from __future__ import annotations

from gateway.brokers.last_values import LastValues
from gateway.brokers.memory import MemoryBroker


def test_the_newest_event_of_each_stream_is_kept() -> None:
    values = LastValues()
    for stream, packet in (("price:A", b"1"), ("price:B", b"2"), ("price:A", b"three")):
        values.keep(stream, packet)
    assert (values.of("price:A"), values.of("price:B"), values.of("price:C")) == (
        b"three",
        b"2",
        None,
    )
    for stream in ("price:A", "price:B", "price:C"):
        values.forget(stream)
    assert (len(values), values.memory) == (0, 0)


def test_above_the_bound_the_longest_silent_streams_go_first() -> None:
    values = LastValues(most_bytes=4_000)
    for stream in "abcad":
        values.keep(stream, b"x" * 900)
    assert [stream for stream in "abcd" if values.of(stream)] == ["a", "c", "d"]
    assert values.memory <= 4_000
    values.keep("e", b"x" * 5_000)
    assert (len(values), values.memory) == (0, 0), "larger than all of the bound"


def test_a_value_is_forgotten_with_its_stream() -> None:
    broker = MemoryBroker("epoch", 10, lambda _user: False)
    for stream in ("price:A", "room:x"):
        broker.streams.next(stream, 0)
    broker.remember_value("price:A", b"1")
    broker.streams.sweep(9)
    assert broker.last_value("price:A") == b"1"
    broker.streams.sweep(10)
    assert (broker.last_value("price:A"), set(broker.entries().values())) == (None, {0})
