"""Model streams of a real gateway, with the provider ``scripted``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import until

from gateway.contract import DRAIN_PATH, METRICS_PATH, ErrorCode
from gateway.llm import TROUBLES, Trouble

StartGateway = Callable[..., GatewayProcess]
Connect = Callable[..., RawClient]
WORDS = [f"word{number:03d}" + 50 * "x" for number in range(100)]
FAST = {"GATEWAY_SCRIPTED_TOKENS": 3_000, "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": 100_000}
"""An answer of 170 KB in a moment."""
UNHURRIED = {"GATEWAY_SCRIPTED_TOKENS": 1_000, "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": 20}
"""An answer that outlasts its test."""


def chat(client: RawClient, session: str = "s-1", content: str = "hello") -> Any:
    messages = [{"role": "user", "content": content}]
    request = {"sessionId": session, "provider": "scripted", "messages": messages}
    return client.call("llm:chat:stream", request)


def take(client: RawClient, name: str) -> list[Any]:
    return [payload for event, payload in client.inbox if event == name]


def whole_answer(tokens: int) -> str:
    return " ".join(WORDS[number % len(WORDS)] for number in range(tokens))


def test_a_fast_model_never_closes_a_client_that_does_not_read_and_its_text_is_whole(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**FAST, GATEWAY_MAX_SEND_SECONDS=0.3, GATEWAY_MAX_SEND_BYTES=65_536)
    client = connect(target=gateway, receive_buffer=4_096)
    chat(client, content=" ".join(WORDS))
    time.sleep(1.5)  # five times the age at which queued bytes close a client
    done = client.expect("llm:stream:done")
    tokens = take(client, "llm:stream:token")
    assert "".join(payload["token"] for payload in tokens) == whole_answer(3_000)
    assert (done["fullResponse"], done["tokenCount"]) == (whole_answer(3_000), 3_000)
    assert max(len(payload["token"].split()) for payload in tokens) > 10  # they were joined
    assert [payload["seq"] for payload in tokens] == list(range(2, len(tokens) + 2))


def test_a_watcher_that_does_not_read_delays_nobody_and_gets_the_whole_text(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**FAST, GATEWAY_MAX_SEND_SECONDS=0.3, GATEWAY_MAX_SEND_BYTES=65_536)
    asker, prompt = connect("thinker", target=gateway), connect("thinker", target=gateway)
    slow = connect("thinker", target=gateway, receive_buffer=4_096)
    for watcher in (prompt, slow):
        watcher.call("subscribe", {"channel": "llm"})
    chat(asker, content=" ".join(WORDS))
    asker.expect("llm:stream:done")
    assert chunks_of(prompt) == whole_answer(3_000)
    time.sleep(1.0)
    assert chunks_of(slow) == whole_answer(3_000)
    assert take(asker, "llm:stream") == []


def chunks_of(watcher: RawClient) -> str:
    """Return a watcher's text, after a check of its numbers; the stream must be over."""
    text, last = "", 0
    while True:
        payload = watcher.expect("llm:stream")
        assert payload.get("prevSeq", payload["seq"] - 1) == last
        last = payload["seq"]
        if payload["done"]:
            assert payload["chunk"] is None
            return text
        text += payload["chunk"]


def test_a_stream_of_a_user_is_nobody_else_s(connect: Connect, start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    clients = [connect(f"user-{number}", target=gateway) for number in range(2)]
    for number, client in enumerate(clients):
        client.call("subscribe", {"channel": "llm"})
        chat(client, "same", f"of-{number}")
    for number, client in enumerate(clients):
        done = client.expect("llm:stream:done")
        assert set(done["fullResponse"].split()) == {f"of-{number}"}
        assert client.received("llm:stream") == []


def test_a_user_may_have_three_streams_at_once_and_a_gateway_as_many_as_it_is_told(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**UNHURRIED, GATEWAY_MAX_STREAMS=4)
    first, second = connect("first", target=gateway), connect("second", target=gateway)
    for number in range(3):
        assert "error" not in chat(first, f"s-{number}")
    refused = chat(first, "s-3")
    assert refused["error"]["code"] == ErrorCode.TOO_MANY_STREAMS
    assert first.expect("llm:stream:error")["code"] == ErrorCode.TOO_MANY_STREAMS
    assert "error" not in chat(second, "s-0")
    assert chat(second, "s-1")["error"]["code"] == ErrorCode.TOO_MANY_STREAMS
    first.call("llm:stream:cancel", {"sessionId": "s-0"})
    first.expect("llm:stream:cancelled")
    assert "error" not in chat(first, "s-0")


def test_a_stream_is_cancelled_by_the_client_that_asked_alone_and_its_name_is_free_then(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**UNHURRIED)
    asker, watcher = connect("one", target=gateway), connect("one", target=gateway)
    watcher.call("subscribe", {"channel": "llm"})
    chat(asker)
    assert watcher.call("llm:stream:cancel", {"sessionId": "s-1"})["cancelled"] is False
    assert chat(watcher)["error"]["code"] == ErrorCode.SESSION_EXISTS
    assert asker.call("llm:stream:cancel", {"sessionId": "s-1"})["cancelled"] is True
    assert asker.call("llm:stream:cancel", {"sessionId": "s-1"})["cancelled"] is False
    asker.expect("llm:stream:cancelled")
    watcher.expect("llm:stream:error")  # of its own request
    while not (last := watcher.expect("llm:stream"))["done"]:
        pass
    assert (last["chunk"], last["cancelled"]) == (None, True)
    assert "error" not in chat(asker)


def test_a_stream_that_is_cancelled_at_once_still_has_a_start_and_one_end(
    connect: Connect, start_gateway: StartGateway
) -> None:
    client = connect(target=start_gateway(**UNHURRIED))
    messages = [{"role": "user", "content": "hello"}]
    client.emit("llm:chat:stream", {"sessionId": "s", "provider": "scripted", "messages": messages})
    client.emit("llm:stream:cancel", {"sessionId": "s"})
    names = [name for name, _ in client.received() if name.startswith("llm:")]
    ignored = ("llm:stream:token", "llm:stream:cancel:acknowledged")
    assert [name for name in names if name not in ignored] == [
        "llm:chat:stream:acknowledged",
        "llm:stream:start",
        "llm:stream:cancelled",
    ]


@pytest.mark.parametrize(
    ("settings", "trouble"),
    [
        ({"GATEWAY_MODEL_TOTAL_SECONDS": 0.5}, Trouble.TOO_LONG),
        (
            {"GATEWAY_MODEL_SILENCE_SECONDS": 0.2, "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": 0.5},
            Trouble.SILENT,
        ),
    ],
    ids=["total", "silence"],
)
def test_a_stream_over_its_deadline_ends_with_an_error(
    connect: Connect,
    start_gateway: StartGateway,
    settings: dict[str, object],
    trouble: Trouble,
) -> None:
    asker_gateway = start_gateway(**UNHURRIED | settings)
    asker, watcher = connect("one", target=asker_gateway), connect("one", target=asker_gateway)
    watcher.call("subscribe", {"channel": "llm"})
    chat(asker)
    error = asker.expect("llm:stream:error")
    assert (error["code"], error["error"]) == (ErrorCode.PROVIDER_ERROR, TROUBLES[trouble])
    while not (last := watcher.expect("llm:stream"))["done"]:
        pass
    assert last["error"] == TROUBLES[trouble]


def test_a_drain_ends_every_stream_and_starts_no_more(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**UNHURRIED)
    client = connect(target=gateway)
    chat(client)
    token = gateway.token("operator", scope="admin")
    assert gateway.request("POST", DRAIN_PATH, token=token).status < 300
    assert client.expect("llm:stream:error")["code"] == ErrorCode.SERVER_DRAINING
    client.wait_until_closed()
    assert running_streams(gateway) == 0


def test_a_token_without_the_channel_may_not_ask_a_model(
    connect: Connect, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    token = gateway.token("one", entitlements={"trading": True})
    client = connect(target=gateway, token=token)
    assert chat(client)["error"]["code"] == ErrorCode.NOT_ALLOWED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sessionId": "x" * 257}, "sessionId must have at most 256 characters"),
        (
            {"messages": [{"role": "wizard", "content": "hi"}]},
            "messages[0].role must be one of system, user, assistant",
        ),
    ],
    ids=["session", "role"],
)
def test_a_request_that_no_provider_takes_is_refused(
    connect: Connect, gateway: Target, change: dict[str, Any], words: str
) -> None:
    client = connect(target=gateway)
    messages = [{"role": "user", "content": "hello"}]
    request = {"sessionId": "s", "provider": "scripted", "messages": messages} | change
    error = client.call("llm:chat:stream", request)["error"]
    assert (error["code"], error["message"]) == (ErrorCode.INVALID_PAYLOAD, words)


def test_production_has_no_scripted_model_unless_it_is_told_to(
    connect: Connect, start_gateway: StartGateway
) -> None:
    client = connect(target=start_gateway(GATEWAY_SCRIPTED=None))
    assert chat(client)["error"]["code"] == ErrorCode.PROVIDER_NOT_FOUND


def test_streams_are_counted_by_how_they_end(connect: Connect, start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_SCRIPTED_TOKENS=2, GATEWAY_SCRIPTED_TOKENS_PER_SECOND=10)
    staying, leaving = connect(target=gateway), connect(target=gateway)
    chat(staying)
    chat(leaving)
    assert running_streams(gateway) == 2
    leaving.close()
    staying.expect("llm:stream:done")
    until(lambda: running_streams(gateway) == 0)
    text = gateway.get(METRICS_PATH).text
    assert 'tidegate_model_streams_started_total{provider="scripted"} 2.0' in text
    assert 'tidegate_model_streams_ended_total{outcome="done"} 1.0' in text
    assert 'tidegate_model_streams_ended_total{outcome="left"} 1.0' in text
    assert "tidegate_model_first_token_seconds_count" in text


def running_streams(gateway: Target) -> int:
    lines = gateway.get(METRICS_PATH).text.splitlines()
    values = [line.split()[-1] for line in lines if line.startswith("tidegate_model_streams ")]
    return int(float(values[0]))
