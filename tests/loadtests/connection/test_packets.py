from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.connection.protocol.packets import (
    SocketIOPacket,
    SocketIOPacketType,
    decode_packet,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_event,
)
from loadtests.errors import ProtocolViolation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('0{"sid":"a"}', SocketIOPacket(SocketIOPacketType.CONNECT, None, {"sid": "a"})),
        ('0/,{"sid":"a"}', SocketIOPacket(SocketIOPacketType.CONNECT, None, {"sid": "a"})),
        ("1", SocketIOPacket(SocketIOPacketType.DISCONNECT, None, None)),
        ('2["a",1]', SocketIOPacket(SocketIOPacketType.EVENT, None, ["a", 1])),
        ('212["a"]', SocketIOPacket(SocketIOPacketType.EVENT, 12, ["a"])),
        ("37[]", SocketIOPacket(SocketIOPacketType.ACK, 7, [])),
        (
            '4{"message":"no"}',
            SocketIOPacket(SocketIOPacketType.CONNECT_ERROR, None, {"message": "no"}),
        ),
    ],
    ids=["connect", "main namespace named", "disconnect", "event", "event with id", "ack", "error"],
)
def test_a_packet_is_read_as_what_it_is(text: str, expected: SocketIOPacket) -> None:
    assert decode_packet(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "2",
        "2[]",
        "2[1]",
        '2{"a":1}',
        "2[",
        "3[]",
        "37",
        "0",
        '0{"sid":1}',
        "1{}",
        "4[]",
        '2/admin,["a"]',
        '51-["a",{"_placeholder":true,"num":0}]',
        '2["a",NaN]',
        "2" + "1" * 16 + '["a"]',
    ],
)
def test_what_is_no_packet_of_the_contract_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_packet(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (encode_connect(None), "0"),
        (encode_connect({"token": "t"}), '0{"token":"t"}'),
        (encode_event("a", ()), '2["a"]'),
        (encode_event("a", ({"b": 1},), 3), '23["a",{"b":1}]'),
        (encode_ack(4, (1, 2)), "34[1,2]"),
        (encode_disconnect(), "1"),
    ],
    ids=["connect", "connect with auth", "event", "event with id", "ack", "disconnect"],
)
def test_a_packet_is_written_as_the_protocol_says(text: str, expected: str) -> None:
    assert text == expected


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.text(max_size=20), st.lists(_json, max_size=3), st.none() | st.integers(0, 10**15 - 1))
def test_an_event_that_is_written_is_read_back(
    name: str, arguments: list[object], ack_id: int
) -> None:
    text = encode_event(name, tuple(arguments), ack_id)
    assert decode_packet(text) == SocketIOPacket(
        SocketIOPacketType.EVENT, ack_id, [name, *arguments]
    )
