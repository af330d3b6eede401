"""``Poster`` against servers that keep, close, delay and break what they answer."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from certificates import make_contexts
from deadlines import DEADLINE_S

from loadtests.errors import ConnectionClosed, InvalidTarget, TimedOut, Unreachable
from loadtests.publication import posting
from loadtests.publication.posting import Poster

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WHOLE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def serve(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    ends: list[asyncio.Future[None]] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(asyncio.get_running_loop().create_future())
        end = ends[-1]
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client has left
                await answer(reader, writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            end.set_result(None)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=tls)
    async with server:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*ends)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    return head, await reader.readexactly(length)


class Keeping:
    """Answers each request of a connection with ``answers`` in turn, the last one for ever."""

    def __init__(self, *answers: bytes, ends: bool = False) -> None:
        self.answers = list(answers)
        self.ends = ends
        self.connections = 0
        self.requests: list[tuple[str, bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await read_request(reader))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
            if self.ends:
                break


async def test_requests_one_after_another_share_a_connection() -> None:
    server = Keeping(WHOLE)
    async with serve(server) as url:
        poster = Poster(url, DEADLINE_S)
        for number in range(3):
            assert await poster.post("/p", b"[%d]" % number, "token") == (202, b"{}")
        poster.close()
    assert server.connections == 1
    assert [body for _, body in server.requests] == [b"[0]", b"[1]", b"[2]"]
    head = server.requests[0][0].split("\r\n")
    assert head[0] == "POST /p HTTP/1.1"
    assert f"Host: {url.removeprefix('http://')}" in head
    assert "Authorization: Bearer token" in head
    assert "Content-Type: application/json" in head


async def test_requests_side_by_side_get_their_own_answers() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        await asyncio.sleep(0.05 if json.loads(body) % 2 else 0)
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with serve(echo) as url:
        poster = Poster(url, DEADLINE_S)
        answers = await asyncio.gather(*(poster.post("/p", b"%d" % n, "t") for n in range(6)))
        poster.close()
    assert answers == [(202, b"%d" % number) for number in range(6)]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        WHOLE,
    ],
    ids=["announced", "unannounced"],
)
async def test_a_connection_that_the_server_closed_is_not_used_again(answer: bytes) -> None:
    server = Keeping(answer, ends=True)
    async with serve(server) as url:
        poster = Poster(url, DEADLINE_S)
        for _ in range(3):
            assert await poster.post("/p", b"1", "t") == (202, b"{}")
            await asyncio.sleep(0.05)  # the end of the connection arrives
        poster.close()
    assert server.connections == 3


async def test_an_answer_in_pieces_after_an_interim_one_is_whole() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        whole = (
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
        )
        for at in range(0, len(whole), 11):
            writer.write(whole[at : at + 11])
            await writer.drain()
            await asyncio.sleep(0.001)

    async with serve(slowly) as url:
        poster = Poster(url, DEADLINE_S)
        assert await poster.post("/p", b"1", "t") == (503, b'{"a":1}')
        poster.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "before its answer was whole"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 20\r\n\r\n{}", "before its answer was whole"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n{}", "the answer is no HTTP"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            "the answer is no HTTP: HttpParserUpgrade",
        ),
    ],
    ids=["none", "half", "other protocol", "bad length", "an upgrade"],
)
async def test_an_answer_that_is_not_whole_is_an_error_and_the_next_request_works(
    answer: bytes, words: str
) -> None:
    server = Keeping(answer, WHOLE, ends=True)
    async with serve(server) as url:
        poster = Poster(url, DEADLINE_S)
        with pytest.raises(ConnectionClosed, match=words):
            await poster.post("/p", b"1", "t")
        assert await poster.post("/p", b"1", "t") == (202, b"{}")
        poster.close()


async def test_a_late_answer_goes_to_nobody() -> None:
    late = asyncio.Event()

    async def first_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_first = not late.is_set()
        _, body = await read_request(reader)
        if is_first:
            await late.wait()
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\n" + body)

    async with serve(first_late) as url:
        poster = Poster(url, 0.1)
        with pytest.raises(TimedOut, match=r"POST /p did not come within 0\.1 s"):
            await poster.post("/p", b"1", "t")
        late.set()
        patient = Poster(url, DEADLINE_S)
        assert await patient.post("/p", b"2", "t") == (202, b"2")
        poster.close()
        patient.close()


async def test_a_server_that_is_not_there_and_a_url_that_names_none_are_told_apart() -> None:
    async with serve(Keeping(WHOLE)) as url:
        pass
    with pytest.raises(Unreachable, match=url):
        await Poster(url, DEADLINE_S).post("/p", b"1", "t")
    with pytest.raises(InvalidTarget):
        Poster(url + "/path", DEADLINE_S)


async def test_https_verifies_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served, trusting = make_contexts(tmp_path)
    async with serve(Keeping(WHOLE), served) as url:
        with pytest.raises(Unreachable, match="certificate"):
            await Poster(url, DEADLINE_S).post("/p", b"1", "t")
        monkeypatch.setattr(posting, "machine_authorities", lambda: trusting)
        poster = Poster(url, DEADLINE_S)
        assert await poster.post("/p", b"1", "t") == (202, b"{}")
        poster.close()
