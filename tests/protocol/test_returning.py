"""What a stock client may do and stay; and what closes it, so that it returns by itself.

A DISCONNECT packet (``41``) keeps a stock client away for good, so no breach is followed by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import pytest
import socketio
from deadlines import PROMPT_S, poll_until
from hostility import PATIENT, served
from http_peers import HttpPeer
from peers import PING, PONG, RawPeer, mask_frame, upgrade_head
from scenes import hear, only_session
from serving import OURS, serve

FLOOD = 700
CLOSE_FRAME = b"\x88"


def ours(**settings: Any) -> Any:
    server = OURS.socketio(**PATIENT, **settings)
    server.on("connect", lambda sid, environ, auth: None)
    server.on("echo", lambda sid, *arguments: arguments)
    return server


class TestBreaches:
    @pytest.mark.parametrize(
        "packet",
        [
            "4",
            "49",
            '42["message"',
            "42[null]",
            "42[true]",
            "42[{}]",
            "42[[]]",
            '42٣["message"]',
            '42["connect"]',
            '42/never-joined,["message"]',
            "43/never-joined,1[]",
            '42["message",NaN]',
            "40[]",
            "41{}",
            "45[]",
            b"no packet announced this",
            "x",
            "b====",
        ],
        ids=str,
    )
    async def test_a_breach_closes_without_a_disconnect(self, packet: str | bytes) -> None:
        async with (
            served(OURS, **PATIENT) as (_, address),
            RawPeer.websocket(address) as peer,
        ):
            await peer.connect()
            await peer.send_packets(packet)
            received = await peer.closed_within(PROMPT_S)
            assert b"41" not in received.partition(CLOSE_FRAME)[0]

    async def test_a_message_that_is_too_large_closes_without_a_disconnect(self) -> None:
        async with (
            served(OURS, **PATIENT, max_http_buffer_size=1_000) as (_, address),
            RawPeer.websocket(address) as peer,
        ):
            await peer.connect()
            await peer.send_packets('42["message","' + "x" * 1_000 + '"]')
            received = await peer.closed_within(PROMPT_S)
            assert received.rpartition(CLOSE_FRAME)[2][1:3] == (1009).to_bytes(2, "big")
            assert b"41" not in received.partition(CLOSE_FRAME)[0]


class TestWhatIsNoBreach:
    async def test_packets_for_a_namespace_that_was_just_left_are_ignored(self) -> None:
        server = ours()
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets("41", '42["echo",1]', "43[2]", "43123[2]", "41", "40")
            assert (await peer.read_message()).startswith("40{")
            await peer.send_packets('421["echo","still here"]')
            assert await peer.read_message() == '431["still here"]'

    async def test_packets_that_crossed_a_kick_from_a_namespace_leave_the_others(self) -> None:
        server = ours(namespaces=["/other"])
        server.on("connect", lambda sid, environ, auth: None, namespace="/other")
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets("40/other,")
            sid = json.loads((await peer.read_message()).partition(",")[2])["sid"]
            await server.disconnect(sid, namespace="/other")
            assert await peer.read_message() == "41/other,"
            await peer.send_packets('42/other,["echo",1]', '421["echo","still here"]')
            assert await peer.read_message() == '431["still here"]'

    async def test_an_acknowledgement_that_nobody_awaits_is_ignored(self) -> None:
        server = ours()
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets('4399["late"]', "437[]", '421["echo","still here"]')
            assert await peer.read_message() == '431["still here"]'

    async def test_a_connect_while_the_first_is_decided_makes_no_second_client(self) -> None:
        server = ours()
        decided = asyncio.Event()
        calls: list[str] = []

        async def connect(sid: str, environ: Any, auth: Any) -> None:
            calls.append(sid)
            await decided.wait()

        server.on("connect", connect)
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.open_session()
            await peer.send_packets("40", "40", '421["echo","fence"]')
            await poll_until(lambda: calls, "handler waits")
            decided.set()
            heard = await hear(peer, '431["fence"]')
            assert [packet[:2] for packet in heard] == ["40", "43"]
            assert len(calls) == 1

    async def test_an_event_may_have_a_number_for_a_name(self) -> None:
        server = ours()
        server.on("*", lambda event, sid, *arguments: [event, *arguments])
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets('421[7,"a"]', "422[1.5]")
            assert await peer.read_message() == '431[[7,"a"]]'
            assert await peer.read_message() == "432[[1.5]]"

    async def test_a_number_reaches_no_method_of_a_namespace(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = OURS.socketio(**PATIENT)
        server.register_namespace(socketio.AsyncNamespace("/"))
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets('421[7,"a"]', "1")
            assert b"43" not in (await peer.closed_within(PROMPT_S)).partition(CLOSE_FRAME)[0]
        assert caplog.records == []

    async def test_a_client_without_binary_frames_sends_them_as_base64(self) -> None:
        server = ours()
        server.on("size", lambda sid, data: len(data))
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets('451-1["size",{"_placeholder":true,"num":0}]', "bAQIDBA==")
            assert await peer.read_message() == "431[4]"

    @pytest.mark.parametrize("value", ['"\\ud83d"', "1e20", "18446744073709551616", "1e999"])
    async def test_grammatical_json_reaches_the_handler(self, value: str) -> None:
        server = ours()
        server.on("told", lambda sid, data: "taken")
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets(f'421["told",{{"value":{value}}}]')
            assert await peer.read_message() == '431["taken"]'

    async def test_a_polling_body_has_as_many_packets_as_its_bytes_hold(self) -> None:
        server = ours()
        seen: list[int] = []
        server.on("number", lambda sid, number: seen.append(number))
        async with serve(server) as address, HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            packets = [f'42["number",{number}]' for number in range(1_500)]
            assert (await peer.push(sid, "\x1e".join(["40", *packets]))).status == 200
            assert seen == list(range(1_500))


async def test_a_namespace_with_a_query_is_another_namespace() -> None:
    server = ours(namespaces=["/custom"])
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40/custom?a=1,", "40/?a=1")
        for name in ("/custom?a=1", "/?a=1"):
            assert await peer.read_message() == f'44{name},{{"message":"Invalid namespace"}}'


class TestFloods:
    @pytest.mark.parametrize(
        "frame",
        [
            mask_frame(b"3"),
            mask_frame(b"6"),
            mask_frame(b"x" * 125, PING),
            mask_frame(b"", PONG),
            mask_frame(b"40"),
            mask_frame(b"40/unknown,"),
            mask_frame(b"4399[]"),
            mask_frame(b"41") + mask_frame(b"40"),
        ],
        ids=[
            "pongs",
            "noops",
            "WebSocket pings",
            "WebSocket pongs",
            "CONNECTs",
            "unknown namespaces",
            "unknown acknowledgements",
            "leaving and joining",
        ],
    )
    async def test_a_flood_of_control_frames_closes(
        self, frame: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        server = ours()
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            session = only_session(server)
            peer.writer.write(frame * FLOOD)
            await poll_until(lambda: not server.eio.sockets, "closed")
            with contextlib.suppress(ConnectionError):
                await peer.send(frame * FLOOD)  # is discarded
        await poll_until(lambda: session.transport is None, "its socket is gone")
        assert server.eio.counts.closed["protocol breach"] == 1
        assert len(caplog.records) == 1

    async def test_pongs_that_were_asked_for_are_no_flood(self) -> None:
        server = ours()
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            session = only_session(server)
            for _ in range(2 * FLOOD):
                session._pong_due_ns = server.eio.now_ns() + 1_000_000_000
                session.receive_pong()
            assert session.is_open

    async def test_a_flood_over_polling_closes(self) -> None:
        server = ours()
        async with serve(server) as address, HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            assert (await peer.push(sid, "\x1e".join(["3"] * FLOOD))).status == 400
            assert not server.eio.sockets

    async def test_a_flood_of_probes_closes(self) -> None:
        server = ours()
        async with serve(server) as address, HttpPeer.to(address) as http:
            sid = await http.open_polling()
            query = f"EIO=4&transport=websocket&sid={sid}"
            async with RawPeer.websocket(address, query) as peer:
                peer.writer.write(FLOOD * mask_frame(b"2probe"))
                await poll_until(lambda: not server.eio.sockets, "closed", PROMPT_S)
                await poll_until(lambda: not server.eio._dismissed, "its socket is gone")
        assert server.eio.counts.closed["protocol breach"] == 1

    async def test_many_breaches_are_few_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        server = ours()
        async with serve(server) as address:
            for _ in range(30):
                async with RawPeer.websocket(address) as peer:
                    await peer.send_packets("x")
                    await peer.closed_within(PROMPT_S)
        assert len(caplog.records) < 30

    async def test_connects_are_limited_where_the_application_says_so(self) -> None:
        server = ours(max_connects=3)
        async with serve(server) as address, RawPeer.websocket(address) as peer:
            await peer.connect()
            await peer.send_packets("41", "40", "41", "40", "41", "40")
            received = await peer.closed_within(PROMPT_S)
            assert received.count(b"40{") == 2


class TestUpgrades:
    async def test_polling_goes_on_while_the_answer_to_the_probe_does_not_arrive(self) -> None:
        server = ours()
        async with (
            serve(server) as address,
            HttpPeer.to(address) as peer,
        ):
            sid = await peer.open_polling()
            assert (await peer.push(sid, "40")).status == 200
            assert (await peer.poll(sid)).text.startswith("40{")
            async with RawPeer.websocket(address, f"EIO=4&transport=websocket&sid={sid}") as raw:
                await raw.send_packets("2probe")
                await raw.read_packet()
                for number in range(3):
                    polling = asyncio.create_task(peer.poll(sid))
                    await server.emit("news", number)
                    text = (await polling).text
                    while text == "6":  # released, as a client that got the answer needs it
                        text = (await peer.poll(sid)).text
                    assert text == f'42["news",{number}]'

    async def test_polls_during_a_probe_are_paced(self) -> None:
        server = ours()
        async with serve(server) as address, HttpPeer.to(address) as peer:
            sid = await peer.open_polling()
            async with RawPeer.websocket(address, f"EIO=4&transport=websocket&sid={sid}") as raw:
                await raw.send_packets("2probe")
                await raw.read_packet()
                clock = asyncio.get_running_loop().time
                began = clock()
                for _ in range(4):
                    assert (await peer.poll(sid)).text == "6"
                assert clock() - began > 4 * 0.09

    @pytest.mark.parametrize("door", [False, True], ids=["aiohttp", "door"])
    @pytest.mark.parametrize("is_upgraded", [True, False], ids=["upgraded", "being upgraded"])
    async def test_another_websocket_of_a_session_is_answered_and_closed(
        self, is_upgraded: bool, door: bool
    ) -> None:
        server = ours()
        async with serve(server, has_door=door) as address, HttpPeer.to(address) as http:
            sid = await http.open_polling()
            query = f"EIO=4&transport=websocket&sid={sid}"
            async with RawPeer.websocket(address, query) as first, RawPeer.dial(address) as second:
                await first.send_packets("2probe")
                assert await first.read_packet() == "3probe"
                if is_upgraded:
                    await first.send_packets("5")
                    await poll_until(lambda: only_session(server).upgrade is None, "upgraded")
                await second.send(upgrade_head(address, query))
                assert (await second.read_head()).startswith("HTTP/1.1 101 ")
                assert (await second.read_until_eof(PROMPT_S)).startswith(CLOSE_FRAME)
                await first.send_packets("5", "40")
                assert (await first.read_message()).startswith("40{")


@pytest.mark.parametrize(
    "query",
    [
        "EIO=4&EIO=3&transport={transport}",
        "EIO=4&transport={transport}&transport=pigeon",
        "EIO=4&transport={transport}&token=one&token=two",
        "EIO=4&transport={transport}&token=one&%74oken=two",
    ],
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_query_that_contradicts_itself_is_refused(query: str, transport: str) -> None:
    server = ours()
    async with serve(server) as address, HttpPeer.to(address) as peer:
        asked = query.format(transport=transport)
        if transport == "polling":
            assert (await peer.request("GET", asked)).status == 400
        else:
            assert await peer.refuses_websocket(asked)
        assert not server.eio.sockets


async def test_a_query_that_repeats_itself_is_served() -> None:
    server = ours()
    async with serve(server) as address, HttpPeer.to(address) as peer:
        query = "EIO=4&transport=polling&token=one&token=one&t=1&t=2"
        assert (await peer.request("GET", query)).status == 200
