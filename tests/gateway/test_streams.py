from __future__ import annotations

from collections import ChainMap

import pytest

from gateway.channels import parse_subscription, rooms_of, streams_of_room
from gateway.contract import user_stream
from gateway.streams import Streams

RETENTION_NS = 100
AL = "user:al"


@pytest.fixture
def streams() -> Streams:
    return Streams("epoch", RETENTION_NS)


def numbers(streams: Streams) -> dict[str, int]:
    return dict(ChainMap(*streams.pages(2)))


def test_a_stream_is_numbered_from_one_without_a_gap(streams: Streams) -> None:
    assert streams.last("price:A") == 0
    assert [streams.next("price:A", 0) for _ in range(3)] == [1, 2, 3]
    assert (streams.last("price:A"), streams.last("price:B")) == (3, 0)


def test_a_users_counter_outlives_the_last_connection_by_the_retention(streams: Streams) -> None:
    streams.hold([AL])
    streams.hold([AL])
    streams.next(AL, 0)
    streams.release([AL], 0)
    streams.sweep(10_000)
    assert streams.last_user("al") == 1, "one connection is left"
    streams.release([AL], 10_000)
    streams.sweep(10_000 + RETENTION_NS - 1)
    assert streams.next(AL, 10_000 + RETENTION_NS - 1) == 2
    streams.sweep(10_000 + RETENTION_NS)
    assert streams.last_user("al") == 2, "published to since"
    streams.sweep(10_000 + 2 * RETENTION_NS)
    assert (len(streams), streams.held_rooms()) == (0, 0)


def test_a_users_numbers_never_repeat_after_the_counter_was_forgotten(streams: Streams) -> None:
    streams.hold_user("early", 0)
    for _ in range(3):
        streams.next(AL, 0)
    streams.next(user_stream("bo"), 0)
    streams.sweep(RETENTION_NS)
    assert (streams.last_user("al"), streams.next(AL, RETENTION_NS)) == (3, 4)
    streams.hold_user("bo", RETENTION_NS)
    told = streams.last_user("bo")
    streams.sweep(3 * RETENTION_NS)  # forgets al's four
    assert streams.next(user_stream("bo"), 3 * RETENTION_NS) == told + 1 == 4
    assert streams.last_user("late") == 4
    assert streams.next(user_stream("early"), 3 * RETENTION_NS) == 1, "as its welcome told"


def test_a_user_who_returns_in_time_keeps_the_counter(streams: Streams) -> None:
    streams.hold([AL])
    streams.next(AL, 0)
    streams.release([AL], 0)
    streams.hold([AL])
    streams.sweep(10_000)
    assert streams.last_user("al") == 1


def test_a_user_who_never_connects_is_forgotten_too(streams: Streams) -> None:
    for number in range(100):
        streams.next(user_stream(f"u{number}"), number)
    streams.sweep(50 + RETENTION_NS)
    assert len(streams) == 49


def test_a_room_without_a_number_leaves_nothing_behind(streams: Streams) -> None:
    rooms = [AL, "market-data", "market-data:A"]
    streams.hold(rooms)
    assert streams.held_rooms() == 3
    streams.release(rooms, 0)
    streams.sweep(RETENTION_NS)
    assert (len(streams), streams.held_rooms()) == (0, 0)


@pytest.mark.parametrize(
    ("stream", "room"),
    [
        ("price:A", "market-data:A"),
        ("price:A", "market-data"),
        ("book:A", "market-data:A"),
        ("room:market-data:A", "market-data:A"),
        ("room:market-data", "market-data"),
        ("trading", "trading"),
        ("room:trading", "trading"),
        ("room:llm", "llm"),
        (AL, AL),
    ],
)
def test_a_stream_is_kept_while_a_client_receives_it_and_for_the_retention_afterwards(
    streams: Streams, stream: str, room: str
) -> None:
    streams.hold([room])
    streams.next(stream, 0)
    for now_ns in range(0, 50 * RETENTION_NS, RETENTION_NS // 2):
        streams.sweep(now_ns)
    left_ns = now_ns + 10
    streams.release([room], left_ns)
    for now_ns in range(left_ns, left_ns + RETENTION_NS):
        streams.sweep(now_ns)
    assert streams.last(stream) == 1
    streams.sweep(left_ns + RETENTION_NS)
    assert streams.last(stream) == 0
    assert len(streams) == 0


@pytest.mark.parametrize("stream", ["price:A", "room:A", "room:lobby", "llm:s", "llm-chunk:s"])
def test_a_stream_that_nobody_receives_is_kept_for_the_retention(
    streams: Streams, stream: str
) -> None:
    streams.hold(["trading", "llm", "market-data:B", AL])
    streams.next(stream, 0)
    streams.next(stream, 60)
    streams.sweep(60 + RETENTION_NS - 1)
    assert streams.last(stream) == 2
    streams.sweep(60 + RETENTION_NS)
    assert streams.last(stream) == 0
    assert streams.next(stream, 60 + RETENTION_NS) == 1


def test_a_retention_of_nothing_keeps_what_clients_receive() -> None:
    streams = Streams("epoch", retention_ns=0)
    streams.hold([AL])
    streams.next(AL, 0)
    streams.next("llm:s", 0)
    streams.sweep(0)
    streams.sweep(1)
    assert numbers(streams) == {AL: 1}
    streams.release([AL], 2)
    streams.sweep(2)
    assert numbers(streams) == {}


def test_beyond_the_most_the_longest_silent_stream_is_forgotten() -> None:
    streams = Streams("epoch", RETENTION_NS, most=3)
    for now_ns, stream in enumerate(("llm:a", "llm:b", "llm:c", "llm:a", "llm:d")):
        streams.next(stream, now_ns)
    assert numbers(streams) == {"llm:a": 2, "llm:c": 1, "llm:d": 1}
    assert [streams.sweep(5), streams.sweep(5)] == [1, 0]


def test_beyond_the_most_a_stream_whose_own_room_has_a_client_is_kept() -> None:
    streams = Streams("epoch", RETENTION_NS, most=2)
    streams.hold([AL, "market-data:A", "market-data"])
    for stream in (AL, "price:A", "price:B", "price:C"):
        streams.next(stream, 0)
    assert numbers(streams).keys() == {AL, "price:A", "price:C"}
    assert streams.marks(parse_subscription({"channel": "market-data"})) == {
        "price:A": 1,
        "price:C": 1,
        "room:market-data": 0,
    }


def test_however_many_streams_begin_the_bound_holds() -> None:
    streams = Streams("epoch", RETENTION_NS, most=50)
    for number in range(5_000):
        streams.next(f"llm:{number % 97}", number)
        assert len(streams) <= 50
    streams.sweep(5_000 + RETENTION_NS)
    assert len(streams) == 0


def test_a_sweep_looks_at_a_bounded_number_of_streams(streams: Streams) -> None:
    for number in range(12_000):
        streams.next(f"llm:{number}", 0)
    left = []
    for _ in range(4):
        streams.sweep(RETENTION_NS)
        left.append(len(streams))
    assert left == [7_000, 2_000, 0, 0]


def test_pages_have_every_stream_once_and_users_by_their_ids(streams: Streams) -> None:
    for stream in ("trading", "price:A", AL, "price:A", "room:x"):
        streams.next(stream, 0)
    assert numbers(streams) == {"trading": 1, "price:A": 2, AL: 1, "room:x": 1}
    assert [len(page) for page in streams.pages(3)] == [3, 1]


def test_a_stream_that_is_forgotten_between_two_pages_is_on_neither(streams: Streams) -> None:
    streams.next("llm:a", 1)
    streams.next("llm:b", 0)
    pages = streams.pages(1)
    assert next(pages) == {"llm:a": 1}
    streams.sweep(RETENTION_NS)
    assert list(pages) == [{}]


def test_marks_tell_the_last_number_of_what_was_asked_for(streams: Streams) -> None:
    for stream in ("trading", "price:A", "llm:s", AL, "room:x"):
        streams.next(stream, 0)
    trading = parse_subscription({"channel": "trading"})
    market = parse_subscription({"channel": "market-data"})
    symbol = parse_subscription({"channel": "market-data", "symbols": ["A"]})
    assert streams.marks(trading) == {"trading": 1, "room:trading": 0}
    assert streams.marks(market) == {"price:A": 1, "room:market-data": 0}
    assert streams.marks(symbol) == {
        "price:A": 1,
        "ticker:A": 0,
        "book:A": 0,
        "room:market-data:A": 0,
    }


class Untouchable(dict[str, object]):
    """A table of streams that may be asked for a name, and for nothing else."""

    def _refuse(self, *_: object) -> object:
        raise AssertionError("every stream was looked at")

    __iter__ = keys = values = items = copy = _refuse  # type: ignore[assignment]


@pytest.mark.parametrize(
    "request_", [{"channel": "market-data"}, {"channel": "trading"}, {"channel": "llm"}]
)
def test_marks_look_at_no_stream_that_they_do_not_name(
    streams: Streams, request_: dict[str, object]
) -> None:
    streams.next("price:A", 0)
    streams.next("llm:s", 0)
    streams._streams = Untouchable(streams._streams)  # type: ignore[assignment]
    assert streams.marks(parse_subscription(request_))


@pytest.mark.parametrize("room", ["market-data", "market-data:A/B", "trading", "llm", AL])
def test_the_streams_of_a_room_name_the_room(room: str) -> None:
    for stream in streams_of_room(room):
        assert rooms_of(stream)[-1] == room
