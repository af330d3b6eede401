"""Contract: the events of a model's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from deadlines import DEADLINE_S

from gateway.contract import ErrorCode

Connect = Callable[..., RawClient]

CHAT: dict[str, Any] = {
    "sessionId": "s-1",
    "provider": "scripted",
    "messages": [{"role": "user", "content": "hello"}],
}


@pytest.mark.parametrize("event", ["llm:chat:stream", "llm:stream:request"])
@pytest.mark.parametrize("missing", ["sessionId", "provider", "messages"])
def test_an_incomplete_chat_request_is_refused_with_the_required_keys(
    connect: Connect, event: str, missing: str
) -> None:
    payload = {name: value for name, value in CHAT.items() if name != missing}
    client = connect()
    error = client.call(event, payload)["error"]
    assert error["code"] == ErrorCode.INVALID_PAYLOAD
    assert error["message"] == "sessionId, provider, and messages are required"
    assert client.expect_error(ErrorCode.INVALID_PAYLOAD) == error


@pytest.mark.parametrize(
    "payload",
    [
        CHAT | {"sessionId": "\ud83d"},
        CHAT | {"provider": "\ud83d"},
        CHAT | {"messages": [{"role": "user", "content": "hi \ud83d"}]},
    ],
    ids=["session", "provider", "content"],
)
def test_half_a_character_is_an_invalid_payload(connect: Connect, payload: dict[str, Any]) -> None:
    client = connect()
    assert client.call("llm:chat:stream", payload)["error"]["code"] == ErrorCode.INVALID_PAYLOAD
    cancelled = client.call("llm:stream:cancel", {"sessionId": payload["sessionId"]})
    assert ("error" in cancelled) == (payload["sessionId"] != "s-1")


@pytest.mark.parametrize("event", ["llm:chat:stream", "llm:stream:request"])
def test_an_unknown_provider_is_answered_on_the_session(connect: Connect, event: str) -> None:
    client = connect()
    client.emit(event, CHAT | {"provider": "oracle-of-delphi"})
    error = client.expect("llm:stream:error")
    assert error["sessionId"] == "s-1"
    assert error["code"] == ErrorCode.PROVIDER_NOT_FOUND


@pytest.mark.parametrize("event", ["llm:chat:stream", "llm:stream:request"])
def test_an_answer_is_acknowledged_started_streamed_and_done(connect: Connect, event: str) -> None:
    client = connect()
    answer = client.call(event, CHAT)
    assert answer["sessionId"] == "s-1"
    client.expect("llm:stream:done", DEADLINE_S)
    names = [name for name, _ in client.inbox if name.startswith("llm:")]
    assert names[:2] == ["llm:chat:stream:acknowledged", "llm:stream:start"]
    assert set(names[2:]) == {"llm:stream:token"}


def test_a_user_s_other_clients_on_llm_see_the_chunks(connect: Connect) -> None:
    asking, watching = connect("thinker"), connect("thinker")
    watching.call("subscribe", {"channel": "llm"})
    asking.call("llm:chat:stream", CHAT)
    first = watching.expect("llm:stream", DEADLINE_S)
    assert (first["sessionId"], first["done"], first["seq"]) == ("s-1", False, 1)


def test_a_session_that_is_running_cannot_be_started_twice(connect: Connect) -> None:
    client = connect()
    client.emit("llm:chat:stream", CHAT)
    client.emit("llm:chat:stream", CHAT)
    assert client.expect("llm:stream:error", DEADLINE_S)["code"] == ErrorCode.SESSION_EXISTS


def test_a_cancelled_answer_ends_with_cancelled(connect: Connect) -> None:
    client = connect()
    client.call("llm:chat:stream", CHAT)
    assert client.call("llm:stream:cancel", {"sessionId": "s-1"})["cancelled"] is True
    assert client.expect("llm:stream:cancelled", DEADLINE_S)["sessionId"] == "s-1"


def test_cancelling_an_unknown_session_is_answered_with_false(connect: Connect) -> None:
    client = connect()
    answer = client.call("llm:stream:cancel", {"sessionId": "nobody's"})
    assert answer.keys() == {"sessionId", "cancelled", "timestamp"}
    assert (answer["sessionId"], answer["cancelled"]) == ("nobody's", False)
    assert client.expect("llm:stream:cancel:acknowledged") == answer


@pytest.mark.parametrize("payload", [None, {}, {"sessionId": None}, {"sessionId": ""}])
def test_cancelling_without_a_session_is_refused(connect: Connect, payload: object) -> None:
    client = connect()
    error = client.call("llm:stream:cancel", payload)["error"]
    assert error["code"] == ErrorCode.INVALID_PAYLOAD
    assert error["message"] == "sessionId is required"
