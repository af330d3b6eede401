from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.payloads import (
    Packet,
    PacketType,
    PayloadError,
    decode_packet,
    decode_payload,
    encode_binary_packet,
    encode_payload,
)

MESSAGE = PacketType.MESSAGE


def encoded(packet: Packet) -> bytes:
    if isinstance(packet.data, bytes):
        return encode_binary_packet(packet.data)
    return (packet.type.value + packet.data).encode()


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        pytest.param('0{"sid":"a"}', Packet(PacketType.OPEN, '{"sid":"a"}'), id="open"),
        pytest.param("1", Packet(PacketType.CLOSE, ""), id="close"),
        pytest.param("2probe", Packet(PacketType.PING, "probe"), id="ping-probe"),
        pytest.param("3", Packet(PacketType.PONG, ""), id="pong"),
        pytest.param("4hello", Packet(MESSAGE, "hello"), id="message"),
        pytest.param("4", Packet(MESSAGE, ""), id="empty-message"),
        pytest.param("4€", Packet(MESSAGE, "€"), id="beyond-ascii"),
        pytest.param("5", Packet(PacketType.UPGRADE, ""), id="upgrade"),
        pytest.param("6", Packet(PacketType.NOOP, ""), id="noop"),
    ],
)
def test_a_packet_is_its_type_and_its_data(text: str, packet: Packet) -> None:
    assert decode_packet(text) == packet
    assert encoded(packet).decode() == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "packet is empty", id="empty"),
        pytest.param("7", "no such packet type: '7'", id="7"),
        pytest.param("abc", "no such packet type: 'a'", id="letter"),
        pytest.param("bAQID", "no such packet type: 'b'", id="base64-outside-polling"),
        pytest.param("\u0664hello", "no such packet type", id="a-digit-that-is-not-ascii"),
    ],
)
def test_what_is_no_packet_is_refused(text: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words):
        decode_packet(text)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        pytest.param(b"4hello", [Packet(MESSAGE, "hello")], id="one"),
        pytest.param(
            "4hello\x1e4€€€".encode(), [Packet(MESSAGE, "hello"), Packet(MESSAGE, "€€€")], id="two"
        ),
        pytest.param(
            b"4hello\x1ebAQIDBA==",
            [Packet(MESSAGE, "hello"), Packet(MESSAGE, b"\1\2\3\4")],
            id="with-binary",
        ),
        pytest.param(b"b", [Packet(MESSAGE, b"")], id="empty-binary"),
        pytest.param(
            b"3\x1e1", [Packet(PacketType.PONG, ""), Packet(PacketType.CLOSE, "")], id="pong-close"
        ),
    ],
)
def test_a_payload_is_packets_between_separators(body: bytes, packets: list[Packet]) -> None:
    assert list(decode_payload(body)) == packets
    assert encode_payload([encoded(packet) for packet in packets]) == body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "payload is empty", id="empty"),
        pytest.param(b"\x1e", "packet 1 of 2: packet is empty", id="separator-alone"),
        pytest.param(b"4a\x1e", "packet 2 of 2: packet is empty", id="separator-at-the-end"),
        pytest.param(b"4a\x1e\x1e4b", "packet 2 of 3: packet is empty", id="two-separators"),
        pytest.param(b"4a\x1e9b", "packet 2 of 2: no such packet type: '9'", id="unknown-type"),
        pytest.param(b"4\xff", "not UTF-8", id="not-utf-8"),
        pytest.param(b"4\xed\xa0\x80", "not UTF-8", id="surrogate"),
        pytest.param(b"bAQI", "not base64", id="no-padding"),
        pytest.param(b"bAQ==ID", "not base64", id="padding-in-the-middle"),
        pytest.param(b"bAQ\nID", "not base64", id="line-break-in-base64"),
        pytest.param(b"bA-_D", "not base64", id="the-other-alphabet"),
        pytest.param("b€€€€".encode(), "not base64", id="beyond-ascii-in-base64"),
    ],
)
def test_anything_wrong_in_a_payload_is_named(body: bytes, words: str) -> None:
    with pytest.raises(PayloadError, match=words):
        list(decode_payload(body))


def test_the_packets_before_a_wrong_one_are_valid() -> None:
    decoded = decode_payload(b"4a\x1e9b\x1e4c")
    assert next(decoded) == Packet(MESSAGE, "a")
    with pytest.raises(PayloadError, match="packet 2 of 3"):
        next(decoded)


def test_a_payload_takes_as_many_packets_as_its_bytes_hold() -> None:
    assert len(list(decode_payload(b"\x1e".join([b"4x"] * 5_000)))) == 5_000


def test_a_binary_packet_is_b_and_padded_base64() -> None:
    assert encode_binary_packet(b"\1\2\3\4") == b"bAQIDBA=="
    assert encode_binary_packet(b"\0" * 100).count(b"\n") == 0


packets = st.one_of(
    st.builds(
        Packet,
        st.sampled_from(PacketType),
        st.text(st.characters(exclude_characters="\x1e", codec="utf-8")),
    ),
    st.builds(Packet, st.just(MESSAGE), st.binary()),
)


@given(st.lists(packets, min_size=1, max_size=8))
def test_what_was_encoded_is_decoded(packets: list[Packet]) -> None:
    body = encode_payload([encoded(packet) for packet in packets])
    assert list(decode_payload(body)) == packets


@given(st.binary(max_size=60))
def test_any_body_is_a_payload_or_a_payload_error(body: bytes) -> None:
    try:
        decoded = list(decode_payload(body))
    except PayloadError:
        return
    assert len(decoded) == body.count(b"\x1e") + 1
