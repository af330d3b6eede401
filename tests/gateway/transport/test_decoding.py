from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import Packet

from gateway.transport.decoding import MalformedPacket, decode


def fields(text: str) -> tuple[Any, ...]:
    packet = decode(text, Packet)
    return (
        packet.packet_type,
        packet.namespace,
        packet.id,
        packet.attachment_count,
        packet.data,
    )


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", (0, None, None, 0, None)),
        ('0{"token":"a"}', (0, None, None, 0, {"token": "a"})),
        ("0/custom", (0, "/custom", None, 0, None)),
        ('0/custom,{"a":1}', (0, "/custom", None, 0, {"a": 1})),
        ("0/custom?a=1,", (0, "/custom?a=1", None, 0, None)),
        ("1", (1, None, None, 0, None)),
        ("1/custom,", (1, "/custom", None, 0, None)),
        ('2["a",1]', (2, None, None, 0, ["a", 1])),
        ('212["a"]', (2, None, 12, 0, ["a"])),
        ('2/custom,12["a"]', (2, "/custom", 12, 0, ["a"])),
        ("2[7]", (2, None, None, 0, [7])),
        ("2[1.5]", (2, None, None, 0, [1.5])),
        ("312[]", (3, None, 12, 0, [])),
        ("3[]", (3, None, None, 0, [])),
        ('52-/custom,7["a"]', (5, "/custom", 7, 2, ["a"])),
        ("61-7[]", (6, None, 7, 1, [])),
    ],
)
def test_a_packet_has_its_fields(text: str, packet: tuple[Any, ...]) -> None:
    assert fields(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        *["", "7", "x", "٢", '"2[]"'],
        *["0[]", "0null", '0"a"', "1{}", "1null", "1[]"],
        *["2", "2[]", "2{}", "2[null]", "2[true]", "2[[]]", "2[{}]", '2["a"', '2["a"]x'],
        *['2٣["a"]', '2²["a"]', '2+1["a"]', '2-1["a"]', '21.5["a"]', "2" + "1" * 101 + '["a"]'],
        *["3", "31", "31{}", "4{}", '4"a"'],
        *['5["a"]', '50-["a"]', '511-["a"]', '5٣-["a"]', '51["a"]', '51-[{"_placeholder":true}]'],
        *['21-["a"]', "5" + "9" * 12 + '-["a"]'],
    ],
)
def test_what_the_reference_refuses_is_refused(text: str) -> None:
    with pytest.raises(MalformedPacket):
        decode(text, Packet)


@given(st.text(st.sampled_from('0123456[]{}",-/?a٣ '), max_size=20) | st.text(max_size=20))
def test_any_text_is_a_packet_or_malformed(text: str) -> None:
    try:
        packet = decode(text, Packet)
    except MalformedPacket:
        return
    assert packet.packet_type in range(7)
