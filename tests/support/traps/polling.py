"""Traps of HTTP long-polling."""

from __future__ import annotations

import asyncio

from deadlines import PROMPT_S, poll_until
from http_peers import HttpPeer, Reply
from peers import RawPeer, push_head
from serving import ENGINEIO_PATH, Transport, echo_engine, serve

from traps.proof import PATIENT, Trapped, demand, demanded

SEPARATOR = "\x1e"


async def _poll_or_nothing(peer: HttpPeer, sid: str) -> Reply | None:
    try:
        async with asyncio.timeout(PROMPT_S / 2):
            return await peer.poll(sid)
    except TimeoutError:
        return None


async def check_a_body_in_two_parts_is_one_body(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with (
        serve(server, ENGINEIO_PATH) as address,
        HttpPeer.to(address) as peer,
        RawPeer.dial(address) as raw,
    ):
        sid = await peer.open_polling()
        await raw.send(push_head(address, sid, "Content-Length: 6") + b"4he")
        await asyncio.sleep(0.1)  # the second part comes later, on purpose
        await raw.send(b"llo")
        posted = await raw.read_reply()
        echoed = await _poll_or_nothing(peer, sid)
        demand(posted.status == 200, f"answered with {posted}")
        demand(echoed == (200, "4hello"), f"the body became {echoed}")


async def check_a_chunked_body_is_read(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with (
        serve(server, ENGINEIO_PATH) as address,
        HttpPeer.to(address) as peer,
        RawPeer.dial(address) as raw,
    ):
        sid = await peer.open_polling()
        head = push_head(address, sid, "Transfer-Encoding: chunked")
        await raw.send(head + b"3\r\n4he\r\n3\r\nllo\r\n0\r\n\r\n")
        posted = await raw.read_reply()
        if posted.status == 411:  # refused by name is as good
            return
        echoed = await _poll_or_nothing(peer, sid)
        demand(echoed == (200, "4hello"), f"answered with {posted}, and echoed {echoed}")


async def check_many_packets_in_one_body_all_count(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        body = SEPARATOR.join(f"4{number}" for number in range(40))
        posted = await peer.push(sid, body)
        echoed = await _poll_or_nothing(peer, sid)
        demand(echoed == (200, body), f"answered with {posted}, and echoed {echoed}")


async def check_a_malformed_packet_is_no_success(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        posted = await peer.push(sid, "abc")
        demand(posted.status == 400, f"answered with {posted}")


async def check_a_push_is_answered_with_ok_in_small_letters(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        posted = await peer.push(sid, "4hello")
        demand(posted == (200, "ok"), f"answered with {posted}")


async def check_two_polls_at_once_close(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        first = asyncio.create_task(peer.poll(sid))
        await asyncio.sleep(0.005)
        second = asyncio.create_task(peer.poll(sid))
        _, waiting = await asyncio.wait([first, second], timeout=PROMPT_S)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)
            raise Trapped("two polls wait for one session")
        demand(first.result() == (200, "1"), f"the first is answered with {first.result()}")
        demand(second.result().status in {400, 500}, f"the second with {second.result()}")
        demand(not server.sockets, "the session lives on")


async def check_an_aborted_poll_closes(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        sid = await peer.open_polling()
        polling = asyncio.create_task(peer.poll(sid))
        await asyncio.sleep(0.005)
        polling.cancel()
        await asyncio.wait([polling])
        with demanded("an aborted poll goes unnoticed"):
            await poll_until(lambda: not server.sockets, "the session is closed", PROMPT_S)


async def check_there_is_no_jsonp(transport: Transport) -> None:
    server = echo_engine(transport, **PATIENT)
    async with serve(server, ENGINEIO_PATH) as address, HttpPeer.to(address) as peer:
        opened = await peer.request("GET", "EIO=4&transport=polling&j=0")
        demand("___eio" not in opened.text, "a script is served to any page that asks")


CHECKS = [
    check_a_body_in_two_parts_is_one_body,
    check_a_chunked_body_is_read,
    check_many_packets_in_one_body_all_count,
    check_a_malformed_packet_is_no_success,
    check_a_push_is_answered_with_ok_in_small_letters,
    check_two_polls_at_once_close,
    check_an_aborted_poll_closes,
    check_there_is_no_jsonp,
]
