"""Each event that a scenario can publish, from its payload through the gateway to the ledger."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.contract import CHANNELS, EVENTS, Audience, EventRow, named_streams, symbol_room
from gateway.publication import parse_publication
from gateway.routing import Delivery, Outline, plan
from gateway.streams import Streams
from loadtests.oracles.canaries import owner_of, private_field_of
from loadtests.oracles.ledger import ACCOUNTED, Account, Ledger, LedgerRow
from loadtests.publication.payloads import PayloadMaker
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake, place_of

SYMBOL, OWNER, WATCHER = "AAA/USDT", "vu-1", "vu-2"
KEY = b"k" * 16


class Run:
    """A gateway's numbering, its publisher, and two users that hold every room."""

    def __init__(self) -> None:
        self.streams = Streams("e")
        self.maker = PayloadMaker(7, [SYMBOL], [1.0], [OWNER])
        self.ledger = Ledger()
        self.leaks: list[str] = []
        self.accounts = {user: self._open(user) for user in (OWNER, WATCHER)}

    def _open(self, user: str) -> Account:
        account = Account(user, "subscriber")
        self.ledger.keep(account)
        account.on_leak = lambda outcome, _words: self.leaks.append(outcome)
        account.welcome({"userSeq": 0, "epoch": "e"})
        for row in CHANNELS.values():
            room = symbol_room(SYMBOL, row.name) if row.takes_symbols else row.name.value
            at = dict.fromkeys(named_streams(room), 0)
            account.subscribed({"rooms": [room], "at": at})
        return account

    def publish(self, event: str) -> tuple[Delivery, ...]:
        return self.outline(event).deliveries

    def outline(self, event: str) -> Outline:
        item = self.maker.make(event, source_us=5, unix_s=0.0)
        publication = parse_publication(item)
        outline, _ = plan(publication, self.streams, now_ns=7_000, timestamp="T", key=KEY)
        return outline

    def receive(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            is_private = delivery.user_id is not None
            users = {OWNER} if is_private else {OWNER, WATCHER} - {delivery.except_user}
            for user in users:
                self.accounts[user].received(delivery.event, delivery.payload)

    def close(self) -> dict[str, LedgerRow]:
        return {row.stream: row for row in self.ledger.close(ChainMap(*self.streams.pages(100)))}


def frame_of(delivery: Delivery) -> bytes:
    text = json.dumps([delivery.event, delivery.payload], separators=(",", ":"))
    body = f"42{text}".encode()
    head = bytes([0x81, len(body)]) if len(body) < 126 else b"\x81\x7e" + len(body).to_bytes(2)
    return head + body


every_event = pytest.mark.parametrize("row", ACCOUNTED.values(), ids=ACCOUNTED)
every_private_event = pytest.mark.parametrize(
    "row", [row for row in ACCOUNTED.values() if row.subject is not None and row.subject.private]
)


@every_event
def test_the_ledger_accounts_for_every_event_that_is_published(row: EventRow) -> None:
    run = Run()
    for _ in range(3):
        run.receive(run.publish(row.name))
    kept = {stream: line for stream, line in run.close().items() if line.owed}
    kinds = {row.stream.kind} | ({"user"} if owned(row) else set())
    assert {stream.partition(":")[0] for stream in kept} == kinds
    assert all(line.owed == line.received == 3 * line.clients for line in kept.values())
    assert run.leaks == []


@every_event
def test_the_ledger_finds_what_is_lost_of_every_event(row: EventRow) -> None:
    run = Run()
    for number in range(3):
        deliveries = run.publish(row.name)
        if number != 1:
            run.receive(deliveries)
    assert all(line.lost == line.clients for line in run.close().values() if line.owed)


@every_event
def test_the_fast_path_takes_what_many_users_are_sent_of_every_event(row: EventRow) -> None:
    run, intake = Run(), Intake()
    fast_path = FastPath(intake, owner=0)
    outline = run.outline(row.name)
    for delivery in outline.deliveries:
        place = place_of(delivery.event, delivery.payload)
        assert place is not None
        assert place.stream == (outline.stream if delivery.user_id is None else "user")
        frame = frame_of(delivery)
        fast_path.follow(place.stream, 0)
        is_shared = delivery.user_id is None
        assert fast_path.take(frame, 0, 1) == (len(frame) if is_shared else 0)


@every_private_event
def test_the_canary_of_every_private_event_names_its_owner(row: EventRow) -> None:
    run = Run()
    own = next(delivery for delivery in run.publish(row.name) if delivery.user_id is not None)
    assert owner_of(row.name, own.payload) == OWNER
    run.accounts[WATCHER].received(row.name, own.payload)
    assert run.leaks == ["foreign"]


@every_private_event
def test_every_private_field_in_a_public_form_is_found(row: EventRow) -> None:
    assert row.subject is not None
    if row.audience is not Audience.OWNER_AND_PUBLIC:
        assert private_field_of(row.name, {"seq": 1}) is not None
        return
    public = Run().publish(row.name)[-1].payload
    assert private_field_of(row.name, public) is None
    for field in set(row.subject.private) - {"id"}:
        leaking: dict[str, Any] = {**public[row.subject.key], field: "x"}
        assert private_field_of(row.name, {**public, row.subject.key: leaking}) is not None


def owned(row: EventRow) -> bool:
    return row.audience in (Audience.OWNER_AND_PUBLIC, Audience.USER)


def test_every_event_that_names_a_stream_of_a_room_is_accounted_for() -> None:
    rooms = [
        symbol_room(SYMBOL, r.name) if r.takes_symbols else r.name.value for r in CHANNELS.values()
    ]
    named = {stream for room in rooms for stream in named_streams(room)}
    kinds = {row.stream.kind for row in ACCOUNTED.values()} - {
        EVENTS["balance:updated"].stream.kind
    }
    assert {stream.partition(":")[0] for stream in named} == kinds
