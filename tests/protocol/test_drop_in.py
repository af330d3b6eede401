"""Behaviour that a python-socketio application relies on, on the stock server and on ours.

Each case runs on both, and the stock server's behaviour is the right one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio
from deadlines import poll_until
from http_peers import HttpPeer
from peers import RawPeer
from serving import OURS, STOCK, Address, Transport, serve

PINGS = {"ping_interval": 25.0, "ping_timeout": 20.0, "cors_allowed_origins": "*"}


@pytest.fixture(params=[OURS, STOCK], ids=lambda transport: transport.name)
def server(request: pytest.FixtureRequest) -> Any:
    transport: Transport = request.param
    server = transport.socketio(**PINGS)
    server.on("connect", lambda sid, environ, auth: None)
    return server


@pytest.fixture
async def address(server: Any) -> AsyncIterator[Address]:
    async with serve(server) as listening:
        yield listening


@contextlib.asynccontextmanager
async def client(address: Address, connect: str = "40") -> AsyncIterator[tuple[RawPeer, str]]:
    async with RawPeer.websocket(address) as peer:
        yield peer, await peer.connect(connect)


async def test_a_handler_that_refuses_with_data_is_answered_with_it(
    server: Any, address: Address
) -> None:
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        raise socketio.exceptions.ConnectionRefusedError("no entry", {"code": 7})

    server.on("connect", connect)
    async with RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40")
        assert await peer.read_message() == '44{"message":"no entry","data":{"code":7}}'


async def test_a_handler_that_returns_false_refuses(server: Any, address: Address) -> None:
    server.on("connect", lambda sid, environ, auth: False)
    async with RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40")
        assert (await peer.read_message()).startswith('44{"message":')


async def test_the_environ_has_path_query_and_headers(server: Any, address: Address) -> None:
    seen: dict[str, Any] = {}

    async def connect(sid: str, environ: Any, auth: Any) -> None:
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_X_TRIED", "wsgi.url_scheme")
        seen.update({name: environ[name] for name in names})
        seen["missing"] = environ.get("HTTP_X_MISSING", "none")
        seen["same later"] = server.get_environ(sid)["QUERY_STRING"] == environ["QUERY_STRING"]

    server.on("connect", connect)
    query = "EIO=4&transport=websocket&a=1"
    async with RawPeer.websocket(address, query, headers={"X-Tried": "yes"}) as peer:
        await peer.connect()
    assert seen == {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/socket.io/",
        "QUERY_STRING": query,
        "HTTP_X_TRIED": "yes",
        "wsgi.url_scheme": "http",
        "missing": "none",
        "same later": True,
    }


async def test_rooms_receive_what_is_emitted_to_them(server: Any, address: Address) -> None:
    async with client(address) as (first, one), client(address) as (second, two):
        await server.enter_room(one, "red")
        await server.enter_room(two, "red")
        await server.enter_room(two, "blue")
        assert set(server.rooms(two)) == {two, "red", "blue"}
        await server.emit("to both", room="red")
        await server.emit("to two", to=two)
        await server.emit("once", to=["red", "blue"])
        await server.emit("not to one", room="red", skip_sid=one)
        await server.leave_room(two, "red")
        await server.emit("to one", room="red")
        await server.close_room("red")
        await server.emit("to nobody", room="red")
        await server.emit("to all")
        heard = [[await peer.read_message() for _ in range(4)] for peer in (first, second)]
        heard[1].append(await second.read_message())
    assert heard[0] == ['42["to both"]', '42["once"]', '42["to one"]', '42["to all"]']
    assert heard[1] == [
        '42["to both"]',
        '42["to two"]',
        '42["once"]',
        '42["not to one"]',
        '42["to all"]',
    ]


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (None, ""),
        ((), ""),
        (("a", 1), ',"a",1'),
        (["a", 1], ',["a",1]'),
        ({1: 2**70}, ',{"1":1180591620717411303424}'),
        ("é\u2028", ',"é\u2028"'),
        (1.5, ",1.5"),
    ],
    ids=["nothing", "no arguments", "two arguments", "a list", "large", "text", "float"],
)
async def test_data_is_written_as_json(
    server: Any, address: Address, data: object, written: str
) -> None:
    async with client(address) as (peer, sid):
        await server.emit("event", data, to=sid)
        packet = await peer.read_message()
        assert json.loads(packet[2:]) == json.loads(f'["event"{written}]')


async def test_a_callback_gets_the_clients_answer(server: Any, address: Address) -> None:
    answers: list[tuple[object, ...]] = []
    async with client(address) as (peer, sid):
        await server.emit("question", to=sid, callback=lambda *answer: answers.append(answer))
        packet = await peer.read_message()
        assert packet.endswith('["question"]')
        number = packet.removeprefix("42").removesuffix('["question"]')
        await peer.send_packets(f'43{number}["yes",2]')
        await poll_until(lambda: answers == [("yes", 2)], "the callback")


async def test_a_call_that_is_not_answered_times_out(server: Any, address: Address) -> None:
    async with client(address) as (_, sid):
        with pytest.raises(socketio.exceptions.TimeoutError):
            await server.call("question", to=sid, timeout=0.1)


async def test_a_session_is_kept_for_each_client(server: Any, address: Address) -> None:
    async with client(address) as (_, one), client(address) as (_, two):
        await server.save_session(one, {"name": "one"})
        async with server.session(two) as session:
            session["name"] = "two"
        assert (await server.get_session(one), await server.get_session(two)) == (
            {"name": "one"},
            {"name": "two"},
        )


@pytest.mark.parametrize(
    ("packet", "reason"),
    [("41", "client disconnect"), (None, "transport close")],
    ids=["packet", "transport"],
)
async def test_the_disconnect_handler_receives_the_reason(
    server: Any, address: Address, packet: str | None, reason: str
) -> None:
    told: list[tuple[str, str]] = []
    server.on("disconnect", lambda sid, why: told.append((sid, why)))
    async with client(address) as (peer, sid):
        if packet:
            await peer.send_packets(packet)
            await poll_until(lambda: told, "the handler")
    await poll_until(lambda: told == [(sid, reason)], f"the handler, not {told}")


async def test_a_kick_is_reported_as_a_server_disconnect(server: Any, address: Address) -> None:
    told: list[str] = []
    server.on("disconnect", lambda sid, why: told.append(why))
    async with client(address) as (peer, sid):
        await server.disconnect(sid)
        assert await peer.read_message() == "41"
        await poll_until(lambda: told == ["server disconnect"], f"the handler, not {told}")


async def test_a_catch_all_handler_gets_events_without_another_handler(
    server: Any, address: Address
) -> None:
    async def catch(event: str, sid: str, *arguments: object) -> list[object]:
        return [event, *arguments]

    server.on("*", catch)
    server.on("known", lambda sid: "known")
    async with client(address) as (peer, _):
        await peer.send_packets('421["other",5]', '422["known"]')
        answers = {await peer.read_message(), await peer.read_message()}
        assert answers == {'431[["other",5]]', '432["known"]'}


async def test_a_class_serves_a_namespace(server: Any, address: Address) -> None:
    class Custom(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio ships no types
        async def on_connect(self, sid: str, environ: Any) -> None:
            await self.enter_room(sid, "room")

        async def on_shout(self, sid: str, text: str) -> None:
            await self.emit("heard", text.upper(), room="room")

    server.register_namespace(Custom("/custom"))
    async with RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40/custom,")
        assert (await peer.read_message()).startswith("40/custom,{")
        await peer.send_packets('42/custom,["shout","hello"]')
        assert await peer.read_message() == '42/custom,["heard","HELLO"]'


async def test_bytes_are_emitted_as_attachments(server: Any, address: Address) -> None:
    async with client(address) as (peer, sid):
        await server.emit("bytes", {"a": b"one", "b": [b"two"]}, to=sid)
        head = await peer.read_message()
        assert head.startswith('452-["bytes",{"a":{"_placeholder":true,"num":0}'), head
        assert [(await peer.read_frame())[1] for _ in range(2)] == [b"one", b"two"]


async def test_the_transport_of_a_client_is_known(server: Any, address: Address) -> None:
    async with client(address) as (_, sid), HttpPeer.to(address) as polling:
        assert server.transport(sid) == "websocket"
        eio_sid = await polling.open_polling()
        await polling.push(eio_sid, "40")
        packets = (await polling.poll(eio_sid)).text
        assert packets.startswith('40{"sid":"'), packets
        assert server.transport(packets.split('"')[3]) == "polling"


async def test_a_handler_that_fails_leaves_the_client_connected(
    server: Any, address: Address
) -> None:
    async def fail(sid: str) -> None:
        raise LookupError("of the application's own")

    server.on("fail", fail)
    server.on("after", lambda sid: "still here")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # the stock server's task dies with the exception
    async with client(address) as (peer, _):
        await peer.send_packets('42["fail"]', '421["after"]')
        assert await peer.read_message() == '431["still here"]'
