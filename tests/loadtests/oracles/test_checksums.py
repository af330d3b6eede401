"""Checksums: every payload of the publisher is right as it stands, and wrong once it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from gateway.contract import EVENTS, Audience
from gateway.routing import public_form
from loadtests.oracles.checksums import CHECK, check_whole, is_altered
from loadtests.oracles.ledger import ACCOUNTED
from loadtests.publication.payloads import PayloadMaker

STAMPS = {"seq": 3, "prevSeq": 2, "ts": 1, "srcTs": 1, "timestamp": "t", "epoch": "e"}
OWNED = [name for name in ACCOUNTED if EVENTS[name].audience is Audience.OWNER_AND_PUBLIC]


@pytest.fixture
def publish() -> Callable[[str], dict[str, Any]]:
    """Return what makes the data of an event, as it comes out of the gateway's JSON."""
    maker = PayloadMaker(1, ["AAA/USDT"], [1.0], ["vu-1"])

    def make(event: str) -> dict[str, Any]:
        item = maker.make(event, source_us=None, unix_s=0.0, least_bytes=400)
        return cast(dict[str, Any], json.loads(orjson.dumps(item["data"])))

    return make


Publish = Callable[[str], dict[str, Any]]


def changes(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the payload with each text and number in turn changed in its last digit or letter."""
    found = []
    for key, value in payload.items():
        if isinstance(value, dict):
            found += [{**payload, key: changed} for changed in changes(value)]
        elif isinstance(value, list):
            named = {str(place): item for place, item in enumerate(value)}
            found += [{**payload, key: list(changed.values())} for changed in changes(named)]
        elif isinstance(value, bool) or value is None or key in STAMPS:
            continue
        elif isinstance(value, int | float):
            found.append({**payload, key: round(value + 0.01, 4)})
        elif isinstance(value, str):
            last = "1" if value.endswith("0") else "0"
            found.append({**payload, key: value[:-1] + last})
    return found


@pytest.mark.parametrize("event", ACCOUNTED)
def test_a_payload_passes_as_it_was_published_and_no_other_does(
    event: str, publish: Publish
) -> None:
    payload = {**publish(event), **STAMPS}
    assert not is_altered(event, payload)
    changed = changes(payload)
    assert changed
    assert all(is_altered(event, each) for each in changed)


@pytest.mark.parametrize("event", OWNED)
def test_a_public_form_passes_as_it_was_published_and_no_other_does(
    event: str, publish: Publish
) -> None:
    subject = EVENTS[event].subject
    assert subject is not None
    payload = {**public_form(subject, publish(event), key=b"k"), **STAMPS}
    assert not is_altered(event, payload)
    hashed = payload[subject.key]["id"]
    changed = [each for each in changes(payload) if each[subject.key]["id"] == hashed]
    assert changed
    assert all(is_altered(event, each) for each in changed)


def test_the_order_of_fields_and_the_form_of_a_whole_number_do_not_count(publish: Publish) -> None:
    data = publish("ticker:update")
    data["ticker"]["price"] = 5.0
    del data[CHECK]
    checked = check_whole(data)
    ticker = dict(reversed({**checked["ticker"], "price": 5}.items()))
    assert not is_altered("ticker:update", {**dict(reversed(checked.items())), "ticker": ticker})


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("price:update", {"symbol": "A", "price": 1}),
        ("price:update", {"symbol": "A", "price": 1, "check": {"their": "own"}}),
        ("order:created", {"order": {"side": "buy", "quantity": "1.50000000"}}),
        ("order:created", {"order": None}),
        ("order:created", {"order": {"quantity": 7}}),
        ("something:else", {}),
    ],
    ids=str,
)
def test_an_event_of_another_publisher_is_not_judged(event: str, payload: dict[str, Any]) -> None:
    assert not is_altered(event, payload)
