from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_heads import head_bytes, head_of

from gateway.transport.answers import BadRequest
from gateway.transport.bodies import ChunkedBody, SizedBody, body_of

CHUNKS = b"5\r\nhello\r\n1F;a=b;c\r\n" + 31 * b"x" + b"\r\n0\r\n\r\n"


def body_with(*lines: str, version: str = "1.1") -> SizedBody | ChunkedBody | None:
    return body_of(head_of(head_bytes(f"POST / HTTP/{version}", {"Host": "a"}, *lines)))


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(["Content-Length: +5"], 400, id="plus"),
        pytest.param(["Content-Length: -1"], 400, id="minus"),
        pytest.param(["Content-Length: 5, 5"], 400, id="list"),
        pytest.param(["Content-Length: 0x5"], 400, id="hexadecimal"),
        pytest.param(["Content-Length: 1_0"], 400, id="underscore"),
        pytest.param(["Content-Length:"], 400, id="empty"),
        pytest.param(["Content-Length: " + 20 * "9"], 400, id="over-64-bits"),
        pytest.param(["Content-Length: 5", "Transfer-Encoding: chunked"], 400, id="both"),
        pytest.param(["Transfer-Encoding: gzip, chunked"], 501, id="gzip"),
        pytest.param(["Transfer-Encoding: identity"], 501, id="identity"),
        pytest.param(["Transfer-Encoding: "], 501, id="empty-coding"),
        pytest.param(["Transfer-Encoding: xchunked"], 501, id="no-coding"),
    ],
)
def test_a_doubtful_length_is_refused(lines: list[str], status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        body_with(*lines)
    assert caught.value.status == status


def test_chunks_in_http_1_0_are_refused() -> None:
    with pytest.raises(BadRequest):
        body_with("Transfer-Encoding: chunked", version="1.0")


@pytest.mark.parametrize("lines", [[], ["Content-Length: 0"], ["Content-Length: 000"]])
def test_a_request_without_a_body_has_none(lines: list[str]) -> None:
    assert body_with(*lines) is None


@given(st.data())
def test_a_body_ends_at_the_same_byte_however_it_is_cut(data: st.DataObject) -> None:
    stream = CHUNKS + b"GET / HTTP/1.1"
    body = body_with(
        *data.draw(
            st.sampled_from([["Transfer-Encoding: Chunked"], [f"Content-Length: {len(CHUNKS)}"]])
        )
    )
    assert body is not None
    taken = 0
    ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    for start, end in zip([0, *ends], [*ends, len(stream)], strict=True):
        taken += body.take(stream[start:end])
        assert body.is_complete is (end >= len(CHUNKS))
    assert taken == len(CHUNKS)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"5\nhello\r\n", id="bare-line-feed"),
        pytest.param(b"5\r\nhello\n", id="bare-line-feed-behind-data"),
        pytest.param(b"5\r\nhello!\r\n", id="longer-than-said"),
        pytest.param(b"0x5\r\nhello\r\n", id="prefix"),
        pytest.param(b"+5\r\nhello\r\n", id="plus"),
        pytest.param(b" 5\r\nhello\r\n", id="space"),
        pytest.param(b"5 ;a\r\nhello\r\n", id="space-before-extension"),
        pytest.param(b"FFFFFFFFF\r\n", id="36-bits"),
        pytest.param(b"\r\n", id="no-size"),
        pytest.param(b"0\r\nX: y\r\n\r\n", id="trailer"),
        pytest.param(b"5;" + 300 * b"a", id="endless-extension"),
        pytest.param(2_000 * b"1\r\nx\r\n", id="2000-chunks-of-a-byte"),
    ],
)
def test_a_malformed_chunk_is_refused(chunks: bytes) -> None:
    with pytest.raises(BadRequest):
        ChunkedBody().take(chunks)


def test_a_thousand_small_chunks_are_taken() -> None:
    body = ChunkedBody()
    body.take(999 * b"1\r\nx\r\n" + b"0\r\n\r\n")
    assert body.is_complete
