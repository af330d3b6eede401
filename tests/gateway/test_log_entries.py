"""A publication out of the log has the same packets as one that this process numbered."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from gateway.nodes.entries import (
    FORMAT,
    Entry,
    Malformed,
    draft_of,
    entry_of,
    head_of,
    packet_of,
    restamped,
    route_of,
)
from gateway.publication import parse_publication
from gateway.routing import outline_of, plan, stamps_of
from gateway.streams import Streams

HEAD = struct.Struct(">BQQQQII")
"""The head of a record, as `append.lua` writes it."""
NOW_NS = 5_000_000_000
TIMESTAMP = "2026-11-30T12:00:00.000Z"
ORDER = {"order": {"id": "o1", "symbol": "BTC/USDT", "side": "buy", "price": 1.5, "stopPrice": 2}}


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(
            {"room": "market-data:A", "event": "price:update", "data": {"symbol": "A", "price": 1}},
            id="seq and prevSeq",
        ),
        pytest.param(
            {"room": "trading", "userId": "u", "event": "order:filled", "data": ORDER},
            id="owner and public form",
        ),
        pytest.param(
            {"userId": "u", "event": "balance:updated", "data": {"balance": {"free": 1}}},
            id="userSeq",
        ),
        pytest.param({"clientId": "c", "event": "note", "data": {}}, id="no number"),
        pytest.param(
            {"room": "r", "event": '100 % "sure" %d', "data": {"%s": "%(body)b"}, "srcTs": 7},
            id="percent signs",
        ),
    ],
)
def test_a_packet_of_the_log_is_that_of_the_memory_broker(item: dict[str, Any]) -> None:
    publication = parse_publication(item)
    outline, numbers = plan(
        publication, Streams("e", 1), now_ns=NOW_NS, timestamp=TIMESTAMP, key=b"k"
    )
    entry = through_the_log(item, numbers.seq or 0, numbers.user_seq or 0)
    for index, delivery in enumerate(outline.deliveries):
        packet = packet_of(entry, index).decode()
        assert packet[0] == "2"
        assert json.loads(packet[1:]) == [delivery.event, delivery.payload]


def through_the_log(item: dict[str, Any], seq: int, user_seq: int) -> Entry:
    publication = parse_publication(item)
    draft = draft_of(
        outline_of(publication, key=b"k"),
        publication_id=None,
        is_value=False,
        ts_us=NOW_NS // 1_000,
        stamps=stamps_of(publication, TIMESTAMP),
        clock="c",
    )
    head = (FORMAT, 1, seq, user_seq, draft.ts_us, len(draft.header), len(draft.tail))
    record = HEAD.pack(*head) + draft.header + draft.tail + draft.bodies[0]
    return entry_of(record, draft.bodies[1:])


def test_another_time_changes_nothing_else_of_a_record() -> None:
    record = HEAD.pack(FORMAT, 1, 2, 3, 4, 5, 6) + b"texts"
    assert restamped(record, 2**40) == HEAD.pack(FORMAT, 1, 2, 3, 2**40, 5, 6) + b"texts"


@pytest.mark.parametrize(
    "record",
    [b"", b"7 0 0 0 2 0 []{}" * 9, HEAD.pack(FORMAT + 1, 1, 0, 0, 0, 2, 0) + b"[]{}"],
    ids=["nothing", "text", "a newer version"],
)
def test_a_record_of_another_version_is_malformed(record: bytes) -> None:
    assert head_of(record) is None
    with pytest.raises(Malformed):
        entry_of(record)


@pytest.mark.parametrize(
    "header",
    [b"", b"{}", b'[null,"c",null,null,[["e",["other"],[],null,null,null]]]'],
    ids=["nothing", "no list", "a number of a newer version"],
)
def test_a_header_of_another_version_is_malformed(header: bytes) -> None:
    with pytest.raises(Malformed):
        route_of(header)
