"""The parser of request heads beside h11, over a corpus and its mutations.

What we accept, h11 must accept, with the same method, target, version, headers and length of the
body: a difference there is what request smuggling is made of. What h11 accepts, we may refuse for
one of the reasons of ``STRICTER``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h11
import pytest
from h11._connection import _body_framing  # the length of a body has no public name
from mutations import mutations

from gateway.transport.answers import BadRequest
from gateway.transport.bodies import ChunkedBody, SizedBody, body_of
from gateway.transport.heads import MAX_HEAD_BYTES, RequestReader

CORPUS: Final = [
    text.encode("latin-1")
    for text in json.loads((Path(__file__).parent / "corpus/heads.json").read_text())
]
PIECES: Final = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b"\x7f", b"\xff", b"%00", b"?", b"#", b"@",
    b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"Host: b\r\n", b"HTTP/1.1", b"HTTP/1.0", b"chunked", b"identity", b",", b"0", b"-1", b"0x5",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"[", b"]", b"http://",
)  # fmt: skip
SUITE: Final = 6_000
PROOF: Final = 1_000_000

STRICTER: Final = {
    "request line is malformed": "h11 takes any bytes but controls in a target; RFC 3986 does not",
    "request target is malformed": "h11 takes any target; we serve paths and whole addresses",
    "target is over": "h11 has no limit of its own for the target",
    "method is unknown": "h11 takes any token; RFC 9110 9.3 lists the methods",
    "only HTTP/1.1 and HTTP/1.0": "h11 takes any version; we speak two",
    "a line ends without a carriage return": "h11 takes a line feed alone (RFC 9112 2.2: MAY)",
    "header line": "h11 joins folded lines, and takes some control characters; RFC 9112 5.2, "
    "RFC 9110 5.5",
    "Host is malformed": "h11 takes any text; RFC 9112 3.2",
    "one ": "h11 takes a second line of all headers but Host, even of equal Content-Lengths",
    "more than": "h11 has no limit of its own for the number of headers",
    "head is over": "h11 counts without the empty lines before the head",
    "Transfer-Encoding needs": "h11 lets it win over Content-Length, and takes it from HTTP/1.0; "
    "RFC 9112 6.1",
    "Content-Length is malformed": "h11 takes equal lengths in one line, and any number of digits",
    "Expect": "h11 leaves expectations to its caller",
}
"""Why we refuse what h11 accepts, by the beginning of our message."""


@dataclass(frozen=True)
class Read:
    """What a parser makes of a head: ``None`` for what it refuses or finds incomplete."""

    method: bytes
    target: bytes
    version: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: object


def ours(data: bytes) -> Read | str:
    """Return a head as we read it, or why not."""
    reader = RequestReader()
    reader.feed(data)
    try:
        head = reader.read()
        if head is None:
            return "incomplete"
        body = body_of(head)
    except BadRequest as error:
        return error.message
    lines = [line.partition(b":") for line in head.raw[:-4].split(b"\r\n")[1:]]
    return Read(
        head.method.encode(),
        head.target.encode(),
        b"%d.%d" % head.version,
        tuple(_normalized(name.lower(), value.strip(b" \t")) for name, _, value in lines),
        "chunked"
        if isinstance(body, ChunkedBody)
        else body._left_bytes
        if isinstance(body, SizedBody)
        else 0,
    )


def _normalized(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header as h11 gives it: codings have no case (RFC 9112 7)."""
    return name, value.lower() if name == b"transfer-encoding" else value


def theirs(data: bytes) -> Read | str:
    """Return a head as h11 reads it, or why not."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    while data.startswith(b"\r\n"):  # RFC 9112 2.2 asks servers to skip them; h11 does not
        data = data[2:]
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return str(error)
    if not isinstance(event, h11.Request):
        return "incomplete"
    framing: tuple[str, Any] = _body_framing(event.method, event)
    kind, sizes = framing
    return Read(
        event.method,
        event.target,
        event.http_version,
        tuple(event.headers),
        "chunked" if kind == "chunked" else sizes[0],
    )


def difference(data: bytes) -> str | None:
    """Return how the two readings differ in what matters, ``None`` if they do not."""
    mine, other = ours(data), theirs(data)
    if isinstance(mine, str):
        is_known = isinstance(other, str) or mine.startswith(tuple(STRICTER))
        return None if is_known else f"only h11 accepts it; we: {mine}"
    if isinstance(other, str):
        return f"only we accept it; h11: {other}"
    return None if mine == other else f"{mine} is not {other}"


def check(count: int, seed: int) -> None:
    differing = {}
    accepted = 0
    for data in mutations(CORPUS, PIECES, count, seed):
        accepted += not isinstance(ours(data), str)
        found = difference(data)
        if found is not None:
            differing[data] = found
    assert not differing, list(differing.items())[:5]
    assert accepted > count / 20  # otherwise nothing was compared


def test_whatever_we_accept_h11_reads_alike() -> None:
    check(SUITE, seed=1)


@pytest.mark.proof
def test_whatever_we_accept_h11_reads_alike_a_million_times() -> None:
    check(PROOF, seed=2)


@pytest.mark.parametrize("data", CORPUS, ids=range(len(CORPUS)))
def test_a_head_in_single_bytes_is_read_as_in_one_piece(data: bytes) -> None:
    reader = RequestReader()
    read: str | None = "incomplete"
    try:
        for at in range(len(data)):
            reader.feed(data[at : at + 1])
            head = reader.read()
            if head is not None:
                body_of(head)
                read = None
                break
    except BadRequest as error:
        read = error.message
    whole = ours(data)
    assert read == (whole if isinstance(whole, str) else None)
