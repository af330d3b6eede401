"""A client that returns gets the private events that it missed, whole, or is told to resync."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from table_sizes import retained_entries

StartPlace = Callable[..., Awaitable[Any]]


def note(place: Any, user: str, count: int = 1, **data: object) -> None:
    for n in range(count):
        place.gateway.send_to_user(user, "note", {"n": n, **data})


async def leave(place: Any, client: Any) -> None:
    left = len(place.gateway.context.sessions) - 1
    await client.socket.close()
    await place.until(lambda: len(place.gateway.context.sessions) == left)


async def first_visit(place: Any, user: str = "ada") -> dict[str, Any]:
    """Connect and leave; return what the client says when it comes back."""
    client = await place.connect(user)
    await leave(place, client)
    return {"lastUserSeq": client.welcome["userSeq"], "epoch": client.welcome["epoch"]}


async def come_back(place: Any, said: dict[str, Any], user: str = "ada") -> list[tuple[str, Any]]:
    """Return all that a returning client is sent before the answer to its first event."""
    client = await place.connect(user, said=said)
    await client.emit("get-subscriptions")
    await client.expect("subscriptions")
    return [event for event in client.events if event[0] in ("note", "order:filled", "resync")]


async def test_what_was_missed_follows_the_welcome_in_order_before_replies(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    said = await first_visit(place)
    note(place, "ada", 2)
    place.gateway.publish(
        {
            "userId": "ada",
            "room": "trading",
            "event": "order:filled",
            "data": {"order": {"id": "o", "clientOrderId": "mine"}, "replayed": False},
            "srcTs": 7,
        }
    )
    client = await place.connect("ada", said=said)
    await client.emit("get-subscriptions")
    await client.expect("subscriptions")
    assert [name for name, _ in client.events] == ["note", "note", "order:filled"]
    assert [payload["userSeq"] for _, payload in client.events] == [1, 2, 3]
    assert all(payload["replayed"] is True for _, payload in client.events)
    order = client.events[-1][1]
    assert (order["order"]["clientOrderId"], order["seq"], order["srcTs"]) == ("mine", 1, 7)
    assert client.welcome["userSeq"] == 3


async def test_a_live_event_follows_the_replayed_ones_and_is_not_marked(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    said = await first_visit(place)
    note(place, "ada", 2)
    client = await place.connect("ada", said=said)
    note(place, "ada")
    got = [await client.expect("note") for _ in range(3)]
    assert [(one["userSeq"], "replayed" in one) for one in got] == [
        (1, True),
        (2, True),
        (3, False),
    ]


async def test_events_that_another_client_of_the_user_got_are_replayed_too(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    said = await first_visit(place)
    other = await place.connect("ada")
    note(place, "ada", 2)
    assert "replayed" not in await other.expect("note")
    assert [payload["userSeq"] for _, payload in await come_back(place, said)] == [1, 2]


async def test_a_client_that_missed_nothing_or_says_nothing_is_sent_nothing(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    said = await first_visit(place)
    assert await come_back(place, said) == []
    note(place, "ada")
    assert await come_back(place, {}) == []
    assert await come_back(place, {"lastUserSeq": None, "epoch": said["epoch"]}) == []
    assert await come_back(place, {"lastUserSeq": 1, "epoch": said["epoch"]}) == []


async def test_another_user_s_events_are_never_replayed(start_place: StartPlace) -> None:
    place = await start_place()
    said = await first_visit(place)
    await first_visit(place, "bob")
    note(place, "bob", 3)
    note(place, "ada")
    ((_, only),) = await come_back(place, said)
    assert only["userSeq"] == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"epoch": "another"}, "epoch"),
        ({"epoch": None}, "epoch"),
        ({"epoch": 7}, "epoch"),
        ({"lastUserSeq": 4}, "invalid"),
        ({"lastUserSeq": -1}, "invalid"),
        ({"lastUserSeq": "1"}, "invalid"),
        ({"lastUserSeq": True}, "invalid"),
        ({"lastUserSeq": 1.5}, "invalid"),
        ({"lastUserSeq": [1]}, "invalid"),
        ({"lastUserSeq": 10**30}, "invalid"),
    ],
)
async def test_what_cannot_be_compared_is_a_resync_and_no_refusal(
    start_place: StartPlace, said: dict[str, Any], reason: str
) -> None:
    place = await start_place()
    whole = await first_visit(place)
    note(place, "ada", 3)
    ((name, told),) = await come_back(place, {**whole, **said})
    assert (name, told["reason"], told["userSeq"]) == ("resync", reason, 3)
    assert told["epoch"] == whole["epoch"]
    assert told.keys() == {"reason", "userSeq", "epoch", "timestamp"}


async def test_what_is_not_held_whole_is_a_resync_alone(start_place: StartPlace) -> None:
    place = await start_place()
    said = await first_visit(place)
    note(place, "ada", 257)
    ((_, told),) = await come_back(place, said)
    assert (told["reason"], told["userSeq"]) == ("not-held", 257)
    assert len(await come_back(place, {**said, "lastUserSeq": 1})) == 256


async def test_events_are_kept_for_the_retention_after_the_last_connection(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    said = await first_visit(place)
    note(place, "ada")
    place.clock.advance(place.gateway.settings.user_retention_seconds - 1)
    place.gateway.context.sweep()
    note(place, "ada")
    assert [payload["userSeq"] for _, payload in await come_back(place, said)] == [1, 2]
    await place.until(lambda: len(place.gateway.context.sessions) == 1)


async def test_after_the_retention_a_number_is_never_taken_for_one_of_a_new_count(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    note(place, "ada", 5)
    said = {"lastUserSeq": 5, "epoch": client.welcome["epoch"]}
    await leave(place, client)
    for _ in range(2):  # a look at the last use, and one after it
        place.clock.advance(place.gateway.settings.user_retention_seconds + 1)
        place.gateway.context.sweep()
    assert set(retained_entries(place.gateway.context).values()) == {0}

    other = await place.connect("ada")
    assert other.welcome["userSeq"] == 5
    note(place, "ada", 7)
    assert [(await other.expect("note"))["userSeq"] for _ in range(7)] == list(range(6, 13))
    assert len(await come_back(place, said)) == 7, "numbers of one user never repeat"


async def test_nothing_is_kept_for_users_who_have_not_connected(start_place: StartPlace) -> None:
    place = await start_place()
    for number in range(100):
        note(place, f"stranger-{number}")
    assert retained_entries(place.gateway.context)["private_events"] == 0
