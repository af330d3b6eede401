from __future__ import annotations

from typing import Any

import pytest

from gateway.contract import EVENTS, ORDER, TRADE, Audience, Subject
from gateway.routing import public_form

KEY = b"k" * 16
OWNERS_FIELDS = (
    "id clientOrderId symbol side type quantity price stopPrice status filledQuantity "
    "averagePrice timeInForce exchangeOrderId rejectReason createdAt userId entryPrice "
    "unrealizedPnL stopLoss orderId fee value executedAt"
)
EVERYTHING = dict.fromkeys(OWNERS_FIELDS.split(), "v")
ORDER_FIELDS = "id symbol side type quantity price status filledQuantity averagePrice timeInForce"


@pytest.mark.parametrize(
    "event", [name for name, row in EVENTS.items() if row.audience is Audience.OWNER_AND_PUBLIC]
)
def test_the_public_form_has_these_fields_and_nothing_else(event: str) -> None:
    about = EVENTS[event].subject
    assert about is not None
    subject = about.key
    assert subject == event.partition(":")[0]
    fields = {
        "order": ORDER_FIELDS,
        "position": "id symbol side quantity status",
        "trade": "id symbol side quantity price value executedAt",
    }[subject]
    owners: dict[str, Any] = {subject: EVERYTHING, "userId": "alice", "reason": "why"}
    form = public_form(about, owners, key=KEY)
    assert form.keys() == {subject}
    assert set(form[subject]) == set(fields.split())


def test_fields_that_the_owner_has_not_are_not_invented() -> None:
    form = public_form(TRADE, {"trade": {"symbol": "A"}}, key=KEY)
    assert form == {"trade": {"symbol": "A"}}


def test_an_id_is_hashed_the_same_within_a_process_and_otherwise_never() -> None:
    def id_of(private_id: object, key: bytes = KEY, about: Subject = ORDER) -> str:
        form = public_form(about, {about.key: {"id": private_id}}, key=key)
        hashed: str = form[about.key]["id"]
        return hashed

    assert id_of("o1") == id_of("o1")
    different = {
        id_of("o1"),
        id_of("o2"),
        id_of("o1", b"other"),
        id_of("o1", about=TRADE),
    }
    assert len(different) == 4
    assert "o1" not in id_of("o1")
