from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.requests import (
    BadRequest,
    RequestHead,
    check_upgrade,
    is_websocket_upgrade,
    plain_response,
    read_head,
    switching_protocols,
)

MAX_BYTES = 2_048
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Host": "gateway.example:3000",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def head_bytes(
    line: str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
    headers: dict[str, str] | None = None,
    *extra: str,
) -> bytes:
    named = UPGRADE if headers is None else headers
    lines = [line, *(f"{name}: {value}" for name, value in named.items()), *extra]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def head_of(data: bytes) -> RequestHead:
    read = read_head(data, MAX_BYTES)
    assert read is not None
    assert read[1] == b""
    return read[0]


def upgrade(line: str = "GET / HTTP/1.1", /, **changes: str | None) -> RequestHead:
    """Return an upgrade's head with headers changed; None leaves one out."""
    renamed = {name.replace("_", "-"): value for name, value in changes.items()}
    merged = {name: renamed.pop(name, value) for name, value in UPGRADE.items()} | renamed
    return head_of(head_bytes(line, {n: v for n, v in merged.items() if v is not None}))


def refusal(data: bytes, max_bytes: int = MAX_BYTES) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_head(data, max_bytes)
    return caught.value


def test_a_head_tells_its_parts() -> None:
    head = head_of(head_bytes("POST /a%20b/%E2%82%AC?x=1&y=%26+z&x=2&flag HTTP/1.1"))
    assert (head.method, head.version) == ("POST", (1, 1))
    assert head.target == "/a%20b/%E2%82%AC?x=1&y=%26+z&x=2&flag"
    assert head.path == "/a b/€"
    assert head.query == "x=1&y=%26+z&x=2&flag"
    assert head.header("UPGRADE") == "websocket"
    assert head.header("origin") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", "1"), ("y", "& z"), ("flag", ""), ("é", "ü"), ("absent", None), ("", None)],
)
def test_a_parameter_is_its_first_value_decoded(name: str, value: str | None) -> None:
    head = head_of(head_bytes("GET /?x=1&y=%26+z&x=2&flag&%C3%A9=%C3%BC HTTP/1.1"))
    assert head.parameter(name) == value


@pytest.mark.parametrize(
    ("query", "conflicts"),
    [("x=1&y=1", set()), ("x=1&x=1", set()), ("x=1&x=2&y", {"x"}), ("x=a&%78=b&y&y=", {"x"})],
)
def test_parameters_with_two_values_are_found(query: str, conflicts: set[str]) -> None:
    assert head_of(head_bytes(f"GET /?{query} HTTP/1.1")).conflicts == conflicts


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("//a/b", "//a/b", ""),
        ("/a?u=http://b/c", "/a", "u=http://b/c"),
        ("http://host/a?b", "/a", "b"),
        ("HTTP://host", "/", ""),
        ("http://host?a=/b", "/", "a=/b"),
        ("http:///a", "/a", ""),
        ("*", "*", ""),
        ("/%zz%ff", "/%zz\ufffd", ""),
    ],
)
def test_path_and_query_of_every_form_of_a_target(target: str, path: str, query: str) -> None:
    head = head_of(head_bytes(f"OPTIONS {target} HTTP/1.1"))
    assert (head.path, head.query) == (path, query)


def test_repeated_headers_are_joined_in_order() -> None:
    head = head_of(head_bytes("GET / HTTP/1.1", None, "Via:a", "Accept: x", "vIA:\t b \t"))
    assert head.header("via") == "a, b"
    assert head.header_values("Via") == ["a", "b"]
    assert head.headers["via"] == "a, b"
    assert list(head.headers)[:2] == ["host", "connection"]


def test_a_name_within_a_value_is_no_header() -> None:
    head = head_of(head_bytes("GET /?origin: HTTP/1.1", None, "X: origin: evil", "Xorigin: evil"))
    assert head.header("origin") is None


def test_a_value_beyond_ascii_is_latin_1() -> None:
    assert head_of(head_bytes("GET / HTTP/1.1", None, "X: é")).header("x") == "é"


def test_an_http_1_0_request_needs_no_header_at_all() -> None:
    head = head_of(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert (head.version, dict(head.headers), head.header("host")) == ((1, 0), {}, None)


def test_the_bytes_after_the_head_are_given_back() -> None:
    raw = head_bytes()
    read = read_head(bytearray(raw + b"\x81\x80tail\r\n\r\n"), MAX_BYTES)
    assert read is not None
    assert (read[0].raw, read[1]) == (raw, b"\x81\x80tail\r\n\r\n")
    assert isinstance(read[0].raw, bytes)


def test_empty_lines_before_the_request_line_are_skipped() -> None:
    assert head_of(b"\r\n\r\n" + head_bytes()).raw == head_bytes()


@given(st.binary(max_size=30), st.data())
def test_a_head_cut_anywhere_is_the_same_head(tail: bytes, data: st.DataObject) -> None:
    raw = head_bytes()
    stream = raw + tail
    for end in sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5))):
        read = read_head(stream[:end], MAX_BYTES)
        if end < len(raw):
            assert read is None
        else:
            assert read is not None
            assert (read[0].raw, read[1]) == (raw, stream[len(raw) : end])


@st.composite
def bent_heads(draw: st.DrawFn) -> bytes:
    """Draw a right head of which some bytes are replaced by others."""
    data = head_bytes()
    splices = st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b":", b" ", b"\t", b"\r\n "])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(splices) + data[at + draw(st.integers(0, 3)) :]
    return data


@given(bent_heads() | st.binary(max_size=80))
def test_any_bytes_are_a_head_or_a_bad_request_or_incomplete(data: bytes) -> None:
    try:
        read = read_head(data, 200)
    except BadRequest:
        return
    if read is None:
        assert b"\r\n\r\n" not in data.lstrip(b"\r\n")
        return
    head, tail = read
    assert data.endswith(head.raw + tail)
    assert head.raw.endswith(b"\r\n\r\n")
    assert head.version[0] == 1
    assert {name: head.header(name) for name in head.headers} == head.headers


def test_a_head_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    raw = head_bytes()
    assert read_head(raw, len(raw)) is not None
    error = refusal(raw, len(raw) - 1)
    assert (error.status, error.message) == (431, f"head is over {len(raw) - 1} bytes")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 100, id="endless-header"),
        pytest.param(b"\r\n" * 50_000, id="endless-empty-lines"),
        pytest.param(b"\x16\x03\x01" + b"\0" * 97, id="no-line-at-all"),
    ],
)
def test_a_head_without_an_end_is_refused_at_the_limit(data: bytes) -> None:
    assert read_head(data[:99], 100) is None
    assert refusal(data[:100], 100).status == 431
    assert refusal(data, 100).status == 431


HOST = "Host: a"


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        pytest.param(["GET /", HOST], 400, "request line", id="no-version"),
        pytest.param(["GET  / HTTP/1.1", HOST], 400, "request line", id="two-spaces"),
        pytest.param(["GET / HTTP/1.1 ", HOST], 400, "request line", id="space-at-the-end"),
        pytest.param([" GET / HTTP/1.1", HOST], 400, "request line", id="space-at-the-start"),
        pytest.param(["G@T / HTTP/1.1", HOST], 400, "request line", id="method-no-token"),
        pytest.param(["GET /\x7f HTTP/1.1", HOST], 400, "request line", id="control-in-target"),
        pytest.param(["GET /é HTTP/1.1", HOST], 400, "request line", id="beyond-ascii-in-target"),
        pytest.param(["GET /a#b HTTP/1.1", HOST], 400, "request line", id="fragment-in-target"),
        pytest.param(["GET / http/1.1", HOST], 400, "request line", id="lower-case-http"),
        pytest.param(["GET / HTTP/1.1\nX: y", HOST], 400, "request line", id="bare-line-feed"),
        pytest.param(["GET a HTTP/1.1", HOST], 400, "target", id="target-without-slash"),
        pytest.param(["GET ** HTTP/1.1", HOST], 400, "target", id="two-asterisks"),
        pytest.param(["PRI * HTTP/2.0"], 505, "HTTP/1.x", id="http-2"),
        pytest.param(["GET / HTTP/0.9", HOST], 505, "HTTP/1.x", id="http-0.9"),
        pytest.param(
            ["GET / HTTP/1.1", HOST, " folded"], 400, "line 2 continues", id="folded-with-space"
        ),
        pytest.param(
            ["GET / HTTP/1.1", HOST, "\tfolded: x"], 400, "line 2 continues", id="folded-with-tab"
        ),
        pytest.param(
            ["GET / HTTP/1.1", " Host: a", "X: y"], 400, "line 1 continues", id="folded-first"
        ),
        pytest.param(["GET / HTTP/1.1", HOST, "X : y"], 400, "line 2 has a space", id="X-:-y"),
        pytest.param(["GET / HTTP/1.1", HOST, "X"], 400, "line 2 has no colon", id="no-colon"),
        pytest.param(["GET / HTTP/1.1", HOST, ": y"], 400, "malformed name", id="no-name"),
        pytest.param(["GET / HTTP/1.1", HOST, "X(: y"], 400, "malformed name", id="name-no-token"),
        pytest.param(["GET / HTTP/1.1", HOST, "X: \0"], 400, "control character", id="null"),
        pytest.param(["GET / HTTP/1.1", HOST, "X: a\rb"], 400, "control character", id="bare-cr"),
        pytest.param(["GET / HTTP/1.1", HOST, "X: a\nY: b"], 400, "control", id="bare-lf"),
        pytest.param(["GET / HTTP/1.1"], 400, "one Host is needed, not 0", id="no-host"),
        pytest.param(["GET / HTTP/1.1", HOST, HOST], 400, "not 2", id="two-hosts"),
        pytest.param(["GET / HTTP/1.0", HOST, HOST], 400, "not 2", id="two-hosts-in-1.0"),
        pytest.param(["GET / HTTP/1.1", "Host: a/b"], 400, "Host is malformed", id="path-in-host"),
    ],
)  # fmt: skip
def test_a_malformed_head_is_refused(lines: list[str], status: int, words: str) -> None:
    error = refusal("\r\n".join([*lines, "", ""]).encode())
    assert error.status == status
    assert words in error.message


def test_a_refusal_repeats_no_value_of_the_client() -> None:
    error = refusal(b"GET /?token=s3cr3t HTTP/1.1\r\nHost: s3cr3t/\r\n\r\n")
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize("host", ["a", "a.b:80", "[::1]:3000", "127.0.0.1", "a_b", ""])
def test_every_form_of_a_host_is_taken(host: str) -> None:
    assert head_of(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).header("host") == host


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
