"""What is first comes first: from a client to its handlers, and from the server to a client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from deadlines import RUN_S, poll_until
from hostility import PATIENT
from peers import BINARY, TEXT, RawPeer, mask_frame
from scenes import ON_BOTH_LOOPS, hear, only_session
from serving import OURS, serve

from gateway.transport import Flow, Lane, fan_out
from gateway.transport.counts import EndReason

pytestmark = ON_BOTH_LOOPS

TICK = Flow(lane=Lane.MARKET, conflate_by=("symbol",), previous="prevSeq")


def ours(**settings: Any) -> Any:
    server = OURS.socketio(**PATIENT, **settings)
    server.on("connect", lambda sid, environ, auth: None)
    return server


@pytest.mark.parametrize(
    ("events", "pause_every", "pause_s"),
    [(20_000, 7, 0.0), (30_000, 900, 0.002), (30_000, 250, 0.001)],
    ids=["many turns", "few pauses", "more pauses"],
)
async def test_who_sends_much_while_handlers_await_is_read_in_order(
    events: int, pause_every: int, pause_s: float
) -> None:
    server = ours()
    seen: list[int] = []

    async def pausing(sid: str, number: int, _padding: str) -> None:
        seen.append(number)
        await asyncio.sleep(pause_s)

    server.on("pausing", pausing)
    server.on("prompt", lambda sid, number, _padding: seen.append(number))
    frames = b"".join(
        mask_frame(
            f'42["{"prompt" if number % pause_every else "pausing"}",{number},'
            f'"{"x" * (number % 90)}"]'.encode()
        )
        for number in range(events)
    )
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        peer.writer.write(frames)
        await poll_until(
            lambda: len(seen) >= events or not server.eio.sockets, "all handled", RUN_S
        )
        assert seen == list(range(events))
        assert len(server.eio.sockets) == 1


async def test_what_was_emitted_before_a_disconnect_arrives_before_it() -> None:
    server = ours()

    async def bye(sid: str) -> None:
        await server.emit("farewell", 1, to=sid)
        await server.disconnect(sid)

    server.on("bye", bye)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('42["bye"]')
        assert await hear(peer, "41") == ['42["farewell",1]', "41"]


@pytest.mark.parametrize("is_lane_busy", [False, True], ids=["lane idle", "lane busy"])
async def test_an_answer_does_not_overtake_what_it_names_for_a_slow_reader(
    is_lane_busy: bool,
) -> None:
    server = ours(flows={"tick": TICK})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        sid = await peer.connect()
        session = only_session(server)
        session.pause_writing()  # the kernel takes no more
        server.broadcast("tick", {"symbol": "X", "seq": 5, "prevSeq": 4})
        if not is_lane_busy:
            await poll_until(lambda: server.fanout.is_idle(Lane.MARKET), "tick held")
        sent = asyncio.Event()
        server.reply_behind(sid, "subscribed", {"at": {"X": 5}}, Lane.MARKET, sent.set)
        await sent.wait()
        session.resume_writing()
        heard = await hear(peer, '42["subscribed",{"at":{"X":5}}]')
        assert [json.loads(packet[2:])[0] for packet in heard] == ["tick", "subscribed"]


async def test_a_payload_may_be_used_again_while_its_event_waits() -> None:
    server = ours(flows={"tick": TICK})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        session = only_session(server)
        session.pause_writing()
        payload = {"symbol": "X", "seq": 0, "prevSeq": -1}
        for number in range(1, 4):
            payload.update(seq=number, prevSeq=number - 1)
            await server.emit("tick", payload)
            await poll_until(lambda: server.fanout.is_idle(Lane.MARKET), "tick held")
        payload.update(symbol="Y", seq=900, prevSeq=899)
        session.resume_writing()
        packet = await peer.read_message()
        assert json.loads(packet[2:]) == ["tick", {"symbol": "X", "seq": 3, "prevSeq": 0}]


async def test_the_parts_of_a_binary_event_arrive_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "SLICE_NS", 1)  # as with many clients, each pass is cut short
    server = ours(flows={"picture": Flow(lane=Lane.MARKET)})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await server.emit("picture", b"z" * 70_000)
        await asyncio.sleep(0)
        await server.emit("trade", 1)
        await server.emit("trade", 2)
        frames = [await peer.read_frame() for _ in range(4)]
    text = next(at for at, (_, data) in enumerate(frames) if data.startswith(b"451-"))
    assert [opcode for opcode, _ in frames[text : text + 2]] == [TEXT, BINARY]
    assert len(frames[text + 1][1]) == 70_000


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_one_message_is_answered_leaves_in_one_write() -> None:
    greeted: list[str] = []

    def tell(sid: str, _name: object, _arguments: tuple[object, ...], _size: int) -> str:
        server.reply(sid, "told", {"n": 1})
        return "acked"

    server: Any = OURS.socketio(**PATIENT, on_welcome=greeted.append, on_event=tell)
    server.on("connect", lambda sid, environ, auth: None)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.read_message()
        transport = only_session(server).transport
        write, writes = transport.write, []

        def note(frame: bytes) -> None:
            writes.append(frame)
            write(frame)

        transport.write = note
        await peer.send_packets("40")
        assert (await peer.read_message()).startswith('40{"sid"')
        await peer.send_packets('427["ask"]')
        assert await hear(peer, '437["acked"]') == ['42["told",{"n":1}]', '437["acked"]']
        assert len(greeted) == 1
        assert len(writes) == 2


async def test_who_is_closed_by_its_own_message_gets_what_was_said_before() -> None:
    server = OURS.socketio(**PATIENT)

    def leave(sid: str) -> None:
        server.reply(sid, "last words", None)
        server.kick(sid)

    server.on("connect", lambda sid, environ, auth: None)
    server.on("leave", leave)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('42["leave"]')
        assert await hear(peer, "41") == ['42["last words"]', "41"]


@pytest.mark.parametrize("answers", [50, 400], ids=["3 MB", "26 MB"])
async def test_much_that_one_message_is_answered_is_bounded_like_all_that_waits(
    answers: int,
) -> None:
    taken: list[int] = []
    server = ours()

    def flood(sid: str) -> None:
        session = only_session(server)
        for _ in range(answers):
            server.reply(sid, "large", "x" * 65_000)
            taken.append(session.transport.get_write_buffer_size())

    server.on("flood", flood)
    async with (
        serve(server) as address,
        RawPeer.websocket(address, receive_buffer=4_096) as peer,
    ):
        await peer.connect()
        transport = only_session(server).transport
        await peer.send_packets('42["flood"]')
        await poll_until(lambda: not server.eio.sockets, "given up as a slow reader")
        assert server.eio.counts.closed[EndReason.SLOW_CONSUMER] == 1
        assert server.eio.waiting_bytes == 0
        assert max(*taken, transport.get_write_buffer_size()) < 3 * 65_536


async def test_what_is_answered_over_the_bound_of_one_write_comes_whole_and_in_order() -> None:
    server = ours()

    def count(sid: str) -> None:
        for number in range(300):
            server.reply(sid, "counted", [number, "x" * (number * 7 % 900)])

    server.on("count", count)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('42["count"]')
        heard = [json.loads((await peer.read_message())[2:])[1][0] for _ in range(300)]
        assert heard == list(range(300))
        assert only_session(server).is_clear


@pytest.mark.parametrize("limit", ["max_send_bytes", "max_waiting_bytes"])
async def test_a_session_that_overflows_while_it_is_closed_ends_once(limit: str) -> None:
    ended: list[object] = []
    server = ours(on_session_close=ended.append, **{limit: 1_000})
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        sid = await peer.connect()
        session = only_session(server)
        assert session.cork()
        server.reply(sid, "large", "x" * 2_000)
        session.pause_writing()  # the kernel takes no more
        server.eio.close(session, "enough")
        assert len(ended) == 1
        assert sum(server.eio.counts.closed.values()) == 1
        assert server.eio.waiting_bytes == 0
