from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.faults import messages
from loadtests.faults.messages import (
    Cutter,
    DropCount,
    HeadReader,
    NoWebSocket,
    asks_for_websocket,
    text_of,
)
from loadtests.faults.toxics import Drop

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
PRICE = "price:update"


def frame(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def event(name: str, body: str = "{}") -> bytes:
    return frame(f'42["{name}",{body}]'.encode())


@given(
    payloads=st.lists(st.binary(max_size=400), max_size=8),
    cuts=st.lists(st.integers(1, 60), min_size=1),
)
def test_frames_are_whole_again_however_the_bytes_were_cut(
    payloads: list[bytes], cuts: list[int]
) -> None:
    frames = [frame(payload) for payload in payloads]
    data, cutter, found, turn = HEAD + b"".join(frames), Cutter(), [], 0
    while data:
        size = cuts[turn % len(cuts)]
        found += cutter.feed(data[:size])
        data, turn = data[size:], turn + 1
    assert found == [HEAD, *frames]
    assert cutter.rest() == b""


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_each_form_of_length_is_read(size: int) -> None:
    whole = frame(b"x" * size)
    cutter = Cutter()
    assert cutter.feed(HEAD + whole[:-1]) == ([HEAD, whole[:-1]] if not whole[:-1] else [HEAD])
    assert cutter.feed(whole[-1:]) == [whole]
    assert text_of(whole) == b"x" * size


def test_what_was_never_whole_is_not_forgotten() -> None:
    cutter = Cutter()
    cutter.feed(HEAD + b"\x81\x05ab")
    assert cutter.rest() == b"\x81\x05ab"


def test_what_is_no_head_and_no_frame_is_not_held_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "MAX_HELD_BYTES", 100)
    with pytest.raises(NoWebSocket, match="no HTTP head"):
        HeadReader().feed(b"x" * 101)
    with pytest.raises(NoWebSocket, match="a frame of more than"):
        Cutter().feed(HEAD + frame(b"x" * 200)[:150])


@pytest.mark.parametrize(
    ("whole", "why"),
    [
        (frame(b"x", first=0x82), "binary"),
        (frame(b"x", first=0xC1), "compressed"),
        (frame(b"x", first=0x01), "a fragment"),
        (b"\x81\x81maskx", "masked"),
        (b"\x89\x00", "a ping"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_whole_plain_text_is_looked_into(whole: bytes, why: str) -> None:
    assert text_of(whole) is None, why


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"GET /socket.io/ HTTP/1.1\r\nHost: x\r\nUPGRADE:  WebSocket", True),
        (b"GET /websocket HTTP/1.1\r\nHost: x", False),
        (b"POST / HTTP/1.1\r\nUpgrade: h2c", False),
    ],
)
def test_a_request_tells_whether_it_becomes_a_websocket(head: bytes, is_one: bool) -> None:
    reader = HeadReader()
    assert reader.feed(head[:9]) is None
    found = reader.feed(head[9:] + b"\r\n\r\nmore")
    assert found == head
    assert asks_for_websocket(found) is is_one


@given(of=st.integers(0, 200), seed=st.integers(0, 99), more=st.integers(0, 50), data=st.data())
def test_exactly_as_many_are_taken_as_the_rule_says(
    of: int, seed: int, more: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, of))
    rule = DropCount(Drop(events=(PRICE,), count=count, of=of, seed=seed))
    taken = [rule.takes(event(PRICE)) for _ in range(of + more)]
    assert sum(taken) == sum(taken[:of]) == rule.dropped == count
    assert rule.seen == of + more


def test_the_same_seed_takes_the_same_messages() -> None:
    rules = [DropCount(Drop(events=(PRICE,), count=5, of=50, seed=3)) for _ in range(2)]
    taken = [[rule.takes(event(PRICE)) for _ in range(50)] for rule in rules]
    assert taken[0] == taken[1]


@pytest.mark.parametrize(
    "whole",
    [
        event("ticker:update"),
        event("subscribed", '{"x": "price:update"}'),
        event(PRICE, '{"seq":1,"snapshot":true}'),
        frame(b"2"),
        HEAD,
    ],
    ids=["another event", "its name elsewhere", "a snapshot", "a ping", "the head"],
)
def test_what_is_nobodys_delivery_of_that_event_is_left_alone(whole: bytes) -> None:
    rule = DropCount(Drop(events=(PRICE,), count=1, of=1))
    assert not rule.takes(whole)
    assert rule.seen == 0
