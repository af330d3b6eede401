"""Behaviour that a python-engineio application relies on, on the stock server and on ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from deadlines import PROMPT_S, poll_until
from http_peers import HttpPeer
from serving import ENGINEIO_PATH, OURS, STOCK, Transport, serve

PINGS = {"ping_interval": 25.0, "ping_timeout": 20.0, "cors_allowed_origins": "*"}


@pytest.fixture(params=[OURS, STOCK], ids=lambda transport: transport.name)
def server(request: pytest.FixtureRequest) -> Any:
    transport: Transport = request.param
    return transport.engineio(**PINGS)


@pytest.fixture
async def peer(server: Any) -> AsyncIterator[HttpPeer]:
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        yield peer


async def test_a_handler_that_returns_false_refuses_with_401(server: Any, peer: HttpPeer) -> None:
    server.on("connect", lambda sid, environ: False)
    assert (await peer.request("GET", "EIO=4&transport=polling")).status == 401
    assert not server.sockets


async def test_handlers_receive_connect_message_and_disconnect(server: Any, peer: HttpPeer) -> None:
    told: list[tuple[object, ...]] = []
    server.on("connect", lambda sid, environ: told.append(("connect", environ["PATH_INFO"])))
    server.on("message", lambda sid, data: told.append(("message", data)))
    server.on("disconnect", lambda sid, reason: told.append(("disconnect", reason)))
    async with peer.websocket() as socket:
        await socket.handshake()
        await socket.send("4hello")
        await socket.send(b"bytes")
        await poll_until(lambda: len(told) == 3, f"three calls, not {told}")
    await poll_until(lambda: len(told) == 4, f"four calls, not {told}")
    assert told == [
        ("connect", ENGINEIO_PATH),
        ("message", "hello"),
        ("message", b"bytes"),
        ("disconnect", "transport close"),
    ]


async def test_a_session_is_kept_for_each_client(server: Any, peer: HttpPeer) -> None:
    one, two = await peer.open_polling(), await peer.open_polling()
    await server.save_session(one, {"name": "one"})
    async with server.session(two) as session:
        session["name"] = "two"
    assert (await server.get_session(one), await server.get_session(two)) == (
        {"name": "one"},
        {"name": "two"},
    )


async def test_text_bytes_and_json_are_sent(server: Any, peer: HttpPeer) -> None:
    async with peer.websocket() as socket:
        sid = (await socket.handshake())["sid"]
        assert server.transport(sid) == "websocket"
        await server.send(sid, "text")
        await server.send(sid, b"bytes")
        await server.send(sid, {"a": [1]})
        assert [await socket.receive() for _ in range(3)] == ["4text", b"bytes", '4{"a":[1]}']


async def test_a_disconnected_client_is_notified_and_removed(server: Any, peer: HttpPeer) -> None:
    async with peer.websocket() as socket:
        sid = (await socket.handshake())["sid"]
        await server.disconnect(sid)
        # The stock server sends a packet and leaves the WebSocket open; ours closes it.
        assert await socket.is_closed_or_told("1", PROMPT_S)
        await poll_until(lambda: not server.sockets, "gone")
