"""Traps in the content of messages."""

from __future__ import annotations

import contextlib

from deadlines import PROMPT_S
from peers import RawPeer
from serving import Transport, echo_namespaces, serve

from traps.proof import PATIENT, demand, demand_closed


async def _check_closes(
    transport: Transport, packets: list[str | bytes], what: str, max_payload: int = 1_000_000
) -> None:
    server = echo_namespaces(transport, **PATIENT, max_http_buffer_size=max_payload)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        with contextlib.suppress(ConnectionError):  # closed before the last of them went out
            await peer.send_packets(*packets)
        received = await peer.read_until(b"message-back", PROMPT_S)
        demand(b"message-back" not in received, f"{what}: the event was handled")
        await demand_closed(peer, what, PROMPT_S / 10)  # all that came is read already


async def check_an_endless_count_of_attachments_closes(transport: Transport) -> None:
    packet = '459999999999-["message",{"_placeholder":true,"num":0}]'
    await _check_closes(transport, [packet], "waits for ten digits of attachments")


async def check_attachments_share_one_budget_of_bytes(transport: Transport) -> None:
    places = ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in range(20))
    packets: list[str | bytes] = [f'4520-["message",{places}]', *[bytes(9_000)] * 19]
    await _check_closes(transport, packets, "holds 171 kB of attachments", max_payload=10_000)


async def check_json_between_the_layers_is_no_packet(transport: Transport) -> None:
    packet = '4"2[\\"message\\",1]"'
    await _check_closes(transport, [packet], "takes a JSON string for a packet")


async def _check_a_number_that_json_has_not(transport: Transport, number: str) -> None:
    await _check_closes(transport, [f'42["message",{number}]'], f"takes {number} for a number")


async def check_nan_from_a_client_closes(transport: Transport) -> None:
    await _check_a_number_that_json_has_not(transport, "NaN")


async def check_infinity_from_a_client_closes(transport: Transport) -> None:
    await _check_a_number_that_json_has_not(transport, "-Infinity")


async def check_an_overflowing_number_is_never_sent_on(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        await peer.connect()
        await peer.send_packets('42["message",1e999]', '42["message","fence"]')
        received = await peer.read_until(b"fence", PROMPT_S)
        demand(b"Infinity" not in received, "a number that JSON has not went out to a client")
        demand(b"fence" in received, "a number that JSON has closes the client")


async def check_nan_is_never_emitted(transport: Transport) -> None:
    server = echo_namespaces(transport, **PATIENT)
    async with serve(server) as address, RawPeer.websocket(address) as peer:
        sid = await peer.connect()
        assert await peer.read_message() == '42["auth",{}]'
        refused = False
        try:
            await server.emit("price", {"price": float("nan")}, to=sid)
        except ValueError:
            refused = True
        await server.emit("fence", to=sid)
        demand(await peer.read_message() == '42["fence"]', "NaN went out to a client")
        demand(refused, "an application that emits NaN is not told")


CHECKS = [
    check_an_endless_count_of_attachments_closes,
    check_attachments_share_one_budget_of_bytes,
    check_json_between_the_layers_is_no_packet,
    check_nan_from_a_client_closes,
    check_infinity_from_a_client_closes,
    check_an_overflowing_number_is_never_sent_on,
    check_nan_is_never_emitted,
]
