"""Contract: each event of the table goes to its audience, under the numbers of its stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.target import Target

from gateway.contract import CHANNELS, EVENTS, Audience, EventRow, named_streams

Connect = Callable[..., RawClient]

SYMBOL = "EVERY/EVENT"
PRIVATE = "the owner's alone"


def rows(*audiences: Audience) -> Iterable[Any]:
    return [
        pytest.param(row, id=name)
        for name, row in EVENTS.items()
        if row.publishable and row.audience in audiences
    ]


def data_of(row: EventRow) -> dict[str, Any]:
    """Return data with every field that the row knows: a private one says so."""
    subject = row.subject
    keys = {row.stream.by: SYMBOL} if row.stream.by else {}
    if subject is None:
        return {**keys, "a": 1}
    fields = dict.fromkeys(subject.public, "open to all") | dict.fromkeys(subject.private, PRIVATE)
    return {**keys, **(fields if subject.is_payload else {subject.key: fields})}


def subscribe_to_all(client: RawClient) -> None:
    for channel in CHANNELS.values():
        symbols = {"symbols": [SYMBOL]} if channel.takes_symbols else {}
        client.call("subscribe", {"channel": channel.name, **symbols})


def received(client: RawClient, row: EventRow) -> list[dict[str, Any]]:
    return [payload for _, payload in client.received(row.name)]


@pytest.mark.parametrize("row", rows(Audience.SYMBOL_ROOMS))
def test_an_event_of_a_symbol_reaches_both_of_its_rooms_under_one_number(
    connect: Connect, gateway: Target, row: EventRow
) -> None:
    one, whole = connect(), connect()
    one.call("subscribe", {"channel": row.channel, "symbols": [SYMBOL]})
    whole.call("subscribe", {"channel": row.channel})
    item = {"event": row.name, "data": data_of(row)}
    (given,) = gateway.publish({"room": f"{row.channel}:{SYMBOL}", **item})
    assert given["stream"] == f"{row.stream.kind}:{SYMBOL}"
    for client in (one, whole):
        (payload,) = [p for p in received(client, row) if p["symbol"] == SYMBOL]
        assert (payload["seq"], payload["prevSeq"]) == (given["seq"], given["seq"] - 1)
    at = one.call("subscribe", {"channel": row.channel, "symbols": [SYMBOL]})["at"]
    assert at[given["stream"]] == given["seq"]


@pytest.mark.parametrize("row", rows(Audience.OWNER_AND_PUBLIC))
def test_an_event_with_a_public_form_keeps_private_fields_for_its_owner(
    connect: Connect, gateway: Target, row: EventRow
) -> None:
    assert row.subject is not None
    owner, watcher = connect(), connect()
    subscribe_to_all(owner)
    subscribe_to_all(watcher)
    item = {"userId": owner.welcome["userId"], "room": row.channel}
    (given,) = gateway.publish({**item, "event": row.name, "data": data_of(row)})
    ((own,), (public,)) = received(owner, row), received(watcher, row)
    assert given["stream"] in named_streams(row.channel)
    assert (own["seq"], own["userSeq"]) == (given["seq"], given["userSeq"])
    assert (public["seq"], public.get("userSeq")) == (given["seq"], None)
    assert PRIVATE in own[row.subject.key].values()
    assert set(public[row.subject.key]) == set(row.subject.public)
    assert PRIVATE not in public[row.subject.key].values()


@pytest.mark.parametrize("row", rows(Audience.USER))
def test_an_event_of_a_user_reaches_that_user_alone(
    connect: Connect, gateway: Target, row: EventRow
) -> None:
    owner, watcher = connect(), connect()
    subscribe_to_all(watcher)
    item = {"event": row.name, "data": data_of(row)}
    (given,) = gateway.publish({"userId": owner.welcome["userId"], **item})
    (own,) = received(owner, row)
    assert own["userSeq"] == given["userSeq"]
    assert received(watcher, row) == []


@pytest.mark.parametrize("row", rows(Audience.ASKER, Audience.ROOM))
def test_an_event_of_a_channel_reaches_its_room_and_no_other_client(
    connect: Connect, gateway: Target, row: EventRow
) -> None:
    watcher, other = connect(), connect()
    subscribe_to_all(watcher)
    item = {"event": row.name, "data": data_of(row)}
    (given,) = gateway.publish({"room": row.channel, **item})
    stream = f"{row.stream.kind}:{SYMBOL}" if row.stream.by else row.stream.kind
    assert given["stream"] == stream
    (payload,) = received(watcher, row)
    assert payload["seq"] == given["seq"]
    assert received(other, row) == []


def test_every_event_that_may_be_published_is_tried() -> None:
    tried = {param.values[0].name for param in rows(*Audience)}
    assert tried == {name for name, row in EVENTS.items() if row.publishable}
    assert all(
        row.audience not in (Audience.GATEWAY, Audience.EVERYONE)
        for row in EVENTS.values()
        if row.publishable
    )
