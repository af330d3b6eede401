"""Contract: HTTP, the publish route."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Answer, Target

from gateway.contract import EVENTS, PROTOCOL_NAMES, PUBLISH_PATH

Connect = Callable[..., RawClient]

NOTE: dict[str, Any] = {"room": "trading", "event": "note", "data": {"n": 1}}
PRICE: dict[str, Any] = {"event": "price:update", "data": {"symbol": "PUB", "price": 1}}
ORDER: dict[str, Any] = {"event": "order:filled", "data": {"order": {"id": "o"}}}


def offer(gateway: Target, body: object) -> Answer:
    return gateway.request(
        "POST", PUBLISH_PATH, token=gateway.token("feed", scope="publish"), body=body
    )


def test_one_item_is_accepted_with_its_receipt(gateway: Target) -> None:
    answer = offer(gateway, NOTE)
    assert answer.status == 202
    assert answer.json["accepted"] == 1
    (receipt,) = answer.json["published"]
    assert receipt.keys() == {"stream", "seq", "ts"}
    assert receipt["stream"] == "room:trading"


def test_a_list_is_accepted_in_its_order(gateway: Target) -> None:
    answer = offer(gateway, [NOTE, {"room": "market-data", **PRICE}, NOTE])
    streams = [receipt["stream"] for receipt in answer.json["published"]]
    assert streams == ["room:trading", "price:PUB", "room:trading"]
    first, _, last = answer.json["published"]
    assert last["seq"] == first["seq"] + 1


@pytest.mark.parametrize(
    "target",
    [{"userId": "nobody-here"}, {"clientId": "no-such-client"}, {"room": "unknown-room"}],
    ids=["user", "client", "room"],
)
def test_an_unknown_target_is_accepted_and_reaches_nobody(
    gateway: Target, target: dict[str, str]
) -> None:
    assert offer(gateway, {**target, "event": "note", "data": {}}).status == 202


@pytest.mark.parametrize("named", ["room", "rooms"])
def test_a_room_that_is_named_like_a_client_is_refused(
    connect: Connect, gateway: Target, named: str
) -> None:
    client = connect()
    room: object = client.sid if named == "room" else [client.sid]
    answer = offer(gateway, [NOTE, {"event": "note", "data": {}, named: room}])
    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert (error["index"], error["code"]) == (1, "NOT_ALLOWED")
    assert client.received("note") == []
    streams = gateway.get("/api/v1/streams", token=gateway.token("feed", scope="publish"))
    assert f"room:{client.sid}" not in streams.json["streams"]


@pytest.mark.parametrize("room", ["trading", "market-data:PUB", "user:{user}"])
def test_a_client_id_that_is_a_room_s_name_reaches_nobody(
    connect: Connect, gateway: Target, room: str
) -> None:
    client = connect()
    client.call("subscribe", {"channel": "trading"})
    client.call("subscribe", {"channel": "market-data", "symbols": ["PUB"]})
    named = room.format(user=client.welcome["userId"])
    assert offer(gateway, {"clientId": named, "event": "note", "data": {}}).status == 202
    assert client.received("note") == []


def test_a_custom_event_name_is_accepted(gateway: Target) -> None:
    assert offer(gateway, {**NOTE, "event": "my:very-own.event"}).status == 202


BAD: dict[str, object] = {
    "not JSON": b"{",
    "not UTF-8": b'{"room":"trading","event":"\xff","data":{}}',
    "a number": 5,
    "a list of texts": ["note"],
    "no event": {"room": "trading", "data": {}},
    "no data": {"room": "trading", "event": "note"},
    "data that are no object": {**NOTE, "data": [1]},
    "no target": {"event": "note", "data": {}},
    "srcTs that is a text": {**NOTE, "srcTs": "now"},
    "an id that is empty": {**NOTE, "id": ""},
    "an id of 65 characters": {**NOTE, "id": "x" * 65},
    "an id that is a number": {**NOTE, "id": 7},
    "room and rooms": {**NOTE, "rooms": ["llm"]},
    "several rooms of a plain event": {"rooms": ["trading", "llm"], "event": "note", "data": {}},
    "an empty event name": {**NOTE, "event": ""},
    "an empty room": {**NOTE, "room": ""},
    "a user id that no token can have": {"userId": "a b", "event": "note", "data": {}},
    "market data without a symbol": {"room": "market-data", "event": "price:update", "data": {}},
    "market data with no symbol's name": {
        "room": "market-data",
        "event": "price:update",
        "data": {"symbol": "no symbol"},
    },
    "market data in another symbol's room": {"room": "market-data:OTHER", **PRICE},
    "market data in another channel": {"room": "trading", **PRICE},
    "an order in a market room": {"room": "market-data", **ORDER},
    "a balance for a room": {"room": "trading", "event": "balance:updated", "data": {}},
    "NaN": b'{"room":"trading","event":"note","data":{"x":NaN}}',
    "Infinity": b'{"room":"trading","event":"note","data":{"x":Infinity}}',
    "a number too large for any reader": b'{"room":"trading","event":"note","data":{"x":1e999}}',
    "a name of Socket.IO's": {**NOTE, "event": "disconnect"},
}


@pytest.mark.parametrize("body", list(BAD.values()), ids=list(BAD))
def test_an_invalid_publication_is_refused_and_named(gateway: Target, body: object) -> None:
    answer = offer(gateway, body)
    assert answer.status == 400, answer.text
    assert answer.json["errors"]
    for error in answer.json["errors"]:
        assert error.keys() == {"index", "message", "code"}
        assert error["message"]


@pytest.mark.parametrize(
    "event",
    sorted({name for name, row in EVENTS.items() if not row.publishable} | PROTOCOL_NAMES),
)
def test_the_gateway_s_own_event_names_cannot_be_published(gateway: Target, event: str) -> None:
    assert offer(gateway, {**NOTE, "event": event}).status == 400


def test_a_list_is_published_completely_or_not_at_all(connect: Connect, gateway: Target) -> None:
    client = connect()
    target = {"userId": client.welcome["userId"], "event": "note"}
    items = [{**target, "data": {}}, {**target, "data": "none"}, {**target, "data": 5}]
    answer = offer(gateway, items)
    assert answer.status == 400
    assert [error["index"] for error in answer.json["errors"]] == [1, 2]
    assert client.received("note") == []
    gateway.publish({**target, "data": {}})
    assert client.expect("note")["userSeq"] == 1, "a refused publication takes no number"


def test_the_same_id_is_published_once_also_inside_one_request(
    connect: Connect, gateway: Target
) -> None:
    client = connect()
    item = {"userId": client.welcome["userId"], "event": "note", "data": {}}
    name = client.sid.ljust(64, "x")
    answer = offer(gateway, [{**item, "id": name}, {**item, "id": name}, item, {**item, "id": "é"}])
    first, again, unnamed, other = answer.json["published"]
    assert (answer.status, answer.json["accepted"], again) == (202, 4, first)
    assert [one["userSeq"] for one in (first, unnamed, other)] == [1, 2, 3]
    assert offer(gateway, {**item, "id": name}).json["published"] == [first]
    assert [payload["userSeq"] for _, payload in client.received("note")] == [1, 2, 3]


def test_an_id_of_a_refused_request_is_still_free(connect: Connect, gateway: Target) -> None:
    client = connect()
    item = {"userId": client.welcome["userId"], "event": "note", "data": {}, "id": client.sid}
    assert offer(gateway, [item, {**item, "data": 5}]).status == 400
    assert offer(gateway, {**item, "id": None}).json["published"][0]["userSeq"] == 1
    assert offer(gateway, item).json["published"][0]["userSeq"] == 2


def test_a_list_has_at_most_a_thousand_items(gateway: Target) -> None:
    small = {"room": "trading", "event": "n", "data": {}}
    assert offer(gateway, [small] * 1_000).status == 202
    assert offer(gateway, [small] * 1_001).status in {400, 413}


def test_a_body_over_1_mib_is_too_large(gateway: Target) -> None:
    body = json.dumps([{**NOTE, "data": {"x": "y" * 60_000}}] * 18).encode()
    assert len(body) > 1_048_576
    answer = offer(gateway, body)
    assert answer.status == 413
    assert answer.json["errors"]


def test_a_compressed_body_is_refused(gateway: Target) -> None:
    answer = gateway.request(
        "POST",
        "/api/v1/publish",
        token=gateway.token("feed", scope="publish"),
        body=gzip.compress(json.dumps(NOTE).encode()),
        headers={"Content-Encoding": "gzip"},
    )
    assert answer.status == 415
    assert answer.json["errors"][0]["code"] == "INVALID_PAYLOAD"


def test_an_item_over_64_kib_is_too_large(gateway: Target) -> None:
    answer = offer(gateway, [NOTE, {**NOTE, "data": {"x": "y" * 66_000}}])
    assert answer.status == 413
    assert [error["index"] for error in answer.json["errors"]] == [1]


def test_the_event_limits_do_not_apply_to_feeds(gateway: Target) -> None:
    assert all(offer(gateway, NOTE).status == 202 for _ in range(70))
