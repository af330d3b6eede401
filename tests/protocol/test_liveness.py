"""Who is alive is kept and who is not is closed, whatever else goes on or goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from deadlines import DEADLINE_S, PROMPT_S, poll_until
from hostility import PATIENT
from peers import TEXT, RawPeer
from scenes import ON_BOTH_LOOPS, hear, let_go, only_session
from serving import OURS, serve

from gateway.transport import Flow, Lane

pytestmark = ON_BOTH_LOOPS


def ours(**settings: Any) -> Any:
    server = OURS.socketio(**settings)
    server.on("connect", lambda sid, environ, auth: None)
    return server


async def test_a_reader_that_stalled_and_recovers_is_pinged_and_kept() -> None:
    server = ours(
        ping_interval=0.4,
        ping_timeout=2 * PROMPT_S,
        max_send_age=30.0,
        flows={"tick": Flow(lane=Lane.MARKET, conflate_by=("stream",))},
    )
    async with (
        serve(server) as address,
        RawPeer.websocket(address, receive_buffer=4_096) as peer,
    ):
        await peer.connect()
        session = only_session(server)
        feeding = asyncio.create_task(feed(server))
        # Its ping falls due while not even that could be written.
        await poll_until(lambda: session._is_blocked and session._pong_due_ns, "ping due")
        pings = 0
        async with asyncio.timeout(DEADLINE_S):
            while pings < 4:
                opcode, data = await peer.read_frame()
                assert opcode == TEXT, data
                if data == b"2":
                    pings += 1
                    await peer.send_packets("3")
        feeding.cancel()
        assert not server.eio.counts.closed


async def feed(server: Any) -> None:
    while True:
        for stream in range(60):
            await server.emit("tick", {"stream": stream, "padding": "y" * 900})
        await asyncio.sleep(0.02)  # many ticks a second, as a market has


@pytest.mark.parametrize(
    ("ping_interval", "ping_timeout", "pings"),
    [(PROMPT_S / 2, PROMPT_S / 3, 2), (0.2, 2 * PROMPT_S, 5)],
    ids=["shorter timeout", "longer timeout"],
)
async def test_pings_come_each_interval(
    ping_interval: float, ping_timeout: float, pings: int
) -> None:
    server = ours(ping_interval=ping_interval, ping_timeout=ping_timeout)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        async with asyncio.timeout(pings * ping_interval + 2 * PROMPT_S):
            for _ in range(pings):
                assert await peer.read_packet() == "2"
                await peer.send_packets("3")


async def test_a_client_whose_connect_handler_is_slow_and_has_emitted_is_not_evicted() -> None:
    server = ours(**PATIENT, max_send_age=0.3)

    async def connect(sid: str, environ: Any, auth: Any) -> None:
        await server.emit("hello", 1, to=sid)
        await asyncio.sleep(3 * 0.3)  # it is the handler that is slow, not its client

    server.on("connect", connect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        assert await peer.read_message() == '42["hello",1]'
        assert not server.eio.counts.closed


async def test_who_sends_much_to_slow_handlers_is_kept_past_the_ping_timeout() -> None:
    server = ours(ping_interval=0.1, ping_timeout=PROMPT_S / 6)

    async def work(sid: str) -> None:
        await asyncio.sleep(0.01)

    server.on("work", work)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets(*['42["work"]'] * 149, '420["work"]')
        assert await hear(peer, "430[]") == ["430[]"]
        assert not server.eio.counts.closed


async def test_one_failing_on_session_close_does_not_keep_the_others_timeouts_away() -> None:
    failures = 0

    def fail_once(environ: Any) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise RuntimeError("the application's")

    server = ours(ping_interval=0.2, ping_timeout=0.2, on_session_close=fail_once)
    async with serve(server) as address, contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            mute = await stack.enter_async_context(RawPeer.websocket(address))
            await mute.connect()
        await poll_until(lambda: not server.eio.sockets, "mute clients closed", 2 * PROMPT_S)
        assert failures == 4


async def test_one_failing_callback_of_a_broadcast_does_not_stop_the_next() -> None:
    server = ours(**PATIENT)

    def fail(took_ns: int) -> None:
        raise RuntimeError("the application's")

    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        server.broadcast("first", 1, on_done=fail)
        assert await peer.read_message() == '42["first",1]'
        await server.emit("second", 2)
        assert await peer.read_message(PROMPT_S) == '42["second",2]'
        await poll_until(lambda: server.fanout.is_idle(Lane.LOSSLESS), "idle")
        assert server.fanout.waiting == [0, 0]


async def test_a_transport_without_clients_is_closed_after_the_connect_timeout() -> None:
    server = ours(**PATIENT, connect_timeout=PROMPT_S / 3)

    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0.01)

    server.on("disconnect", disconnect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets("41")
        await peer.closed_within(0.3 + PROMPT_S)
        assert server.eio.counts.closed == {"no CONNECT": 1}


async def test_an_event_over_the_limit_of_all_closes_only_as_many_as_it_must() -> None:
    server = ours(**PATIENT, max_waiting_bytes=1_300_000, max_send_age=30.0)
    async with serve(server) as address, contextlib.AsyncExitStack() as stack:
        sids = []
        for events in (26, 25, 0):  # the first two wait for about as much
            peer = await stack.enter_async_context(RawPeer.websocket(address))
            sids.append(await peer.connect())
            server.manager.find(sids[-1]).session.pause_writing()
            for _ in range(events):
                await server.emit("event", "y" * 24_000, to=sids[-1])
        await let_go(server)
        assert server.eio.waiting_bytes > 51 * 24_000
        assert not server.eio.counts.closed
        await server.emit("event", "y" * 500_000, to=sids[2])
        await let_go(server)
        assert server.eio.counts.closed == {"slow consumer": 1}
        assert server.manager.find(sids[0]) is None
        assert server.eio.waiting_bytes <= 1_300_000


@pytest.mark.parametrize("late_ms", [20, 60, 99])
async def test_a_ping_that_leaves_late_gives_its_client_the_time_to_answer(late_ms: int) -> None:
    began_ns = 1_000_000_000_000
    server = ours(ping_interval=25.0, ping_timeout=0.05, clock=lambda: began_ns)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        now_ns = began_ns + 25_000_000_000 + late_ms * 1_000_000
        due_ns = only_session(server).wake(now_ns)
        assert await peer.read_frame() == (TEXT, b"2")
        assert due_ns - now_ns >= 50_000_000 * 3 / 4
