"""Traps of clients that are connected, or only seem to be."""

from __future__ import annotations

import asyncio
from typing import Any

from deadlines import PROMPT_S, QUIET_S
from http_peers import HttpPeer
from peers import RawPeer
from serving import Transport, echo_namespaces, serve

from traps.proof import PATIENT, Trapped, demand, demand_closed, demand_empty, participants


async def check_a_client_that_never_connects_is_closed(transport: Transport) -> None:
    server = transport.socketio(**PATIENT, connect_timeout=0.3)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await demand_closed(peer, "still open without CONNECT", 0.3 + PROMPT_S)


async def check_a_second_connect_makes_no_second_client(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40", "40", '42["message","fence"]')
        heard = [await peer.read_message()]
        while not heard[-1].startswith('42["message-back"'):
            heard.append(await peer.read_message())
        answers = [packet for packet in heard if packet.startswith(("40", "44"))]
        demand(len(answers) == 1, f"CONNECT is answered twice: {answers}")  # 44 ends the client
        demand(len(participants(server)) == 1, "one transport has two clients of a namespace")


async def check_an_event_before_connect_closes(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets('42["message",1]')
        await demand_closed(peer, "still open after an event before CONNECT")


async def check_a_malformed_packet_closes(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('42["message"')
        await demand_closed(peer, "still open after a packet that is cut off")


async def _check_a_failed_connect_handler(transport: Transport, packet: str) -> None:
    server = transport.socketio(**PATIENT)

    async def connect(sid: str, environ: Any, auth: Any) -> None:
        auth.get("token", "").encode()

    server.on("connect", connect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets(packet)
        received = await peer.read_until(b"44{", PROMPT_S / 2)
        await server.emit("for clients only")
        received += await peer.read_until(b"for clients only", QUIET_S)
        demand(
            b"for clients only" not in received,
            "a client that failed to connect receives broadcasts",
        )
        demand(b"40{" not in received, "the handler failed and the client is connected")
        demand(not participants(server), "a client whose connect handler failed is in the room")


async def check_a_payload_that_breaks_the_connect_handler_connects_nobody(
    transport: Transport,
) -> None:
    await _check_a_failed_connect_handler(transport, "40[1]")


async def check_a_lone_surrogate_in_the_token_connects_nobody(transport: Transport) -> None:
    await _check_a_failed_connect_handler(transport, '40{"token":"\\ud800"}')


async def _count_handler_calls(transport: Transport, emitted: str) -> None:
    server = transport.socketio(**PATIENT)
    called: list[str] = []

    async def connect(sid: str, environ: Any, auth: object = None) -> None:
        called.append("connect")

    async def disconnect(sid: str, *reason: object) -> None:
        called.append("disconnect")

    async def fence(sid: str) -> str:
        return "passed"

    server.on("connect", connect)
    server.on("disconnect", disconnect)
    server.on("fence", fence)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets(f'42["{emitted}",{{}},{{}}]', f'42["{emitted}"]', '421["fence"]')
        # Refused by a close, or ignored: either is right, the handler's call is not.
        await peer.read_until(b'431["passed"]', PROMPT_S)
        most = ["connect"] if participants(server) else ["connect", "disconnect"]
        demand(called == most, f"a client called the application's handlers: {called}")


async def check_a_client_cannot_call_the_connect_handler(transport: Transport) -> None:
    await _count_handler_calls(transport, "connect")


async def check_a_client_cannot_call_the_disconnect_handler(transport: Transport) -> None:
    await _count_handler_calls(transport, "disconnect")


async def check_packets_after_a_close_are_ignored(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("1", "40", '42["message",1]')
        received = await demand_closed(peer, "still open after an Engine.IO close")
        demand(b"message-back" not in received, "an event behind the close was handled")
        await demand_empty(server)


async def check_packets_after_a_close_in_one_body_are_ignored(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        await peer.push(sid, "1\x1e40")
        await demand_empty(server)


async def check_a_kick_closes_the_transport(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        sid = await peer.connect()
        await server.disconnect(sid)
        received = await demand_closed(peer, "the transport stays open after a kick", 2 * PROMPT_S)
        demand(b"41" in received, "the client was not told that it was kicked")
        await demand_empty(server)


async def check_events_of_a_client_are_handled_in_order(transport: Transport) -> None:
    server = transport.socketio(**PATIENT)
    handled: list[int] = []

    async def event(sid: str, number: int) -> int:
        await asyncio.sleep(QUIET_S / number)  # the first takes longest
        handled.append(number)
        return number

    server.on("connect", lambda sid, environ, auth: None)
    server.on("event", event)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets(*(f'42{number}["event",{number}]' for number in (1, 2, 3)))
        answers = [await peer.read_message() for _ in range(3)]
        demand(handled == [1, 2, 3], f"handled in the order {handled}")
        demand(answers == ["431[1]", "432[2]", "433[3]"], f"answered in the order {answers}")


async def check_what_a_connect_handler_emits_follows_connect(transport: Transport) -> None:
    server = transport.socketio(**PATIENT)

    async def connect(sid: str, environ: Any, auth: object) -> None:
        await server.emit("welcome", to=sid)

    server.on("connect", connect)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.open_session()
        await peer.send_packets("40")
        first, second = await peer.read_message(), await peer.read_message()
        if not (first.startswith("40{") and second.startswith('42["welcome"')):
            raise Trapped(f"the client reads {first!r}, then {second!r}")


CHECKS = [
    check_a_client_that_never_connects_is_closed,
    check_a_second_connect_makes_no_second_client,
    check_an_event_before_connect_closes,
    check_a_malformed_packet_closes,
    check_a_payload_that_breaks_the_connect_handler_connects_nobody,
    check_a_lone_surrogate_in_the_token_connects_nobody,
    check_a_client_cannot_call_the_connect_handler,
    check_a_client_cannot_call_the_disconnect_handler,
    check_packets_after_a_close_are_ignored,
    check_packets_after_a_close_in_one_body_are_ignored,
    check_a_kick_closes_the_transport,
    check_events_of_a_client_are_handled_in_order,
    check_what_a_connect_handler_emits_follows_connect,
]
