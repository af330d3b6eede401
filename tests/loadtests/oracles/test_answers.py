from __future__ import annotations

from typing import Any

import pytest

from gateway.contract import iso_timestamp
from loadtests.oracles.answers import mistake_in_answer, mistake_in_welcome
from loadtests.tokens import mint

TWO = {"channel": "market-data", "symbols": ["A", "B"]}
TWO_ANSWERED = {
    "channel": "market-data",
    "symbols": ["B", "A"],
    "rooms": ["market-data:A", "market-data:B"],
    "at": {},
}
TOKEN = mint("x" * 32, "vu-1", lifetime_s=60, unix_s=1_000)
PONG = {"timestamp": "t", "received": 5, "sent": 6}


@pytest.mark.parametrize(
    ("event", "request_", "answer"),
    [
        ("subscribe", TWO, TWO_ANSWERED),
        ("unsubscribe", TWO, TWO_ANSWERED),
        ("subscribe", {**TWO, "maxRate": 5}, {**TWO_ANSWERED, "maxRate": 5}),
        ("subscribe", {"channel": "trading"}, {"channel": "trading", "rooms": ["trading"]}),
        ("subscribe", {**TWO, "symbols": ["A", "B", "A"]}, TWO_ANSWERED),
        ("get-subscriptions", None, {"subscriptions": ["trading"], "count": 1}),
        ("ping", None, PONG),
        ("token:refresh", {"token": TOKEN}, {"expiresAt": iso_timestamp(1_060)}),
        ("llm:stream:cancel", {"sessionId": "s"}, {"sessionId": "s", "cancelled": False}),
        ("an event of somebody's own", {"a": 1}, "anything"),
    ],
    ids=str,
)
def test_an_answer_to_its_own_request_is_right(event: str, request_: Any, answer: Any) -> None:
    assert mistake_in_answer(event, request_, answer) is None


@pytest.mark.parametrize(
    ("event", "request_", "answer", "words"),
    [
        ("subscribe", TWO, {**TWO_ANSWERED, "channel": "trading"}, "channel"),
        ("subscribe", TWO, {**TWO_ANSWERED, "rooms": ["market-data:A", "market-data:C"]}, "rooms"),
        ("subscribe", TWO, {**TWO_ANSWERED, "rooms": ["market-data:A"]}, "rooms"),
        ("subscribe", TWO, {**TWO_ANSWERED, "rooms": [[], {}]}, "rooms"),
        ("subscribe", TWO, {**TWO_ANSWERED, "symbols": ["A"]}, "symbols"),
        ("subscribe", TWO, PONG, "channel"),
        ("subscribe", TWO, {**TWO_ANSWERED, "maxRate": 5}, "maxRate"),
        ("subscribe", {**TWO, "maxRate": 5}, TWO_ANSWERED, "maxRate"),
        ("subscribe", {**TWO, "maxRate": 5}, {**TWO_ANSWERED, "maxRate": 1}, "maxRate"),
        ("ping", None, TWO_ANSWERED, "received"),
        ("ping", None, {**PONG, "received": 7}, "received"),
        ("get-subscriptions", None, {"subscriptions": ["trading"], "count": 2}, "count"),
        ("get-subscriptions", None, PONG, "count"),
        ("token:refresh", {"token": TOKEN}, {"expiresAt": iso_timestamp(1_061)}, "expiresAt"),
        ("llm:stream:cancel", {"sessionId": "s"}, {"sessionId": "t"}, "sessionId"),
        ("subscribe", TWO, None, "None"),
    ],
    ids=str,
)
def test_an_answer_to_another_request_is_wrong(
    event: str, request_: Any, answer: Any, words: str
) -> None:
    mistake = mistake_in_answer(event, request_, answer)
    assert mistake is not None
    assert mistake.startswith(event)
    assert words in mistake


def test_listed_subscriptions_are_compared_with_the_rooms_that_are_held() -> None:
    answer = {"subscriptions": ["trading", "market-data:A"], "count": 2}
    for held, is_right in ((None, True), ({"market-data:A", "trading"}, True), (set(), False)):
        mistake = mistake_in_answer("get-subscriptions", None, answer, held)
        assert (mistake is None) is is_right


def test_a_welcome_names_the_tokens_user_and_the_connections_id() -> None:
    welcome = {"userId": "vu-1", "clientId": "sid"}
    assert mistake_in_welcome(welcome, "vu-1", "sid") is None
    assert "userId" in str(mistake_in_welcome(welcome, "vu-2", "sid"))
    assert "clientId" in str(mistake_in_welcome(welcome, "vu-1", "another"))
    assert "userId" in str(mistake_in_welcome({}, "vu-1", "sid"))
