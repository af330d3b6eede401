"""Guarantees for an application's handlers while clients connect, leave and answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from deadlines import PROMPT_S, poll_until
from hostility import PATIENT
from peers import RawPeer
from scenes import let_go
from serving import OURS, serve
from socketio.async_pubsub_manager import AsyncPubSubManager

from gateway.transport import Rooms


def ours(**settings: Any) -> Any:
    server = OURS.socketio(**PATIENT, **settings)
    server.on("connect", lambda sid, environ, auth: None)
    return server


async def test_a_client_refused_late_receives_only_the_refusal() -> None:
    server = ours(namespaces=["/other"])
    decided = asyncio.Event()
    joined: list[str] = []

    async def connect(sid: str, environ: Any, auth: Any) -> bool:
        await server.enter_room(sid, "room")
        await server.emit("to you alone", to=sid)
        joined.append(sid)
        await decided.wait()
        return False

    server.on("connect", connect)
    server.on("connect", lambda sid, environ, auth: None, namespace="/other")
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40")
        await poll_until(lambda: joined, "handler waits")
        await server.emit("to everybody")
        await server.emit("to the room", room="room")
        await let_go(server)
        decided.set()
        assert (await peer.read_message()).startswith("44{")
        await peer.send_packets("40/other,")
        assert (await peer.read_message()).startswith("40/other,{")
        await server.emit("to everybody", namespace="/other")
        assert await peer.read_message() == '42/other,["to everybody"]'


@pytest.mark.parametrize("pause_s", [None, 0.0, 0.05], ids=["at once", "a turn later", "later"])
@pytest.mark.parametrize("end", ["connection lost", "left", "kicked"])
async def test_a_disconnect_handler_reads_the_session_and_the_environ(
    end: str, pause_s: float | None
) -> None:
    server = ours()
    found: list[tuple[Any, str]] = []

    async def disconnect(sid: str, reason: str) -> None:
        if pause_s is not None:
            await asyncio.sleep(pause_s)
        saved = await server.get_session(sid)
        found.append((saved, server.get_environ(sid)["QUERY_STRING"]))

    server.on("disconnect", disconnect)
    query = "EIO=4&transport=websocket&a=1"
    async with serve(server) as address:
        async with RawPeer.websocket(address, query) as peer:
            sid = await peer.connect()
            await server.save_session(sid, {"user": 1})
            if end == "left":
                await peer.send_packets("41")
            elif end == "kicked":
                await server.disconnect(sid)
            if end != "connection lost":
                await poll_until(lambda: found, "handler done")
        await poll_until(lambda: found, "handler done")
        assert found == [({"user": 1}, query)]


class InMemory(AsyncPubSubManager):  # type: ignore[misc]  # python-socketio ships no types
    """A manager that publishes to itself."""

    name = "in memory"

    def __init__(self) -> None:
        super().__init__()
        self._published: asyncio.Queue[Any] = asyncio.Queue()

    async def _publish(self, data: Any) -> None:
        await self._published.put(data)

    async def _listen(self) -> AsyncIterator[Any]:
        while True:
            yield await self._published.get()


class SharedRooms(InMemory, Rooms):
    """The rooms of one process of several."""


async def test_a_shared_manager_s_calls_are_answered() -> None:
    rooms = SharedRooms()
    server = ours(client_manager=rooms)
    answers: list[Any] = []

    async def ask(sid: str) -> None:
        answers.append(await server.call("question", 1, to=sid, timeout=2 * PROMPT_S))

    server.on("ask", ask)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        for answer in ("yes", "no"):
            await peer.send_packets('42["ask"]')
            question = await peer.read_message()
            ack_id = question.removeprefix("42").removesuffix('["question",1]')
            assert ack_id.isdigit(), question
            await peer.send_packets(f'43{ack_id}["{answer}"]')
            await poll_until(partial(answers.__contains__, answer), "call answered")
    rooms.thread.cancel()


@pytest.mark.parametrize("pause_s", [None, 0.01], ids=["at once", "later"])
async def test_an_acknowledgement_that_is_not_json_affects_nothing_else(
    pause_s: float | None,
) -> None:
    server = ours()

    async def bad(sid: str) -> object:
        if pause_s is not None:
            await asyncio.sleep(pause_s)
        return object()

    server.on("bad", bad if pause_s is not None else lambda sid: object())
    server.on("good", lambda sid, number: number)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('421["bad"]', '422["good",2]', '423["bad"]', '424["good",4]')
        assert await peer.read_message() == "432[2]"
        assert await peer.read_message() == "434[4]"
        assert not server.eio.counts.closed


@pytest.mark.parametrize("room", [42, 4.5, b"bytes"], ids=repr)
async def test_a_room_need_not_be_a_string(room: Any) -> None:
    server = ours()
    async with (
        serve(server) as address,
        RawPeer.websocket(address) as inside,
        RawPeer.websocket(address) as outside,
    ):
        sid = await inside.connect()
        await outside.connect()
        await server.enter_room(sid, room)
        await server.emit("to the room", room=room)
        await server.emit("to everybody")
        assert await inside.read_message() == '42["to the room"]'
        assert await inside.read_message() == '42["to everybody"]'
        assert await outside.read_message() == '42["to everybody"]'
        assert set(server.rooms(sid)) == {sid, room}
        await server.leave_room(sid, room)
        assert server.rooms(sid) == [sid]


async def test_with_always_connect_a_connect_handler_s_emits_and_calls_arrive_at_once() -> None:
    server = ours(always_connect=True)
    answers: list[Any] = []

    async def connect(sid: str, environ: Any, auth: Any) -> None:
        await server.emit("hello", 1, to=sid)
        answers.append(await server.call("question", to=sid, timeout=2 * PROMPT_S))

    server.on("connect", connect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        assert await peer.read_message(PROMPT_S) == '42["hello",1]'
        question = await peer.read_message(PROMPT_S)
        assert question == '421["question"]'
        await peer.send_packets('431["yes"]')
        await poll_until(lambda: answers, "call answered", PROMPT_S)
        assert answers == ["yes"]
