"""An item with an ``id`` is published once a minute, however often it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from table_sizes import retained_entries

from gateway.brokers.receipts import Receipts
from gateway.errors import PublicationRejected

StartPlace = Callable[..., Awaitable[Any]]


def note(user: str = "ada", **more: Any) -> dict[str, Any]:
    return {"userId": user, "event": "note", "data": {}, **more}


async def test_the_same_id_is_published_once_and_has_one_receipt(start_place: StartPlace) -> None:
    place = await start_place()
    client = await place.connect("ada")
    publish = place.gateway.publish
    first = publish(note(id="a"))
    place.clock.advance(59.9)
    place.gateway.context.sweep()
    assert publish(note(id="a")) == first
    assert publish(note("bob", id="a")) == first, "the id names it, not its content"
    other, unnamed = publish(note(id="b")), publish(note())
    assert [one["userSeq"] for one in (first, other, unnamed)] == [1, 2, 3]
    place.clock.advance(0.1)
    assert publish(note(id="a"))["userSeq"] == 4
    await client.emit("get-subscriptions")
    await client.expect("subscriptions")
    assert [payload["userSeq"] for name, payload in client.events if name == "note"] == [1, 2, 3, 4]
    place.clock.advance(61)
    place.gateway.context.sweep()
    assert retained_entries(place.gateway.context)["receipts"] == 0


async def test_when_no_more_ids_can_be_remembered_publishing_is_refused_for_now(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    broker = place.gateway.context.broker
    full = Receipts(most=1)
    broker.receipt, broker.keep_receipt = full.of, full.keep
    broker.can_keep_receipts = full.can_keep
    first = place.gateway.publish(note(id="a"))
    with pytest.raises(PublicationRejected) as refused:
        place.gateway.publish(note(id="b"))
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1.0)
    assert place.gateway.publish(note(id="a")) == first
    assert place.gateway.publish(note())["userSeq"] == 2
