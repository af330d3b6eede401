from __future__ import annotations

import pytest

from gateway.channels import parse_subscription
from gateway.contract import Channel
from gateway.streams import Streams

RETENTION_NS = 100


@pytest.fixture
def streams() -> Streams:
    return Streams("epoch", RETENTION_NS)


def test_a_stream_is_numbered_from_one_without_a_gap(streams: Streams) -> None:
    assert streams.last("price:A") == 0
    assert [streams.next("price:A") for _ in range(3)] == [1, 2, 3]
    assert (streams.last("price:A"), streams.last("price:B")) == (3, 0)


def test_a_users_counter_outlives_the_last_connection_by_the_retention(streams: Streams) -> None:
    streams.hold("al")
    streams.hold("al")
    streams.next_user("al", 0)
    streams.release("al", 0)
    streams.sweep(10_000)
    assert streams.last_user("al") == 1, "one connection is left"
    streams.release("al", 10_000)
    streams.sweep(10_000 + RETENTION_NS - 1)
    assert streams.next_user("al", 10_000 + RETENTION_NS - 1) == 2
    streams.sweep(10_000 + RETENTION_NS)
    assert streams.last_user("al") == 2, "published to since"
    streams.sweep(10_000 + 2 * RETENTION_NS)
    assert (streams.last_user("al"), streams.user_count()) == (0, 0)


def test_a_user_who_returns_in_time_keeps_the_counter(streams: Streams) -> None:
    streams.hold("al")
    streams.next_user("al", 0)
    streams.release("al", 0)
    streams.hold("al")
    streams.sweep(10_000)
    assert streams.last_user("al") == 1


def test_a_user_who_never_connects_is_forgotten_too(streams: Streams) -> None:
    for number in range(100):
        streams.next_user(f"u{number}", number)
    streams.sweep(50 + RETENTION_NS)
    assert streams.user_count() == 49


def test_a_user_without_a_number_leaves_nothing_behind(streams: Streams) -> None:
    streams.hold("al")
    assert streams.user_count() == 1
    streams.release("al", 0)
    assert streams.user_count() == 0


def test_a_snapshot_has_every_stream_and_users_by_their_ids(streams: Streams) -> None:
    streams.next("trading")
    streams.next_user("al", 0)
    assert streams.snapshot() == {"trading": 1, "user:al": 1}


def test_marks_tell_the_last_number_of_what_was_asked_for(streams: Streams) -> None:
    streams.next("trading")
    streams.next("price:A")
    trading = parse_subscription({"channel": Channel.TRADING})
    market = parse_subscription({"channel": Channel.MARKET_DATA})
    assert streams.marks(trading) == {"trading": 1, "room:trading": 0}
    assert streams.marks(market) == {"price:A": 1, "room:market-data": 0}
