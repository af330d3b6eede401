from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_heads import MAX_BYTES, head_bytes, head_of, read_head

from gateway.transport.answers import BadRequest
from gateway.transport.heads import RequestReader


def refusal(data: bytes, max_bytes: int = MAX_BYTES) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_head(data, max_bytes)
    return caught.value


def test_an_http_1_0_request_needs_no_header_at_all() -> None:
    head = head_of(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert (head.version, dict(head.headers), head.header("host")) == ((1, 0), {}, None)


def test_the_bytes_after_the_head_are_given_back() -> None:
    raw = head_bytes()
    read = read_head(raw + b"\x81\x80tail\r\n\r\n")
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
        pytest.param(["PRI * HTTP/2.0"], 505, "HTTP/1.1", id="http-2"),
        pytest.param(["GET / HTTP/0.9", HOST], 505, "HTTP/1.1", id="http-0.9"),
        pytest.param(["GET / HTTP/1.9", HOST], 505, "HTTP/1.1", id="http-1.9"),
        pytest.param(["GET * HTTP/1.1", HOST], 400, "target", id="asterisk-without-options"),
        pytest.param(["GET http:///a HTTP/1.1", HOST], 400, "target", id="address-without-host"),
        pytest.param(["GET http://a:b/ HTTP/1.1", HOST], 400, "target", id="address-with-a-port-b"),
        pytest.param(["GET http://a@b/ HTTP/1.1", HOST], 400, "target", id="address-with-a-user"),
        pytest.param(["GET /%s HTTP/1.1" % ("a" * 9_000), HOST], 414, "8192", id="long-target"),
        pytest.param(["CONNECT a:1 HTTP/1.1", HOST], 501, "method", id="connect"),
        pytest.param(["get / HTTP/1.1", HOST], 501, "method", id="lower-case-method"),
        pytest.param(["GET / HTTP/1.1", HOST, *["X: y"] * 200], 431, "128", id="200-headers"),
        pytest.param(
            ["GET / HTTP/1.1", HOST, "Content-Length: 5", "content-length: 5"], 400,
            "one content-length", id="two-lengths"
        ),
        pytest.param(
            ["GET / HTTP/1.1", HOST, "Authorization: a", "Authorization: b"], 400,
            "one authorization", id="two-authorizations"
        ),
        pytest.param(["GET / HTTP/1.1", HOST, "Expect: é"], 417, "100-continue", id="expectation"),
        pytest.param(["GET / HTTP/1.1", "Host: a:b"], 400, "Host is malformed", id="port-b"),
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
    error = refusal("\r\n".join([*lines, "", ""]).encode(), 20_000)
    assert error.status == status
    assert words in error.message


def test_a_refusal_repeats_no_value_of_the_client() -> None:
    error = refusal(b"GET /?token=s3cr3t HTTP/1.1\r\nHost: s3cr3t/\r\n\r\n")
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize("host", ["a", "a.b:80", "[::1]:3000", "127.0.0.1", "a_b", ""])
def test_every_form_of_a_host_is_taken(host: str) -> None:
    assert head_of(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).header("host") == host


def test_a_bare_line_feed_is_refused_before_the_head_is_complete() -> None:
    error = refusal(b"GET / HTTP/1.1\nHost: a\n\n")
    assert (error.status, error.message) == (400, "a line ends without a carriage return")


@pytest.mark.parametrize("data", [b"\r\n" * 600 + head_bytes(), head_bytes("GET / HTTP/1.1")])
def test_a_head_in_many_segments_is_looked_at_once(data: bytes) -> None:
    reader = RequestReader(MAX_BYTES)
    searched = []
    for at, byte in enumerate(data):
        reader.feed(bytes([byte]))
        head = reader.read()
        searched.append(reader._searched)
        assert (head is None) is (at < len(data) - 1)
    assert max(searched) < len(head_bytes())


def test_16_kb_of_cookies_fit_in_a_head() -> None:
    reader = RequestReader()
    reader.feed(head_bytes("GET / HTTP/1.1", None, "Cookie: a=" + 16_384 * "x"))
    head = reader.read()
    assert head is not None
    assert len(head.header("cookie") or "") == 16_386


def test_heads_follow_each_other() -> None:
    reader = RequestReader()
    reader.feed(2 * head_bytes() + b"\r\n" + head_bytes("GET /3 HTTP/1.1"))
    heads = [reader.read() for _ in range(4)]
    assert [head and head.path for head in heads] == ["/socket.io/", "/socket.io/", "/3", None]
