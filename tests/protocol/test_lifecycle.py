"""How sessions end: refused, amid an upgrade, with the application; and what is left of them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiohttp import web
from deadlines import PROMPT_S, poll_until
from hostility import PATIENT
from http_peers import HttpPeer
from peers import RawPeer, mask_frame, push_head
from scenes import hear, let_go, only_session
from serving import ENGINEIO_PATH, OURS, SOCKETIO_PATH, Address, serve

from gateway.transport import Door

CLOSE = 8


def ours(**settings: Any) -> Any:
    server = OURS.socketio(**PATIENT, **settings)
    server.on("connect", lambda sid, environ, auth: None)
    return server


def sleepers(engine: Any) -> list[Any]:
    """Return who stands in the timer wheel."""
    return [sleeper for bucket in engine._timer.wheel._buckets.values() for sleeper in bucket]


async def test_sessions_closed_during_an_upgrade_leave_nothing_that_holds_up_a_shutdown() -> None:
    engine = OURS.engineio(**PATIENT)
    async with serve(engine, ENGINEIO_PATH) as address, HttpPeer.to(address) as http:
        for _ in range(5):
            sid = await http.open_polling()
            async with RawPeer.websocket(
                address, f"EIO=4&transport=websocket&sid={sid}"
            ) as probing:
                await probing.send_packets("2probe")
                assert await probing.read_packet() == "3probe"
                assert (await http.push(sid, "1")).status == 200
                await probing.read_until_eof(PROMPT_S)
        await poll_until(lambda: not engine._closing, "nothing closing", PROMPT_S)
        assert not engine.sockets
        async with asyncio.timeout(PROMPT_S):
            await engine.shutdown()


@pytest.mark.parametrize("is_async", [False, True], ids=["at once", "later"])
async def test_a_bare_server_whose_connect_handler_raises_refuses_and_keeps_nothing(
    is_async: bool,
) -> None:
    engine = OURS.engineio(**PATIENT)

    async def raise_later() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("the application's")

    def connect(sid: str, environ: Any) -> Any:
        if is_async:
            return raise_later()
        raise RuntimeError("the application's")

    engine.on("connect", connect)
    async with serve(engine, ENGINEIO_PATH) as address, HttpPeer.to(address) as http:
        assert (await http.request("GET", "EIO=4&transport=polling")).status == 401
        assert not engine.sockets
        async with RawPeer.websocket(address) as peer:
            await peer.open_session()
            assert (await peer.read_frame(PROMPT_S))[0] == CLOSE
            peer.writer.close()
            await poll_until(lambda: not engine._closing, "the peer's end is noticed", PROMPT_S)
        assert not engine.sockets


async def test_the_application_s_cleanup_closes_clients_and_calls_their_handlers() -> None:
    server = ours()
    reasons: list[str] = []

    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0)
        reasons.append(reason)

    server.on("disconnect", disconnect)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = Address("127.0.0.1", runner.addresses[0][1], SOCKETIO_PATH)
    async with RawPeer.websocket(address) as peer:
        await peer.connect()
        cleaning = asyncio.create_task(runner.cleanup())
        try:
            assert (await peer.read_frame(PROMPT_S))[0] == CLOSE
        finally:
            peer.writer.close()
            await cleaning
    assert reasons == ["server disconnect"]
    assert not server.eio.sockets


async def test_a_second_body_while_one_is_read_is_refused_and_closes() -> None:
    server = ours()
    async with (
        serve(server) as address,
        HttpPeer.to(address) as http,
        RawPeer.dial(address) as slow,
    ):
        sid = await http.open_polling()
        fields = ("Content-Length: 2", "Expect: 100-continue")
        await slow.send(push_head(address, sid, *fields))
        assert (await slow.read_head()).startswith("HTTP/1.1 100 ")  # its body is being read
        await slow.send(b"4")
        assert (await http.push(sid, "40")).status == 400
        assert not server.eio.sockets
        await slow.send(b"0")
        await slow.read_reply()


async def test_a_closed_session_leaves_the_timer_wheel() -> None:
    server = ours()
    async with serve(server) as address:
        async with RawPeer.websocket(address) as peer:
            await peer.connect()
            session = only_session(server)
            assert session in sleepers(server.eio)
        await poll_until(lambda: not session.is_open, "session closed")
        assert not sleepers(server.eio)


async def test_a_session_that_had_a_nearer_deadline_leaves_the_timer_wheel() -> None:
    server = ours(connect_timeout=60.0)
    async with serve(server) as address:
        async with RawPeer.websocket(address) as peer:
            await peer.connect()
            session = only_session(server)
            session.pause_writing()
            await server.emit("event")  # it may wait for less time than a ping is away
            await let_go(server)
            assert sleepers(server.eio) == [session]
        await poll_until(lambda: not session.is_open, "session closed")
        assert not sleepers(server.eio)


async def test_a_polling_session_that_its_client_closes_leaves_the_timer_wheel() -> None:
    server = ours(close_timeout=0.2)
    async with serve(server) as address, HttpPeer.to(address) as http:
        sid = await http.open_polling()
        await http.push(sid, "1")
        await poll_until(lambda: not server.eio.sockets, "session closed")
        # Its deadline to close is the last that may stand there.
        await poll_until(lambda: not sleepers(server.eio), "left", 0.2 + PROMPT_S)


async def test_a_door_lets_go_of_what_it_handed_on() -> None:
    server = ours()
    head = b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n"
    async with serve(server, has_door=True) as address:
        for _ in range(5):
            async with RawPeer.dial(address) as peer:
                await peer.send(head + b"z" * 10_000)
                assert (await peer.read_reply()).status == 405
        await poll_until(lambda: not sleepers(server.eio), "no deadline left", PROMPT_S)
        gc.collect()
        doors = [found for found in gc.get_objects() if type(found) is Door]
        assert not [door for door in doors if len(door._reader) or door.server]


async def test_a_silent_door_does_not_outlive_a_shutdown() -> None:
    server = ours()
    async with serve(server, has_door=True) as address, RawPeer.dial(address) as peer:
        await poll_until(lambda: sleepers(server.eio), "connection accepted")
        await server.shutdown()
        assert await peer.read_until_eof(PROMPT_S) == b""


async def test_a_lost_websocket_leaves_nothing_that_waits() -> None:
    server = ours()
    async with serve(server) as address:
        async with RawPeer.websocket(address, receive_buffer=4_096) as peer:
            await peer.connect()
            session = only_session(server)
            for _ in range(12):
                await server.emit("event", "y" * 60_000)
            await poll_until(lambda: session.waiting_bytes, "much waits")
        await poll_until(lambda: not server.eio.sockets, "session closed")
        assert not server.eio.leaving
        assert server.eio.waiting_bytes == 0


async def test_a_closing_client_that_does_not_read_is_aborted() -> None:
    server = ours(close_timeout=0.3, max_send_age=30.0)
    async with (
        serve(server) as address,
        RawPeer.websocket(address, receive_buffer=4_096) as peer,
    ):
        await peer.connect()
        session = only_session(server)
        for _ in range(12):
            await server.emit("event", "y" * 60_000)
        await poll_until(lambda: session.waiting_bytes, "much waits")
        transport = session.transport
        await peer.send(mask_frame(b"\x03\xe8", CLOSE))
        await poll_until(lambda: not server.eio.sockets, "session closed", PROMPT_S)
        await poll_until(lambda: session.transport is None, "socket closed", 0.3 + PROMPT_S)
        assert transport.is_closing()
        assert not server.eio._closing
        assert not sleepers(server.eio)


@pytest.mark.parametrize("has_door", [False, True], ids=["aiohttp", "door"])
async def test_the_socket_of_a_failed_upgrade_that_is_not_read_is_aborted(has_door: bool) -> None:
    server = ours(close_timeout=0.3)
    async with (
        serve(server, has_door=has_door) as address,
        HttpPeer.to(address) as http,
    ):
        sid = await http.open_polling()
        session = server.eio.sockets[sid]
        query = f"EIO=4&transport=websocket&sid={sid}"
        async with RawPeer.websocket(address, query, receive_buffer=4_096) as peer:
            await poll_until(lambda: session.transport, "upgrading")
            transport = session.transport
            session.write(bytes(8_000_000))  # answers that it does not read
            await peer.send_packets("no probe")
            await poll_until(lambda: session.transport is None, "upgrade failed", PROMPT_S)
            assert transport.get_write_buffer_size()
            await poll_until(lambda: not server.eio._dismissed, "closed", 0.3 + PROMPT_S)
            assert not transport.get_write_buffer_size()
            assert sid in server.eio.sockets


async def test_a_bare_server_s_disconnect_handler_reads_the_session() -> None:
    engine = OURS.engineio(**PATIENT)
    found: list[Any] = []

    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0)
        found.append(await engine.get_session(sid))

    engine.on("disconnect", disconnect)
    async with serve(engine, ENGINEIO_PATH) as address:
        async with RawPeer.websocket(address) as peer:
            sid = (await peer.open_session())["sid"]
            await engine.save_session(sid, {"user": 1})
        await poll_until(lambda: found, "handler done", PROMPT_S)
        assert found == [{"user": 1}]
        with pytest.raises(KeyError):
            await engine.get_session(sid)


async def test_a_client_may_leave_and_connect_again_at_once() -> None:
    server = ours()
    left: list[str] = []

    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0.05)
        left.append(sid)

    server.on("disconnect", disconnect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        first = await peer.connect()
        await peer.send_packets("41", "40")
        answer = await peer.read_message()
        assert answer.startswith("40{"), answer
        assert first not in answer
        assert left == [first]
        await server.emit("welcome")
        assert await hear(peer, '42["welcome"]') == ['42["welcome"]']
