from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.reading.batches import UNMEASURED
from loadtests.reading.fast_path import MAX_ARRAY, FastPath
from loadtests.reading.intake import Intake

STREAM = "price:S"


def text_frame(text: bytes) -> bytes:
    head = bytes([0x81, len(text)]) if len(text) < 126 else b"\x81\x7e" + len(text).to_bytes(2)
    return head + text


def event(name: str, payload: object) -> bytes:
    return text_frame(b"42" + json.dumps([name, payload], separators=(",", ":")).encode())


def price(number: int, **fields: Any) -> bytes:
    payload = {"symbol": "S", "price": 1, "seq": number, "prevSeq": number - 1, "ts": 1, **fields}
    return event("price:update", payload)


@pytest.fixture
def fast_path() -> FastPath:
    fast_path = FastPath(Intake(), 3)
    fast_path.is_timed = True
    fast_path.follow(STREAM, 0)
    return fast_path


def test_pushes_in_order_become_lines_of_the_columns(fast_path: FastPath) -> None:
    data = price(1, ts=4, srcTs=2) + price(2, ts=5)
    assert fast_path.take(data, 0, 9_000) == len(data)
    batch = fast_path.intake.drain()
    assert batch is not None
    assert batch.received == 2
    assert batch.service_ns.tolist() == [5_000, 4_000]
    assert batch.response_ns[0] == 7_000
    assert batch.is_intended.tolist() == [True, False]
    assert batch.latencies_ns().tolist() == [7_000, 4_000]
    assert batch.owners.tolist() == [3, 3]
    assert [push.number for push in batch.pushes] == [1, 2]
    assert batch.pushes[1].src_ns == UNMEASURED
    assert fast_path.last_of(STREAM) == 2


@pytest.mark.parametrize(
    "frame",
    [
        price(2),
        price(1, prevSeq=3),
        price(1, snapshot=True),
        price(1, replayed=True),
        price(1, epoch="another"),
        price(1, seq="1"),
        price(1, ts=1.5),
        price(1, symbol="T"),
        event("order:created", {"order": {}, "seq": 1, "userSeq": 1, "ts": 1}),
        event("order:created", {"order": {"clientOrderId": "a:1"}, "seq": 1, "ts": 1}),
        event("heartbeat", {"ts": 1, "seq": 1}),
        event("price:update", None),
        text_frame(b"2"),
        text_frame(b'42["price:update"'),
        text_frame(b'430[{"symbol":"S"}]'),
        b"\x89\x00",
        b"\x88\x00",
        b"\x01\x03abc",
        b"\x81\x7f" + (70_000).to_bytes(8) + b"x" * 70_000,
        b"\x81\x7e\x00\x05" + b'42["x',
        price(1)[:-1],
        price(1)[:1],
    ],
    ids=[
        "gap",
        "impossible previous",
        "snapshot",
        "replayed",
        "of another epoch",
        "number that is none",
        "time that is none",
        "stream not followed",
        "owner's form",
        "public form with a secret",
        "heartbeat",
        "no payload",
        "engine.io ping",
        "no JSON",
        "acknowledgement",
        "websocket ping",
        "close",
        "first fragment",
        "64-bit length",
        "length not in its shortest form",
        "partial frame",
        "half a head",
    ],
)
def test_everything_else_stops_the_fast_path_and_changes_nothing(
    fast_path: FastPath, frame: bytes
) -> None:
    assert fast_path.take(frame, 0, 1) == 0
    assert fast_path.last_of(STREAM) == 0
    assert fast_path.intake.drain() is None


def test_a_repeat_is_not_taken_twice(fast_path: FastPath) -> None:
    assert fast_path.take(price(1) * 2, 0, 1) == len(price(1))


def test_a_push_that_names_the_last_number_goes_on_and_what_was_conflated_is_counted(
    fast_path: FastPath,
) -> None:
    fast_path.follow(STREAM, 4)
    for number, previous in ((8, 4), (9, 8), (12, 9)):
        frame = price(number, prevSeq=previous)
        assert fast_path.take(frame, 0, 1) == len(frame)
    assert fast_path.last_of(STREAM) == 12
    assert fast_path.take_conflated(STREAM) == 3 + 2
    assert fast_path.take_conflated(STREAM) == 0


@pytest.mark.parametrize("previous", [5, 3, 8, 9, -1])
def test_a_conflated_push_with_another_previous_number_stops_the_fast_path(
    fast_path: FastPath, previous: int
) -> None:
    fast_path.follow(STREAM, 4)
    assert fast_path.take(price(8, prevSeq=previous), 0, 1) == 0


def test_what_a_handler_waits_for_is_not_taken(fast_path: FastPath) -> None:
    fast_path.wanted = frozenset({"price:update"})
    assert fast_path.take(price(1), 0, 1) == 0


def test_on_another_clock_a_push_is_counted_and_not_timed(fast_path: FastPath) -> None:
    fast_path.is_timed = False
    fast_path.take(price(1), 0, 1)
    batch = fast_path.intake.drain()
    assert batch is not None
    assert (batch.received, len(batch.pushes)) == (1, 0)


@pytest.mark.parametrize("count", [3, MAX_ARRAY + 5], ids=["array", "dictionary"])
def test_a_fast_path_follows_as_many_streams_as_there_are(count: int) -> None:
    fast_path = FastPath(Intake(), 0)
    for number in range(count):
        fast_path.intake.slot_of(f"price:N{number}")
    fast_path.follow(STREAM, 0)
    fast_path.follow("price:N1", 7)
    assert fast_path.take(price(1), 0, 1) == len(price(1))
    assert (fast_path.last_of(STREAM), fast_path.last_of("price:N1")) == (1, 7)
    fast_path.forget(STREAM)
    assert fast_path.last_of(STREAM) is None
    assert fast_path.take(price(2), 0, 1) == 0


@given(st.binary(max_size=300))
def test_no_bytes_make_a_fast_path_raise_or_read_past_the_end(data: bytes) -> None:
    fast_path = FastPath(Intake(), 0)
    assert 0 <= fast_path.take(data, 0, 1) <= len(data)


def test_the_kernels_stamps_are_drained_beside_the_pushes() -> None:
    intake = Intake()
    intake.take_share(5, 2, 0)
    batch = intake.drain()
    assert batch is not None
    assert (batch.share_stamps_ns.tolist(), batch.shares_ns.tolist()) == ([5], [2])
    assert intake.drain() is None


def beat(number: int) -> bytes:
    return event("heartbeat", {"timestamp": "t", "ts": 1, "seq": number})


def test_what_everybody_is_sent_is_decoded_once() -> None:
    intake = Intake()
    said = intake.broadcast(beat(1))
    assert said == ("heartbeat", {"timestamp": "t", "ts": 1, "seq": 1})
    assert intake.broadcast(bytes(bytearray(beat(1)))) is said
    assert intake.broadcasts.young[beat(1)] is said


@pytest.mark.parametrize(
    "frame",
    [
        price(1),
        event("heartbeats", {}),
        text_frame(b'42["heartbeat",{"seq":1}'),
        text_frame(b'42["heartbeat",1,2]'),
        b"\x01" + beat(1)[1:],
        b"\x89\x00",
    ],
    ids=["a push", "another name", "no JSON", "two arguments", "a fragment", "a ping"],
)
def test_nothing_else_is_taken_for_a_broadcast(frame: bytes) -> None:
    assert Intake().broadcast(frame) is None


def test_only_the_newest_broadcasts_are_remembered() -> None:
    intake = Intake()
    for number in range(100):
        intake.broadcast(beat(number))
    assert len(intake.broadcasts) <= 16
