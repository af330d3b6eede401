"""The providers through a real gateway, against a server of each provider's wire format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blackbox.client import RawClient
from blackbox.process import GatewayProcess
from deadlines import PROMPT_S, until
from model_server import KEY, PIECES, PROVIDERS, UPSTREAM_TEXT, Asked, Mischief, ModelServer

from gateway.contract import ErrorCode
from gateway.llm import TROUBLES, Trouble

StartGateway = Callable[..., GatewayProcess]
Connect = Callable[..., RawClient]
SILENCE_S = 1.0
SECRET_PROMPT = "prompt-that-no-log-may-hold"
WHOLE = "".join((*PIECES, " 🌊"))

FAILURES = {
    Mischief.UNAUTHORIZED: Trouble.CREDENTIALS,
    Mischief.BUSY: Trouble.BUSY,
    Mischief.BROKEN: Trouble.FAILED,
    Mischief.BAD_REQUEST: Trouble.REJECTED,
    Mischief.CUT: Trouble.CUT,
    Mischief.UNFINISHED: Trouble.CUT,
    Mischief.NO_JSON: Trouble.MALFORMED,
    Mischief.OTHER_SHAPE: Trouble.MALFORMED,
    Mischief.SILENT: Trouble.SILENT,
    Mischief.SILENT_LATER: Trouble.SILENT,
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """Return the providers' server for all tests."""
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """Return the name of each provider in turn."""
    return str(request.param)


@pytest.fixture
def model_gateway(
    server: ModelServer, provider: str, shared_gateway: StartGateway
) -> GatewayProcess:
    """Return a gateway that has that server for the provider, and logs all that it may."""
    return shared_gateway(
        GATEWAY_LOG_LEVEL="DEBUG",
        GATEWAY_MODEL_SILENCE_SECONDS=SILENCE_S,
        GATEWAY_MODEL_MAX_TOKENS=77,
        **server.settings(provider),
    )


def ask(client: RawClient, provider: str, mischief: Mischief, session: str = "s-1") -> Any:
    messages = [
        {"role": "system", "content": SECRET_PROMPT},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": mischief},
    ]
    chat = {"sessionId": session, "provider": provider, "messages": messages}
    return client.call("llm:chat:stream", chat)


def events_of(client: RawClient) -> list[tuple[str, Any]]:
    return [(name, payload) for name, payload in client.inbox if name.startswith("llm:stream:")]


def test_an_answer_arrives_piece_by_piece_and_whole(
    connect: Connect, model_gateway: GatewayProcess, server: ModelServer, provider: str
) -> None:
    client = connect(target=model_gateway)
    assert "error" not in ask(client, provider, Mischief.NONE)
    done = client.expect("llm:stream:done")
    events = events_of(client)
    assert [name for name, _ in events] == ["llm:stream:start"] + ["llm:stream:token"] * 5
    assert [payload["token"] for _, payload in events[1:]] == [*PIECES, " 🌊"]
    assert (done["fullResponse"], done["tokenCount"]) == (WHOLE, 5)
    assert [payload["seq"] for _, payload in events] + [done["seq"]] == list(range(1, 8))
    assert {payload["provider"] for _, payload in events} == {provider}
    check_request(server.asked[-1])


def check_request(asked: Asked) -> None:
    """Check that a provider got its key, its model and the whole conversation."""
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert KEY in (headers.get("x-api-key"), headers.get("x-goog-api-key")) or (
        headers["authorization"] == f"Bearer {KEY}"
    )
    body = asked.body
    if asked.provider == "gemini":
        assert [each["role"] for each in body["contents"]] == ["user", "model", "user"]
        assert body["systemInstruction"]["parts"][0]["text"] == SECRET_PROMPT
        assert body["generationConfig"]["maxOutputTokens"] == 77
    elif asked.provider == "claude":
        assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
        assert (body["system"], body["max_tokens"], body["model"]) == (SECRET_PROMPT, 77, "m-1")
    else:
        roles = ["system", "user", "assistant", "user"]
        assert [each["role"] for each in body["messages"]] == roles
        assert body.get("max_tokens", body.get("max_completion_tokens")) == 77
        assert body["stream"] is True


@pytest.mark.parametrize("mischief", FAILURES, ids=lambda mischief: mischief.name.lower())
def test_a_failure_of_a_provider_is_one_error_that_tells_nothing_of_it(
    connect: Connect,
    model_gateway: GatewayProcess,
    server: ModelServer,
    provider: str,
    mischief: Mischief,
) -> None:
    client = connect(target=model_gateway)
    before = len(server.asked)
    ask(client, provider, mischief)
    error = client.expect("llm:stream:error")
    assert error["code"] == ErrorCode.PROVIDER_ERROR
    # Google's SDK leaves out what it cannot read; then the answer has no end.
    is_left_out = (provider, mischief) == ("gemini", Mischief.OTHER_SHAPE)
    assert error["error"] == TROUBLES[Trouble.CUT if is_left_out else FAILURES[mischief]]
    ends = [
        name for name, _ in client.received() if name in ("llm:stream:done", "llm:stream:error")
    ]
    assert ends == []  # the error was the only end
    assert len(server.asked) == before + 1  # and the call was not repeated
    assert UPSTREAM_TEXT not in "".join(client.packets)
    if mischief in (Mischief.SILENT, Mischief.SILENT_LATER):
        asked = server.asked[-1]
        until(lambda: asked.gone_s is not None, "the silent call ends")


def test_an_error_inside_a_stream_is_a_failure_of_the_provider(
    connect: Connect, model_gateway: GatewayProcess, provider: str
) -> None:
    client = connect(target=model_gateway)
    ask(client, provider, Mischief.ERROR_EVENT)
    error = client.expect("llm:stream:error")
    assert error["code"] == ErrorCode.PROVIDER_ERROR
    assert error["error"] in (TROUBLES[Trouble.FAILED], TROUBLES[Trouble.MALFORMED])
    assert UPSTREAM_TEXT not in "".join(client.packets)


def test_a_cancel_ends_the_call_to_the_provider_at_once(
    connect: Connect, model_gateway: GatewayProcess, server: ModelServer, provider: str
) -> None:
    client = connect(target=model_gateway)
    ask(client, provider, Mischief.ENDLESS)
    client.expect("llm:stream:token")
    asked = server.asked[-1]
    cancelled_s = time.monotonic()
    assert client.call("llm:stream:cancel", {"sessionId": "s-1"})["cancelled"] is True
    client.expect("llm:stream:cancelled")
    until(lambda: asked.gone_s is not None, "the call ends")
    assert asked.gone_s is not None
    assert asked.gone_s - cancelled_s < PROMPT_S
    assert client.received("llm:stream:done", "llm:stream:error") == []


def test_a_client_that_leaves_ends_the_call_to_the_provider(
    connect: Connect, model_gateway: GatewayProcess, server: ModelServer, provider: str
) -> None:
    client = connect(target=model_gateway)
    ask(client, provider, Mischief.ENDLESS)
    client.expect("llm:stream:token")
    asked = server.asked[-1]
    left_s = time.monotonic()
    client.close()
    until(lambda: asked.gone_s is not None, "the call ends")
    assert asked.gone_s is not None
    assert asked.gone_s - left_s < PROMPT_S


def test_a_provider_that_cannot_be_reached_is_told_so(
    connect: Connect, start_gateway: StartGateway, server: ModelServer, provider: str
) -> None:
    nowhere = {f"GATEWAY_{provider.upper()}_BASE_URL": "http://127.0.0.1:9"}
    client = connect(target=start_gateway(**server.settings(provider) | nowhere))
    ask(client, provider, Mischief.NONE)
    assert client.expect("llm:stream:error")["error"] == TROUBLES[Trouble.UNREACHABLE]


def test_no_prompt_key_or_text_of_a_provider_is_in_the_log(
    connect: Connect, model_gateway: GatewayProcess, provider: str
) -> None:
    client = connect(target=model_gateway)
    for mischief in (Mischief.NONE, Mischief.UNAUTHORIZED, Mischief.NO_JSON, Mischief.CUT):
        ask(client, provider, mischief, mischief)
        client.expect("llm:stream:done" if mischief is Mischief.NONE else "llm:stream:error")
    until(lambda: "model provider failed" in model_gateway.log.read_text())
    text = model_gateway.log.read_text()
    for secret in (KEY, SECRET_PROMPT, UPSTREAM_TEXT, Mischief.NO_JSON, PIECES[0]):
        assert secret not in text
    assert "Traceback" not in text
    assert "error" not in {line["level"] for line in model_gateway.log_events()}
