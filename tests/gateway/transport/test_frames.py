from __future__ import annotations

import sys

import pytest
from raw_frames import raw_frame

from gateway.transport.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Close,
    CloseCode,
    FrameEvent,
    FrameLimits,
    Message,
    Partial,
    Violation,
    encode_close,
    encode_frame,
    read_frames,
)

LIMITS = FrameLimits(max_message_bytes=70_000, max_fragments=5)
EURO = "€".encode()


def read(data: bytes, limits: FrameLimits = LIMITS) -> list[FrameEvent]:
    """Read a stream twice, at once and byte by byte, and return what both ways gave."""
    events, partial = read_frames(data, None, limits)
    single: list[FrameEvent] = []
    slow: Partial | None = None
    for at in range(len(data)):
        new, slow = read_frames(data[at : at + 1], slow, limits)
        single += new
        if new and isinstance(new[-1], Close | Violation):
            break
    assert single == events
    assert (slow is None) == (partial is None)
    return events


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


FRAGMENTS = (
    raw_frame(TEXT, b"a", fin=False)
    + raw_frame(CONTINUATION, b"b", fin=False)
    + raw_frame(CONTINUATION, b"c")
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            bytes.fromhex("81 85 37fa213d 7f9f4d5158"), [Message(TEXT, "Hello")], id="5.7-hello"
        ),
        pytest.param(raw_frame(TEXT), [Message(TEXT, "")], id="5.2-empty-text"),
        pytest.param(raw_frame(BINARY), [Message(BINARY, b"")], id="5.2-empty-binary"),
        pytest.param(raw_frame(BINARY, b"\xff\0"), [Message(BINARY, b"\xff\0")], id="5.6-binary"),
        pytest.param(raw_frame(TEXT, EURO), [Message(TEXT, "€")], id="5.6-text"),
        pytest.param(
            raw_frame(TEXT, b"xyz", mask=b"\0\0\0\0"), [Message(TEXT, "xyz")], id="5.3-zero-key"
        ),
        pytest.param(raw_frame(PING, b"p"), [Message(PING, b"p")], id="5.5.2-ping"),
        pytest.param(raw_frame(PONG), [Message(PONG, b"")], id="5.5.3-unasked-pong"),
        pytest.param(
            raw_frame(PING, b"p" * 125), [Message(PING, b"p" * 125)], id="5.5-ping-of-125-bytes"
        ),
        pytest.param(FRAGMENTS, [Message(TEXT, "abc")], id="5.4-three-fragments"),
        pytest.param(
            raw_frame(BINARY, b"a", fin=False) + raw_frame(CONTINUATION),
            [Message(BINARY, b"a")],
            id="5.4-empty-last-fragment",
        ),
        pytest.param(
            raw_frame(TEXT, b"a", fin=False) + raw_frame(PING, b"p") + raw_frame(CONTINUATION),
            [Message(PING, b"p"), Message(TEXT, "a")],
            id="5.4-ping-between-fragments",
        ),
        pytest.param(
            raw_frame(TEXT, EURO[:1], fin=False) + raw_frame(CONTINUATION, EURO[1:]),
            [Message(TEXT, "€")],
            id="5.6-character-cut-by-fragments",
        ),
        pytest.param(
            FRAGMENTS + raw_frame(BINARY, b"d") + FRAGMENTS,
            [Message(TEXT, "abc"), Message(BINARY, b"d"), Message(TEXT, "abc")],
            id="5.4-messages-in-a-row",
        ),
        pytest.param(raw_frame(CLOSE), [Close(None, "")], id="5.5.1-close-without-code"),
        pytest.param(
            raw_frame(CLOSE, close_payload(1000, b"bye")),
            [Close(1000, "bye")],
            id="5.5.1-close-with-reason",
        ),
        pytest.param(
            raw_frame(TEXT, b"a", fin=False) + raw_frame(CLOSE),
            [Close(None, "")],
            id="5.5.1-close-within-a-message",
        ),
        pytest.param(
            raw_frame(CLOSE) + raw_frame(TEXT, b"late") + b"\xff\xff",
            [Close(None, "")],
            id="5.5.1-nothing-is-read-after-close",
        ),
    ],
)
def test_what_the_rfc_allows_is_read(data: bytes, expected: list[FrameEvent]) -> None:
    assert read(data) == expected


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        pytest.param(raw_frame(TEXT, b"a", mask=None), 1002, "masked", id="5.1-unmasked"),
        pytest.param(raw_frame(PING, mask=None), 1002, "masked", id="5.1-unmasked-ping"),
        pytest.param(raw_frame(TEXT, b"a", rsv=4), 1002, "reserved", id="5.2-rsv1"),
        pytest.param(raw_frame(TEXT, b"a", rsv=2), 1002, "reserved", id="5.2-rsv2"),
        pytest.param(raw_frame(PING, rsv=1), 1002, "reserved", id="5.2-rsv3-in-control"),
        pytest.param(raw_frame(3), 1002, "opcode 3", id="5.2-opcode-3"),
        pytest.param(raw_frame(7), 1002, "opcode 7", id="5.2-opcode-7"),
        pytest.param(raw_frame(11), 1002, "opcode 11", id="5.2-opcode-11"),
        pytest.param(raw_frame(15), 1002, "opcode 15", id="5.2-opcode-15"),
        pytest.param(
            raw_frame(TEXT, b"a" * 125, length_bytes=2), 1002, "shortest", id="5.2-125-in-16-bits"
        ),
        pytest.param(
            raw_frame(BINARY, b"a" * 65_535, length_bytes=8),
            1002,
            "shortest",
            id="5.2-65535-in-64-bits",
        ),
        pytest.param(
            raw_frame(BINARY, declared=1 << 63), 1002, "top bit", id="5.2-top-bit-of-64-bits"
        ),
        pytest.param(raw_frame(CONTINUATION, b"a"), 1002, "no message", id="5.4-no-start"),
        pytest.param(
            raw_frame(CONTINUATION, b"a", fin=False), 1002, "no message", id="5.4-no-start-no-end"
        ),
        pytest.param(
            raw_frame(TEXT, b"a", fin=False) + raw_frame(TEXT, b"b"),
            1002,
            "within",
            id="5.4-interleaved-text",
        ),
        pytest.param(
            raw_frame(BINARY, fin=False) + raw_frame(BINARY, fin=False),
            1002,
            "within",
            id="5.4-interleaved-empty-starts",
        ),
        pytest.param(raw_frame(PING, fin=False), 1002, "fragmented", id="5.5-fragmented-ping"),
        pytest.param(raw_frame(CLOSE, fin=False), 1002, "fragmented", id="5.5-fragmented-close"),
        pytest.param(raw_frame(PING, b"p" * 126), 1002, "125", id="5.5-ping-of-126-bytes"),
        pytest.param(raw_frame(PONG, b"p", length_bytes=8), 1002, "125", id="5.5-pong-in-64-bits"),
        pytest.param(
            raw_frame(CLOSE, close_payload(1000, b"x" * 124)), 1002, "125", id="5.5-long-close"
        ),
        pytest.param(raw_frame(CLOSE, b"\x03"), 1002, "half", id="5.5.1-half-a-code"),
        pytest.param(
            raw_frame(CLOSE, close_payload(1000, b"\xff")), 1007, "UTF-8", id="5.5.1-bad-reason"
        ),
        pytest.param(raw_frame(TEXT, b"\xff"), 1007, "UTF-8", id="8.1-bad-byte"),
        pytest.param(raw_frame(TEXT, b"\xff" * 300), 1007, "UTF-8", id="8.1-long-bad-text"),
        pytest.param(raw_frame(TEXT, EURO[:2]), 1007, "UTF-8", id="8.1-cut-character"),
        pytest.param(raw_frame(TEXT, b"\xed\xa0\x80"), 1007, "UTF-8", id="8.1-surrogate"),
        pytest.param(raw_frame(TEXT, b"\xc0\xaf"), 1007, "UTF-8", id="8.1-overlong"),
        pytest.param(
            raw_frame(TEXT, EURO[:1], fin=False) + raw_frame(CONTINUATION, b"a"),
            1007,
            "UTF-8",
            id="8.1-bad-text-over-fragments",
        ),
        pytest.param(
            raw_frame(BINARY, b"a" * 70_001), 1009, "70000", id="10.4-message-over-the-limit"
        ),
        pytest.param(
            raw_frame(BINARY, b"a" * 69_999, fin=False) + raw_frame(CONTINUATION, b"ab"),
            1009,
            "70000",
            id="10.4-fragments-over-the-limit",
        ),
        pytest.param(
            raw_frame(TEXT, fin=False) + raw_frame(CONTINUATION, fin=False) * 5,
            1008,
            "5 fragments",
            id="10.4-too-many-empty-fragments",
        ),
    ],
)
def test_what_the_rfc_forbids_ends_the_connection(data: bytes, code: int, words: str) -> None:
    [event] = read(data + raw_frame(TEXT, b"never read"))
    assert isinstance(event, Violation)
    assert event.code == code
    assert words in event.reason


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4999])
def test_a_close_code_that_7_4_allows_is_passed_on_and_may_be_sent(code: int) -> None:
    assert read(raw_frame(CLOSE, close_payload(code))) == [Close(code, "")]
    assert encode_close(code) == b"\x88\x02" + close_payload(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_a_close_code_that_7_4_forbids_is_a_protocol_error_and_never_sent(code: int) -> None:
    [event] = read(raw_frame(CLOSE, close_payload(code)))
    assert event == Violation(CloseCode.PROTOCOL_ERROR, f"close code {code} must not be sent")
    with pytest.raises(ValueError, match=f"close code {code} must not be sent"):
        encode_close(code)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 124, 125, 126, 127, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_every_form_of_a_length_is_read_up_to_the_limit(opcode: int, length: int) -> None:
    payload = (b"0123456789" * 7_000)[:length]
    expected = payload.decode() if opcode == TEXT else payload
    assert read_frames(raw_frame(opcode, payload), None, LIMITS) == (
        [Message(opcode, expected)],
        None,
    )


def test_a_short_text_over_a_tiny_limit_is_too_big() -> None:
    [event] = read(raw_frame(TEXT, b"12345"), FrameLimits(max_message_bytes=4))
    assert isinstance(event, Violation)
    assert event.code == CloseCode.MESSAGE_TOO_BIG


def test_as_many_fragments_as_allowed_make_a_message() -> None:
    data = raw_frame(TEXT, b"a", fin=False) + raw_frame(CONTINUATION, fin=False) * 3
    assert read(data + raw_frame(CONTINUATION, b"z")) == [Message(TEXT, "az")]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(raw_frame(BINARY, declared=70_001, mask=b"abcd")[:-4], id="without-its-key"),
        pytest.param(raw_frame(BINARY, declared=(1 << 63) - 1), id="nine-exabytes"),
    ],
)
def test_a_length_over_the_limit_is_refused_before_any_payload(head: bytes) -> None:
    events, partial = read_frames(head + b"\0" * 4, None, LIMITS)
    assert events == [Violation(CloseCode.MESSAGE_TOO_BIG, "message is over 70000 bytes")]
    assert partial is None


def test_two_bytes_are_enough_to_refuse_a_header() -> None:
    events, _ = read_frames(raw_frame(TEXT, b"a" * 60, rsv=4)[:2], None, LIMITS)
    assert events == [Violation(CloseCode.PROTOCOL_ERROR, "reserved bits are set")]


def test_what_came_before_a_violation_is_still_given() -> None:
    events = read(raw_frame(TEXT, b"good") + raw_frame(3) + raw_frame(TEXT, b"late"))
    assert events[0] == Message(TEXT, "good")
    assert [type(event) for event in events] == [Message, Violation]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(raw_frame(TEXT, b"x" * 40), id="short-text"),
        pytest.param(raw_frame(TEXT, b"x" * 400) * 3, id="long-texts"),
        pytest.param(raw_frame(PING, b"p"), id="ping"),
        pytest.param(FRAGMENTS, id="whole-fragmented-message"),
    ],
)
def test_between_frames_a_connection_keeps_no_state(data: bytes) -> None:
    assert read_frames(data, None, LIMITS)[1] is None


def test_a_partial_goes_when_its_frame_is_complete() -> None:
    data = raw_frame(TEXT, b"x" * 400)
    events, partial = read_frames(data[:7], None, LIMITS)
    assert (events, partial is None) == ([], False)
    assert read_frames(data[7:], partial, LIMITS) == ([Message(TEXT, "x" * 400)], None)


def test_a_partial_holds_the_incomplete_frame_and_no_more() -> None:
    whole = raw_frame(TEXT, b"x" * 400)
    events, partial = read_frames(whole * 3 + whole[:100], None, LIMITS)
    assert len(events) == 3
    assert partial is not None
    assert partial.held_bytes == 100


def test_a_full_message_and_a_half_read_ping_are_the_most_that_is_held() -> None:
    data = raw_frame(BINARY, b"x" * 70_000, fin=False) + raw_frame(PING, b"p" * 125)[:-1]
    events, partial = read_frames(data, None, LIMITS)
    assert events == []
    assert partial is not None
    assert partial.held_bytes == 70_000 + 130


def test_a_partial_of_many_small_reads_reserves_little_more_than_it_holds() -> None:
    data = raw_frame(BINARY, b"x" * 70_000)
    partial: Partial | None = None
    for at in range(0, len(data) - 2, 2):
        _, partial = read_frames(data[at : at + 2], partial, LIMITS)
    assert partial is not None
    assert partial.held_bytes == len(data) - 2
    reserved = sys.getsizeof(partial.frame) + sys.getsizeof(partial.message)
    assert reserved <= len(data) * 9 // 8 + 200


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_a_frame_is_written_unmasked_with_the_shortest_length(length: int, head: str) -> None:
    payload = b"x" * length
    assert encode_frame(TEXT, payload) == bytes.fromhex(head) + payload


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG], ids=["close", "ping", "pong"])
def test_a_control_frame_over_125_bytes_is_never_written(opcode: int) -> None:
    assert encode_frame(opcode, b"p" * 125)[:2] == bytes([0x80 | opcode, 125])
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        encode_frame(opcode, b"p" * 126)


def test_an_opcode_that_does_not_exist_is_never_written() -> None:
    with pytest.raises(ValueError, match="no such opcode: 3"):
        encode_frame(3, b"")


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        pytest.param("going", "going", id="short"),
        pytest.param("x" * 124, "x" * 123, id="cut"),
        pytest.param("x" * 122 + "€", "x" * 122, id="cut-before-a-character"),
        pytest.param("é" * 62, "é" * 61, id="cut-between-characters"),
        pytest.param("\ud800", "?", id="what-has-no-utf-8"),
    ],
)
def test_a_close_reason_is_cut_between_characters(reason: str, written: str) -> None:
    frame = encode_close(CloseCode.GOING_AWAY, reason)
    assert frame[0] == 0x88
    assert frame[1] == len(frame) - 2
    assert frame[2:] == close_payload(1001, written.encode())
