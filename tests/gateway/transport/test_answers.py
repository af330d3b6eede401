from __future__ import annotations

import pytest

from gateway.transport.answers import choose_encoding, plain_response


def test_a_plain_response_is_whole() -> None:
    assert plain_response(503, b"busy", "text/plain", {"Retry-After": "3"}) == (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"Connection: close\r\n"
        b"Content-Length: 4\r\n"
        b"Content-Type: text/plain\r\n"
        b"Retry-After: 3\r\n"
        b"\r\n"
        b"busy"
    )


def test_an_upgrade_that_is_offered_is_named_in_connection() -> None:
    response = plain_response(426, b"", "text/plain", {"Upgrade": "websocket"})
    assert b"\r\nConnection: close, Upgrade\r\n" in response


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("X", "a\r\nSet-Cookie: b", id="crlf"),
        pytest.param("X", "a\nb", id="lf"),
        pytest.param("X", "a\rb", id="cr"),
        pytest.param("X", "a\0b", id="null"),
        pytest.param("X\r\nY", "a", id="crlf-in-name"),
        pytest.param("X ", "a", id="space-in-name"),
        pytest.param("Content-Length", "0", id="framing"),
        pytest.param("transfer-encoding", "chunked", id="framing-too"),
        pytest.param("Content-Type", "a/b", id="given-twice"),
        pytest.param("X", "€", id="beyond-latin-1"),
    ],
)
def test_a_response_cannot_be_split_by_a_header(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        plain_response(200, b"", "text/plain", {name: value})


def test_a_content_type_cannot_split_a_response_either() -> None:
    with pytest.raises(ValueError, match="Content-Type has a control"):
        plain_response(200, b"", "text/plain\r\nX: y")


def test_a_status_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="799"):
        plain_response(799, b"", "text/plain")


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("deflate, gzip", "gzip"),
        ("br, deflate", "deflate"),
        ("gzip;q=0.5, deflate;q=1.0", "deflate"),
        ("gzip; q=0.2 ,\tdeflate ;q=0.3", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, deflate;q=0.0", None),
        ("gzip;q=0, *", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0, gzip;q=0.5", "gzip"),
        ("gzip;q=2", None),
        ("gzip;level=9", None),
        ("gzip;q=", None),
        (",,;q=1,", None),
    ],
)
def test_the_best_accepted_encoding_is_chosen(accepted: str, chosen: str | None) -> None:
    assert choose_encoding(accepted, ["gzip", "deflate"]) == chosen
