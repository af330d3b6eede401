from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.connection.protocol.websocket_frames import (
    BinaryFrame,
    CloseFrame,
    FrameReader,
    Message,
    Opcode,
    PingFrame,
    PongFrame,
    StatusCode,
    TextFrame,
    apply_mask,
    encode_close,
    encode_frame,
    frame_end,
)
from loadtests.errors import ProtocolViolation

MASK = b"\x37\xfa\x21\x3d"


def server_frame(opcode: int, payload: bytes, *, is_final: bool = True) -> bytes:
    first = (0x80 if is_final else 0) | opcode
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65_536:
        return bytes([first, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([first, 127]) + len(payload).to_bytes(8, "big") + payload


def read(data: bytes, **options: int) -> tuple[list[Message], ProtocolViolation | None]:
    reader = FrameReader(**options)
    return reader.feed(data), reader.failure


def test_a_masked_hello_is_the_one_printed_in_the_rfc() -> None:
    # RFC 6455 §5.7, «A single-frame masked text message»
    expected = bytes.fromhex("818537fa213d7f9f4d5158")
    assert encode_frame(Opcode.TEXT, b"Hello", MASK) == expected


@pytest.mark.parametrize(
    ("length", "head"),
    [
        pytest.param(125, "82fd", id="the longest in 7 bits"),
        pytest.param(126, "82fe007e", id="the shortest in 16 bits"),
        pytest.param(65_535, "82feffff", id="the longest in 16 bits"),
        pytest.param(65_536, "82ff0000000000010000", id="the shortest in 64 bits"),
    ],
)
def test_a_length_is_written_in_its_shortest_form(length: int, head: str) -> None:
    frame = encode_frame(Opcode.BINARY, bytes(length), MASK)
    assert frame.startswith(bytes.fromhex(head) + MASK)
    assert len(frame) == len(head) // 2 + 4 + length


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_twice_gives_the_payload_back(payload: bytes, mask: bytes) -> None:
    masked = apply_mask(payload, mask)
    assert apply_mask(masked, mask) == payload
    assert masked == bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


@pytest.mark.parametrize("mask", [b"", b"abc", b"abcde"], ids=["none", "three", "five"])
def test_a_mask_that_is_not_four_bytes_is_refused(mask: bytes) -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        encode_frame(Opcode.TEXT, b"x", mask)


def test_a_control_frame_of_126_bytes_is_never_written() -> None:
    with pytest.raises(ValueError, match="125"):
        encode_frame(Opcode.PING, bytes(126), MASK)


def test_a_long_close_reason_is_cut_between_characters() -> None:
    frame = encode_close(1002, "é" * 100, b"\0\0\0\0")
    assert len(frame) == 2 + 4 + 2 + 122
    assert frame[8:].decode() == "é" * 61


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param("810548656c6c6f", TextFrame("Hello"), id="text"),
        pytest.param("010348656c80026c6f", TextFrame("Hello"), id="text in two fragments"),
        pytest.param("8203000102", BinaryFrame(b"\0\1\2"), id="binary"),
        pytest.param("8100", TextFrame(""), id="empty text"),
        pytest.param("890548656c6c6f", PingFrame(b"Hello"), id="ping"),
        pytest.param("8a00", PongFrame(b""), id="pong"),
        pytest.param("880203e8", CloseFrame(1000, ""), id="close with a status"),
        pytest.param("8800", CloseFrame(StatusCode.NO_STATUS, ""), id="close without a status"),
        pytest.param(
            "880603e8627965e2"[:14] + "21", CloseFrame(1000, "bye!"), id="close with words"
        ),
    ],
)
def test_a_frame_is_read_as_what_it_is(data: str, expected: Message) -> None:
    assert read(bytes.fromhex(data)) == ([expected], None)


@pytest.mark.parametrize("length", [125, 126, 65_535, 65_536], ids=str)
def test_all_three_forms_of_a_length_are_read(length: int) -> None:
    assert read(server_frame(Opcode.BINARY, bytes(length))) == ([BinaryFrame(bytes(length))], None)


def test_a_ping_between_fragments_comes_before_their_message() -> None:
    data = (
        server_frame(Opcode.TEXT, b"a", is_final=False)
        + server_frame(Opcode.PING, b"p")
        + server_frame(Opcode.CONTINUATION, b"b")
    )
    assert read(data) == ([PingFrame(b"p"), TextFrame("ab")], None)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        pytest.param("c100", 1002, "reserved bit", id="a reserved bit"),
        pytest.param("8300", 1002, "reserved opcode 3", id="a reserved opcode"),
        pytest.param("818000000000", 1002, "masked", id="a masked frame"),
        pytest.param("0900", 1002, "fragmented control", id="a fragmented ping"),
        pytest.param("897e007e", 1002, "125 bytes", id="a long ping"),
        pytest.param("8000", 1002, "nothing to continue", id="a continuation of nothing"),
        pytest.param("01008100", 1002, "inside a message", id="a message inside a message"),
        pytest.param("827e0005", 1002, "shortest", id="16 bits for a short length"),
        pytest.param("827f0000000000000005", 1002, "shortest", id="64 bits for a short length"),
        pytest.param("827fffffffffffffffff", 1002, "63 bits", id="a negative length"),
        pytest.param("8101ff", 1007, "UTF-8", id="a byte that is not UTF-8"),
        pytest.param("8103eda080", 1007, "UTF-8", id="a lone surrogate"),
        pytest.param("880103", 1002, "half a status", id="half a close status"),
        pytest.param("880203ed", 1002, "1005", id="a status that is never sent"),
        pytest.param("880203e7", 1002, "999", id="a status below 1000"),
        pytest.param("880303e8ff", 1007, "UTF-8", id="a close reason that is not UTF-8"),
    ],
)
def test_what_the_rfc_forbids_fails_the_connection(data: str, code: int, words: str) -> None:
    messages, failure = read(bytes.fromhex(data))
    assert messages == []
    assert failure is not None
    assert failure.close_code == code
    assert words in failure.reason


def test_a_message_over_the_bound_fails_before_its_payload_came() -> None:
    _, failure = read(bytes.fromhex("827e0401"), max_message_bytes=1_024)
    assert failure is not None
    assert failure.close_code == StatusCode.TOO_BIG


def test_fragments_are_bounded_together() -> None:
    data = server_frame(Opcode.BINARY, bytes(600), is_final=False)
    _, failure = read(data + server_frame(0, bytes(600)), max_message_bytes=1_024)
    assert failure is not None
    assert failure.close_code == StatusCode.TOO_BIG


def test_nothing_is_read_after_a_close() -> None:
    reader = FrameReader()
    assert reader.feed(bytes.fromhex("880203e88100")) == [CloseFrame(1000, "")]
    assert reader.feed(bytes.fromhex("8100")) == []


def test_a_code_point_may_be_cut_by_fragments() -> None:
    euro = "€".encode()
    data = server_frame(Opcode.TEXT, euro[:1], is_final=False) + server_frame(0, euro[1:])
    assert read(data) == ([TextFrame("€")], None)


_messages = st.lists(
    st.one_of(
        st.tuples(st.just(Opcode.TEXT), st.text(max_size=200).map(str.encode)),
        st.tuples(st.just(Opcode.BINARY), st.binary(max_size=70_000)),
        st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)),
        st.tuples(st.just(Opcode.TEXT), st.just(b"\xff")),
    ),
    max_size=6,
)


@given(_messages, st.data())
def test_any_cuts_of_the_bytes_give_the_same_messages(
    messages: list[tuple[Opcode, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(server_frame(opcode, payload) for opcode, payload in messages)
    stream += data.draw(st.binary(max_size=20))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader = FrameReader()
    cut_up: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cut_up += reader.feed(stream[start:end])
    whole, failure = read(stream)
    assert cut_up == whole
    assert str(reader.failure) == str(failure)


def test_a_small_partial_frame_is_given_up_and_a_large_one_is_kept() -> None:
    small, large = FrameReader(), FrameReader()
    small.feed(b"\x81\x7e\x00\x80abc")
    states = [small.is_mid_frame]
    assert small.release() == b"\x81\x7e\x00\x80abc"
    assert [*states, small.is_mid_frame] == [True, False]
    large.feed(b"\x81\x7f" + (100_000).to_bytes(8) + b"abc")
    assert large.release() == b""
    states = [large.is_mid_frame]
    messages = large.feed(b"x" * 99_997)
    assert [len(message.text) for message in messages if isinstance(message, TextFrame)] == [
        100_000
    ]
    assert [*states, large.is_mid_frame] == [True, False]


def test_a_message_in_fragments_is_not_over_between_its_frames() -> None:
    reader = FrameReader()
    reader.feed(b"\x01\x02ab")
    states = [(reader.is_mid_message, reader.is_mid_frame)]
    assert reader.feed(b"\x80\x01c") == [TextFrame("abc")]
    states.append((reader.is_mid_message, reader.is_mid_frame))
    assert states == [(True, False), (False, False)]


def test_a_large_message_in_small_pieces_is_not_joined_again_for_each() -> None:
    reader = FrameReader()
    reader.feed(b"\x81\x7f" + (8_000_000).to_bytes(8))
    buffer = reader._buffer
    for _ in range(7_999):
        assert reader.feed(b"x" * 1_000) == []
    assert reader._buffer is buffer
    assert len(reader.feed(b"x" * 1_000)) == 1


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", None),
        (b"\x81", None),
        (b"\x81\x02ab", 4),
        (b"\x81\x02abrest", 4),
        (b"\x81\x03ab", None),
        (b"\x81\x7e\x00", None),
        (b"\x81\x7e\x00\x80" + b"x" * 128, 132),
        (b"\x81\x7f" + (65_536).to_bytes(8) + b"x" * 65_536, 65_546),
        (b"\x81\x7f\x00", None),
    ],
)
def test_a_frames_end_is_seen_as_soon_as_it_is_there(data: bytes, end: int | None) -> None:
    assert frame_end(data, 0) == end
    assert frame_end(b"zz" + data, 2) == (None if end is None else end + 2)
