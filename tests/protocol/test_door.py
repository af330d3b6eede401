"""The front door: it reads the first head of a connection and hands the connection on."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from typing import Any

import pytest
from aiohttp import web
from deadlines import DEADLINE_S, PROMPT_S, poll_until
from hostility import PATIENT, QUERY, QUICK, bystander, served, tables_are_empty
from http_peers import HttpPeer
from peers import RawPeer, mask_frame, push_head, upgrade_head
from serving import DOOR, OURS, Address, Transport

from gateway.transport import Door, runner_behind_door

pytestmark = pytest.mark.usefixtures("log_is_clean")

HEAD_S = 0.4


def plain_head(address: Address, path: str, *fields: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.host}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_a_silent_connection_is_closed_at_the_head_deadline() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        assert await peer.read_until_eof(HEAD_S + PROMPT_S) == b""


async def test_a_head_that_comes_byte_by_byte_is_closed_at_its_deadline() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        dribbling = asyncio.create_task(dribble(peer, upgrade_head(address, QUERY)))
        await peer.read_until_eof(HEAD_S + PROMPT_S)
        dribbling.cancel()


async def dribble(peer: RawPeer, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        for byte in data:
            await peer.send(bytes([byte]))
            await asyncio.sleep(HEAD_S / 10)


async def test_500_silent_connections_are_closed_and_leave_others_served() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        bystander(address),
        contextlib.AsyncExitStack() as stack,
    ):
        peers = [await stack.enter_async_context(RawPeer.dial(address)) for _ in range(500)]
        async with asyncio.timeout(HEAD_S + 2 * PROMPT_S):
            for peer in peers:
                assert await peer.read_until_eof(HEAD_S + 2 * PROMPT_S) == b""


async def test_an_endless_head_is_refused_and_closed() -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        with contextlib.suppress(ConnectionError):
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000)
        answer = await peer.read_until_eof(HEAD_S + PROMPT_S)
        assert not answer or answer.split()[1] in {b"400", b"431"}, answer[:100]


@pytest.mark.parametrize(
    "head",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /?%b HTTP/1.1\r\nno colon\r\n\r\n" % QUERY.encode()],
    ids=["TLS", "a header without a colon"],
)
async def test_an_invalid_head_is_refused_and_closed(head: bytes) -> None:
    async with (
        served(DOOR, **PATIENT, head_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        await peer.send(head)
        answer = await peer.read_until_eof(HEAD_S + PROMPT_S)
        assert not answer or answer.split()[1] == b"400", answer[:100]


async def test_a_head_in_two_parts_is_one_head() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        head = upgrade_head(address, QUERY)
        await peer.send(head[:40])
        await asyncio.sleep(0.05)  # the second part comes later, on purpose
        await peer.send(head[40:] + mask_frame(b"40"))
        assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
        await peer.open_session()
        assert (await peer.read_message()).startswith("40{")


SECOND_REQUESTS = {
    "version": (b"GET /plain HTTP/1.9\r\nHost: a\r\n\r\n", 505),
    "request line": (b"GET  /plain HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no Host": (b"GET /plain HTTP/1.1\r\n\r\n", 400),
    "bare line feeds": (b"GET /plain HTTP/1.1\nHost: a\n\n", 400),
    "a bare line feed": (b"GET /plain HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "two lengths": (
        b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        400,
    ),
    "a doubtful length": (
        b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        400,
    ),
    "a malformed chunk": (
        b"POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        400,
    ),
    "unknown method": (b"PURGE /plain HTTP/1.1\r\nHost: a\r\n\r\n", 501),
}


@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["pipelined", "later"])
@pytest.mark.parametrize("what", SECOND_REQUESTS)
async def test_the_second_request_is_read_as_strictly_as_the_first(
    what: str, pause_s: float
) -> None:
    request, status = SECOND_REQUESTS[what]
    for before in (b"", plain_head(Address("a", 1, "/"), "/plain")):
        async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
            await peer.send(before)
            await asyncio.sleep(pause_s)  # the second request comes later, on purpose
            await peer.send(request)
            if before:
                assert await peer.read_reply() == (200, "plain")
            assert (await peer.read_until_eof(PROMPT_S)).split()[1] == str(status).encode()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(
            plain_head(address, "/plain")
            + b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            + b"POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"3\r\nabc\r\n0\r\n\r\n"
            + 20 * plain_head(address, "/plain")
        )
        replies = [await peer.read_reply() for _ in range(23)]
        assert [reply.status for reply in replies] == [200, 405, 404, *20 * [200]]


async def test_requests_are_answered_to_a_client_that_has_closed_its_sending_side() -> None:
    async with served(DOOR, **PATIENT) as (server, address), RawPeer.dial(address) as peer:
        await peer.send(3 * plain_head(address, "/plain"))
        peer.writer.write_eof()
        answers = await peer.read_until_eof(PROMPT_S)
        assert answers.count(b"HTTP/1.1 200 ") == 3
        await poll_until(lambda: not server.eio.doors, "no connection is held")


async def test_a_body_that_trickles_is_cut_on_any_route() -> None:
    async with (
        served(DOOR, **PATIENT, body_timeout=HEAD_S) as (_, address),
        RawPeer.dial(address) as peer,
    ):
        await peer.send(b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        dribbling = asyncio.create_task(dribble(peer, 100 * b"x"))
        assert (await peer.read_until_eof(HEAD_S + 2 * PROMPT_S)).split()[1] == b"405"
        dribbling.cancel()


async def test_answers_that_nobody_reads_do_not_hold_the_connection() -> None:
    async with (
        served(DOOR, **PATIENT, body_timeout=HEAD_S) as (server, address),
        RawPeer.dial(address, receive_buffer=4_096) as peer,
    ):
        asked = "Access-Control-Request-Headers: " + 30_000 * "x"  # comes back in the answer
        heads = plain_head(address, address.path, asked).replace(b"GET", b"OPTIONS")

        async def ask_on() -> None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                while True:
                    peer.writer.write(heads)
                    await peer.writer.drain()

        asking = asyncio.create_task(ask_on())
        await asyncio.wait_for(asyncio.shield(asking), DEADLINE_S)  # it ends with a reset
        await poll_until(lambda: not server.eio.doors, "no connection is held")


async def test_an_answer_before_the_end_of_the_body_closes_and_says_so() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
        head = await peer.read_head()
        assert head.startswith("HTTP/1.1 405 ")
        assert "\r\nConnection: close\r\n" in head
        await peer.send(b"c" + plain_head(address, "/plain"))
        assert b"HTTP/1.1" not in await peer.read_until_eof(PROMPT_S)


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async with served(DOOR, **PATIENT) as (_, address), HttpPeer.to(address) as http:
        sid = await http.open_polling()
        async with RawPeer.dial(address) as peer:
            await peer.send(push_head(address, sid, "Content-Length: 9000000") + 5_000_000 * b"x")
            assert (await peer.read_head()).startswith("HTTP/1.1 413 ")


async def test_a_compressed_body_is_not_inflated() -> None:
    body = gzip.compress(bytes(2_000_000))
    fields = ("Content-Encoding: gzip", f"Content-Length: {len(body)}")
    for transport in (OURS, DOOR):
        async with served(transport, **PATIENT) as (_, address), HttpPeer.to(address) as http:
            sid = await http.open_polling()
            async with RawPeer.dial(address) as peer:
                await peer.send(push_head(address, sid, *fields) + body)
                assert (await peer.read_head()).startswith("HTTP/1.1 415 ")


async def test_16_kb_of_cookies_are_taken_on_both_transports() -> None:
    cookies = f"Cookie: a={16_384 * 'x'}"
    async with served(DOOR, **QUICK) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(plain_head(address, f"{address.path}?EIO=4&transport=polling", cookies))
        assert (await peer.read_reply()).status == 200
        headers = {"Cookie": cookies.removeprefix("Cookie: ")}
        async with RawPeer.websocket(address, QUERY, headers=headers) as websocket:
            await websocket.open_session()


@pytest.mark.parametrize("transport", [OURS, DOOR], ids=lambda one: one.name)
async def test_the_path_needs_no_slash_at_its_end(transport: Transport) -> None:
    async with served(transport, **QUICK) as (_, address), RawPeer.dial(address) as peer:
        bare = Address(address.host, address.port, address.path.rstrip("/"))
        await peer.send(plain_head(bare, f"{bare.path}?EIO=4&transport=polling"))
        assert (await peer.read_reply()).status == 200
        async with RawPeer.websocket(bare, QUERY) as websocket:
            await websocket.open_session()


@pytest.mark.parametrize("transport", [OURS, DOOR], ids=lambda one: one.name)
async def test_no_cache_keeps_an_answer_of_engine_io(transport: Transport) -> None:
    path = "/socket.io/"
    async with served(transport, **QUICK) as (_, address):
        for request in (
            plain_head(address, f"{path}?EIO=4&transport=polling", "Origin: http://a"),
            plain_head(address, f"{path}?EIO=4&transport=polling&sid=none"),
            plain_head(address, f"{path}?EIO=3&transport=polling"),
            plain_head(address, path).replace(b"GET", b"OPTIONS"),
            upgrade_head(address, "EIO=3&transport=websocket"),
        ):
            async with RawPeer.dial(address) as peer:
                await peer.send(request)
                head = (await peer.read_head()).lower()
            assert "\r\ncache-control: no-store\r\n" in head, request
            assert "\r\nvary: origin\r\n" in head, request


@pytest.mark.parametrize("transport", [OURS, DOOR], ids=lambda one: one.name)
async def test_idle_polls_wake_nothing_and_end_with_their_connections(
    transport: Transport,
) -> None:
    loop: Any = asyncio.get_running_loop()

    def soon() -> int:
        timers = [one for one in loop._scheduled if not one.cancelled()]
        return sum(one.when() < loop.time() + 1 for one in timers)

    async with served(transport, **PATIENT) as (server, address):
        async with contextlib.AsyncExitStack() as stack:
            http = await stack.enter_async_context(HttpPeer.to(address))
            peers = [await stack.enter_async_context(RawPeer.dial(address)) for _ in range(20)]
            for peer in peers:
                sid = await http.open_polling()
                path = f"{address.path}?EIO=4&transport=polling&sid={sid}"
                await peer.send(plain_head(address, path))
            sessions = list(server.eio.sockets.values())
            await poll_until(lambda: all(one.poll for one in sessions), "all poll")
            assert soon() < len(peers) / 2
        await poll_until(lambda: not server.eio.sockets, "sessions ended", PROMPT_S)


async def test_an_idle_connection_is_closed_after_the_keep_alive_time() -> None:
    app = web.Application()
    server = DOOR.engineio()
    server.attach(app)
    runner = runner_behind_door(app, keepalive_timeout=HEAD_S)
    await runner.setup()
    serve_http = runner.server
    assert serve_http is not None
    listening = await asyncio.get_running_loop().create_server(
        lambda: Door(server, serve_http), "127.0.0.1", 0
    )
    address = Address("127.0.0.1", listening.sockets[0].getsockname()[1], "/")
    async with RawPeer.dial(address) as peer:
        await peer.send(2 * plain_head(address, "/none"))
        assert [(await peer.read_reply()).status for _ in range(2)] == [404, 404]
        assert await peer.read_until_eof(HEAD_S + PROMPT_S) == b""
    listening.close()
    await runner.cleanup()


async def test_the_application_s_own_routes_are_served() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(2 * plain_head(address, "/plain"))
        assert [await peer.read_reply() for _ in range(2)] == [(200, "plain")] * 2


async def test_a_websocket_for_another_path_gets_404() -> None:
    async with served(DOOR, **PATIENT) as (_, address), RawPeer.dial(address) as peer:
        await peer.send(upgrade_head(Address(address.host, address.port, "/none/"), QUERY))
        assert (await peer.read_reply()).status == 404


async def test_a_polling_session_is_upgraded_on_a_connection_of_its_own() -> None:
    async with served(DOOR, **PATIENT) as (_, address), HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        async with RawPeer.websocket(address, f"{QUERY}&sid={sid}") as raw:
            await raw.send_packets("2probe")
            assert await raw.read_packet() == "3probe"
            await raw.send_packets("5", "40")
            assert (await raw.read_message()).startswith("40{")


async def test_a_connection_that_polled_before_can_upgrade() -> None:
    async with served(DOOR, **QUICK) as (server, address), RawPeer.dial(address) as peer:
        await peer.send(plain_head(address, f"{address.path}?EIO=4&transport=polling"))
        assert (await peer.read_reply()).status == 200
        await peer.send(upgrade_head(address, QUERY) + mask_frame(b"40"))
        assert (await peer.read_head()).startswith("HTTP/1.1 101 ")
        await peer.open_session()
        assert (await peer.read_message()).startswith("40{")
        assert len(server.eio.sockets) == 2


async def test_a_websocket_that_closes_at_once_leaves_nothing_behind() -> None:
    async with served(DOOR, **PATIENT) as (server, address):
        for _ in range(50):
            async with RawPeer.dial(address) as peer:
                await peer.send(upgrade_head(address, QUERY) + mask_frame(b"40"))
        await poll_until(lambda: tables_are_empty(server), "gone", PROMPT_S)
