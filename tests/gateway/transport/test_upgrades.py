from __future__ import annotations

import pytest
from request_heads import KEY, upgrade

from gateway.transport.answers import BadRequest
from gateway.transport.requests import RequestHead
from gateway.transport.upgrades import check_upgrade, is_websocket_upgrade, switching_protocols


@pytest.mark.parametrize(
    ("connection", "upgrade_to", "verdict"),
    [
        ("Upgrade", "websocket", True),
        ("keep-alive ,\tUPGRADE", "h2c, WebSocket", True),
        ("keep-alive", "websocket", False),
        ("upgrades", "websocket", False),
        ("Upgrade", "websocket/13", False),
        (None, "websocket", False),
        ("Upgrade", None, False),
    ],
)
def test_an_upgrade_names_both_tokens(
    connection: str | None, upgrade_to: str | None, verdict: bool
) -> None:
    head = upgrade(Connection=connection, Upgrade=upgrade_to)
    assert is_websocket_upgrade(head) is verdict


@pytest.mark.parametrize(
    ("head", "status", "words"),
    [
        pytest.param(upgrade("POST / HTTP/1.1"), 405, "GET", id="4.2.1-post"),
        pytest.param(upgrade("GET / HTTP/1.0"), 400, "HTTP/1.1", id="4.2.1-http-1.0"),
        pytest.param(upgrade(Upgrade="h2c"), 400, "Upgrade", id="4.2.1-another-protocol"),
        pytest.param(upgrade(Content_Length="1"), 400, "body", id="body-by-length"),
        pytest.param(upgrade(Transfer_Encoding="chunked"), 400, "body", id="body-in-chunks"),
        pytest.param(upgrade(Sec_WebSocket_Version="8"), 426, "13", id="4.4-version-8"),
        pytest.param(upgrade(Sec_WebSocket_Version="13, 8"), 426, "13", id="4.4-two-versions"),
        pytest.param(
            upgrade(Sec_WebSocket_Version=None), 426, "13", id="4.4-no-version"
        ),
        pytest.param(upgrade(Sec_WebSocket_Key=None), 400, "Key", id="4.2.1-no-key"),
        pytest.param(upgrade(Sec_WebSocket_Key=""), 400, "Key", id="4.2.1-empty-key"),
        pytest.param(
            upgrade(Sec_WebSocket_Key="c2hvcnQ="), 400, "Key", id="4.2.1-key-of-5-bytes"
        ),
        pytest.param(
            upgrade(Sec_WebSocket_Key=KEY[:-2]), 400, "Key", id="4.2.1-key-unpadded"
        ),
        pytest.param(
            upgrade(sec_websocket_key=KEY), 400, "Key", id="4.2.1-two-keys"
        ),
    ],
)  # fmt: skip
def test_a_wrong_upgrade_is_refused(head: RequestHead, status: int, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        check_upgrade(head)
    assert caught.value.status == status


def test_a_right_upgrade_is_accepted() -> None:
    check_upgrade(upgrade())
    check_upgrade(upgrade(Content_Length="0"))


def test_the_answers_to_a_wrong_version_and_method_say_what_would_be_right() -> None:
    with pytest.raises(BadRequest) as caught:
        check_upgrade(upgrade(Sec_WebSocket_Version="8"))
    assert caught.value.headers == {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}
    with pytest.raises(BadRequest) as caught:
        check_upgrade(upgrade("PUT / HTTP/1.1"))
    assert caught.value.headers == {"Allow": "GET"}


def test_the_101_accepts_the_key_of_the_rfc_and_no_extension() -> None:
    head = upgrade(Sec_WebSocket_Extensions="permessage-deflate", Sec_WebSocket_Protocol="a")
    assert switching_protocols(head, {"X-Request-Id": "7"}) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"X-Request-Id: 7\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "name", ["Upgrade", "connection", "Sec-WebSocket-Extensions", "sec-websocket-protocol"]
)
def test_a_101_takes_no_header_that_negotiates(name: str) -> None:
    with pytest.raises(ValueError, match="set by the server itself"):
        switching_protocols(upgrade(), {name: "x"})
