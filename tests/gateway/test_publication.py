from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest

from gateway.contract import EVENTS, Audience, ClientEvent, ErrorCode, Family, ServerEvent
from gateway.errors import PublicationRejected
from gateway.publication import parse_publication, parse_publications

ORDER = {"order": {"id": "o1", "symbol": "BTC/USDT"}}
PRICE = {"symbol": "BTC/USDT", "price": 1.5}


def item(**fields: Any) -> dict[str, Any]:
    return {"room": "news", "event": "headline", "data": {"a": 1}} | fields


def rejection_of(document: object) -> PublicationRejected:
    with pytest.raises(PublicationRejected) as caught:
        parse_publications(json.dumps(document).encode())
    return caught.value


@pytest.mark.parametrize(
    ("fields", "rooms", "user_id", "family"),
    [
        pytest.param({}, ("news",), None, Family.OTHER, id="a room"),
        pytest.param({"room": None, "userId": "al"}, (), "al", Family.OTHER, id="a user"),
        pytest.param({"room": None, "clientId": "x"}, (), None, Family.OTHER, id="a client"),
        pytest.param(
            {"room": None, "rooms": ["news", "news"]}, ("news",), None, Family.OTHER, id="one twice"
        ),
        pytest.param(
            {"room": "market-data", "event": "price:update", "data": PRICE},
            ("market-data",),
            None,
            Family.MARKET,
            id="market",
        ),
        pytest.param(
            {
                "room": None,
                "rooms": ["market-data:BTC/USDT", "market-data"],
                "event": "price:update",
                "data": PRICE,
            },
            ("market-data:BTC/USDT", "market-data"),
            None,
            Family.MARKET,
            id="both rooms of a symbol",
        ),
        pytest.param(
            {"room": "trading", "userId": "al", "event": "order:filled", "data": ORDER},
            ("trading",),
            "al",
            Family.TRADING,
            id="owner and public",
        ),
        pytest.param(
            {"room": None, "userId": "al", "event": "balance:updated"},
            (),
            "al",
            Family.BALANCE,
            id="balance",
        ),
        pytest.param(
            {"room": "llm", "event": "llm:stream", "data": {"sessionId": "s"}},
            ("llm",),
            None,
            Family.LLM,
            id="llm",
        ),
    ],
)
def test_these_are_published(
    fields: dict[str, Any], rooms: tuple[str, ...], user_id: str | None, family: Family
) -> None:
    (publication,) = parse_publications(json.dumps(item(**fields)).encode())
    assert (publication.rooms, publication.user_id) == (rooms, user_id)
    assert publication.row.family is family


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"room": None}, "INVALID_PAYLOAD", id="no target"),
        pytest.param({"rooms": ["x"]}, "INVALID_PAYLOAD", id="room and rooms"),
        pytest.param({"room": None, "rooms": []}, "INVALID_PAYLOAD", id="no rooms"),
        pytest.param({"room": None, "rooms": "x"}, "INVALID_PAYLOAD", id="rooms as text"),
        pytest.param({"room": None, "rooms": ["x", "y"]}, "INVALID_PAYLOAD", id="several rooms"),
        pytest.param({"room": ""}, "INVALID_PAYLOAD", id="empty room"),
        pytest.param({"room": 1}, "INVALID_PAYLOAD", id="room as number"),
        pytest.param({"room": "user:alice"}, "NOT_ALLOWED", id="a user's room"),
        pytest.param({"userId": "alice"}, "INVALID_PAYLOAD", id="room and user"),
        pytest.param({"room": None, "userId": "a b"}, "INVALID_PAYLOAD", id="bad user"),
        pytest.param({"clientId": "x"}, "INVALID_PAYLOAD", id="room and client"),
        pytest.param({"room": None, "clientId": ""}, "INVALID_PAYLOAD", id="empty client"),
        pytest.param({"event": None}, "INVALID_PAYLOAD", id="no event"),
        pytest.param({"event": ""}, "INVALID_PAYLOAD", id="empty event"),
        pytest.param({"event": "disconnect"}, "NOT_ALLOWED", id="protocol name"),
        pytest.param({"data": [1]}, "INVALID_PAYLOAD", id="data as list"),
        pytest.param({"srcTs": 1.5}, "INVALID_PAYLOAD", id="srcTs as fraction"),
        pytest.param({"srcTs": True}, "INVALID_PAYLOAD", id="srcTs as truth"),
        pytest.param(
            {"event": "price:update", "room": "market-data", "data": {"price": 1}},
            "INVALID_SYMBOL",
            id="market without symbol",
        ),
        pytest.param(
            {"event": "price:update", "room": "market-data:ETH", "data": PRICE},
            "INVALID_PAYLOAD",
            id="another symbol's room",
        ),
        pytest.param(
            {"event": "price:update", "room": "trading", "data": PRICE},
            "INVALID_PAYLOAD",
            id="market to another room",
        ),
        pytest.param(
            {"event": "price:update", "room": None, "userId": "alice", "data": PRICE},
            "INVALID_PAYLOAD",
            id="market to a user",
        ),
        pytest.param(
            {"event": "order:filled", "room": "trading"}, "INVALID_PAYLOAD", id="no order in it"
        ),
        pytest.param(
            {"event": "order:filled", "room": "llm", "data": ORDER},
            "INVALID_PAYLOAD",
            id="order to another room",
        ),
        pytest.param(
            {"event": "balance:updated", "room": "trading"}, "INVALID_PAYLOAD", id="balance to room"
        ),
        pytest.param(
            {"event": "balance:updated", "room": "trading", "userId": "alice"},
            "INVALID_PAYLOAD",
            id="balance to room and user",
        ),
        pytest.param({"event": "llm:stream", "room": "llm"}, "INVALID_PAYLOAD", id="no session"),
        pytest.param(
            {"event": "llm:stream", "room": "news", "data": {"sessionId": "s"}},
            "INVALID_PAYLOAD",
            id="llm to another room",
        ),
    ],
)
def test_these_are_refused(fields: dict[str, Any], code: str) -> None:
    rejection = rejection_of(item(**fields))
    assert rejection.status == 400
    assert [(e["index"], e["code"]) for e in rejection.errors] == [(0, ErrorCode(code))]


@pytest.mark.parametrize("name", [*ServerEvent, *ClientEvent, "connect", "newListener"])
def test_names_of_the_protocol_are_refused(name: str) -> None:
    assert rejection_of(item(event=name)).errors[0]["code"] == ErrorCode.NOT_ALLOWED


@pytest.mark.parametrize(
    "event",
    [
        name
        for name, row in EVENTS.items()
        if row.audience in (Audience.SYMBOL_ROOMS, Audience.OWNER_AND_PUBLIC)
    ],
)
def test_an_event_to_one_client_may_have_any_public_name(event: str) -> None:
    subject = event.partition(":")[0]
    data = {"symbol": "A", subject: {}}
    assert parse_publication({"clientId": "x", "event": event, "data": data}).client_id == "x"


def test_one_bad_item_refuses_all_and_every_bad_one_is_named() -> None:
    rejection = rejection_of([item(), item(event=""), item(), "x"])
    assert [error["index"] for error in rejection.errors] == [1, 3]


def test_an_item_over_64_kib_is_413() -> None:
    rejection = rejection_of([item(), item(data={"a": "x" * 65_536})])
    assert (rejection.status, rejection.errors[0]["index"]) == (413, 1)


def test_a_body_over_one_mib_is_413() -> None:
    with pytest.raises(PublicationRejected) as caught:
        parse_publications(b" " * (1_048_576 + 1))
    assert caught.value.status == 413


def test_a_1001st_item_is_413_and_a_thousand_pass() -> None:
    assert len(parse_publications(json.dumps([item()] * 1_000).encode())) == 1_000
    assert rejection_of([item()] * 1_001).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b'{"data":NaN}', b"\xff", b"1", b'"x"', b"null"])
def test_a_body_that_is_no_item_is_400(body: bytes) -> None:
    with pytest.raises(PublicationRejected) as caught:
        parse_publications(body)
    assert caught.value.status == 400


def test_data_too_deep_to_be_written_is_refused_before_it_has_a_number() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert rejection_of(item(data={"deep": deep})).status == 400


@pytest.mark.parametrize("value", [math.nan, Decimal(1), 2**64, object()])
def test_a_value_that_json_cannot_hold_is_refused_in_the_process_too(value: object) -> None:
    with pytest.raises(PublicationRejected) as caught:
        parse_publication(item(data={"price": value}))
    assert caught.value.status == 400
