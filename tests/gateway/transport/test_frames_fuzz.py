from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from raw_frames import raw_frame

from gateway.transport.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Close,
    FrameEvent,
    FrameLimits,
    Message,
    Partial,
    Violation,
    read_frames,
    read_text,
)

LIMITS = FrameLimits(max_message_bytes=1_000, max_fragments=8)
LARGEST_HEADER = 14
LARGEST_CONTROL_FRAME = 131

masks = st.binary(min_size=4, max_size=4)
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


@dataclass
class Sent:
    """What a client sends: its bytes, and the events that they are."""

    data: bytes
    events: list[FrameEvent]


@st.composite
def sent_messages(draw: st.DrawFn) -> Sent:
    """Draw a message in one to five fragments, with control frames before some of them."""
    is_text = draw(st.booleans())
    text = draw(st.text(max_size=150))
    payload = text.encode() if is_text else draw(st.binary(max_size=400))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    edges = [0, *cuts, len(payload)]
    events: list[FrameEvent] = []
    data = b""
    for number, (start, end) in enumerate(pairwise(edges), start=1):
        for control, body in draw(st.lists(controls, max_size=1)):
            events.append(Message(control, body))
            data += raw_frame(control, body, mask=draw(masks))
        data += raw_frame(
            CONTINUATION if number > 1 else TEXT if is_text else BINARY,
            payload[start:end],
            fin=number == len(edges) - 1,
            mask=draw(masks),
        )
    events.append(Message(TEXT, text) if is_text else Message(BINARY, payload))
    return Sent(data, events)


@st.composite
def cut_up(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Draw how a stream of bytes falls into reads; some are empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


# Frames with any header, so that garbage gets beyond its first two bytes.
bent_frames = st.builds(
    raw_frame,
    st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]) | st.integers(0, 15),
    st.binary(max_size=300),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 4]),
    mask=masks,
)
garbage = st.lists(bent_frames | st.binary(max_size=40), max_size=12).map(b"".join)


@given(st.lists(sent_messages(), max_size=4), st.data())
def test_any_cuts_of_the_bytes_give_the_messages_that_were_sent(
    sent: list[Sent], data: st.DataObject
) -> None:
    stream = b"".join(message.data for message in sent)
    partial: Partial | None = None
    events: list[FrameEvent] = []
    for part in data.draw(cut_up(stream)):
        new, partial = read_frames(part, partial, LIMITS)
        events += new
    assert events == [event for message in sent for event in message.events]
    assert partial is None


@given(garbage, st.data())
def test_garbage_never_raises_and_ends_the_same_however_it_is_cut(
    stream: bytes, data: st.DataObject
) -> None:
    whole, rest = read_frames(stream, None, LIMITS)
    partial: Partial | None = None
    events: list[FrameEvent] = []
    for part in data.draw(cut_up(stream)):
        new, partial = read_frames(part, partial, LIMITS)
        events += new
        if events and isinstance(events[-1], Close | Violation):
            break
    assert events == whole
    assert (partial is None) == (rest is None)


@given(garbage, st.data())
def test_no_stream_makes_the_reader_hold_more_than_its_bound(
    stream: bytes, data: st.DataObject
) -> None:
    bound = LIMITS.max_message_bytes + LARGEST_HEADER + LARGEST_CONTROL_FRAME
    partial: Partial | None = None
    for part in data.draw(cut_up(stream)):
        events, partial = read_frames(part, partial, LIMITS)
        assert partial is None or partial.held_bytes <= bound
        if events and isinstance(events[-1], Close | Violation):
            assert partial is None
            break


@given(garbage)
def test_a_close_or_a_violation_is_always_the_last_event(stream: bytes) -> None:
    events, partial = read_frames(stream, None, LIMITS)
    assert all(isinstance(event, Message) for event in events[:-1])
    if events and not isinstance(events[-1], Message):
        assert partial is None


@given(st.binary(max_size=600), masks)
def test_any_key_is_undone(payload: bytes, mask: bytes) -> None:
    frame = raw_frame(BINARY, payload, mask=mask)
    assert read_frames(frame, None, LIMITS) == ([Message(BINARY, payload)], None)


@given(st.text(max_size=400), masks, st.binary(max_size=3))
def test_the_short_way_reads_what_the_long_way_reads(text: str, mask: bytes, tail: bytes) -> None:
    payload = text.encode()
    frame = raw_frame(TEXT, payload, mask=mask)
    if payload and len(payload) <= LIMITS.max_message_bytes:
        assert read_text(frame, LIMITS) == text
    for data in (frame, frame + tail, frame[:-1]):
        short = read_text(data, LIMITS)
        assert short is None or read_frames(data, None, LIMITS) == ([Message(TEXT, short)], None)


@given(st.binary(max_size=300).map(lambda rest: b"\x81" + rest))
def test_the_short_way_takes_nothing_that_the_long_way_refuses(data: bytes) -> None:
    short = read_text(data, LIMITS)
    assert short is None or read_frames(data, None, LIMITS) == ([Message(TEXT, short)], None)


@given(st.integers(0, 130), st.sampled_from([0, 2, 8]), masks)
def test_the_short_way_takes_the_shortest_form_alone(
    size: int, length_bytes: int, mask: bytes
) -> None:
    if size > 125 and not length_bytes:
        return
    data = raw_frame(TEXT, b"x" * size, mask=mask, length_bytes=length_bytes)
    short = read_text(data, LIMITS)
    assert short is None or read_frames(data, None, LIMITS) == ([Message(TEXT, short)], None)
