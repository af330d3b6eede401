"""Hostile clients that do too little: readers that do not keep up, slow or silent peers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.siege import Pace, Siege
from tests.benchmarks.transport import wire

_MANY: Final = 50  # slow connections at a time
_SILENT: Final = 500
_SILENT_EVERY_S: Final = 0.002
_DRIBBLE_S: Final = 0.05
_JOIN_EVERY_S: Final = 0.5
_PONG_EVERY_S: Final = 0.1
_SLOW_BYTES: Final = 100
_SLOW_EVERY_S: Final = 0.1
_BODY_BYTES: Final = 100_000

# Readers that do not keep up


async def never_read(siege: Siege) -> None:
    """Subscribe and never read again; one more such client each 0.5 s."""
    await _neglect(siege, _wait_for_ever)


async def never_read_but_pong(siege: Siege) -> None:
    """The same, but answer pings that are never read."""
    await _neglect(siege, _send_pongs)


async def read_slowly(siege: Siege) -> None:
    """Read 1 KB a second; one more such client each 0.5 s."""
    await _neglect(siege, _sip)


async def _neglect(siege: Siege, conduct: Callable[[socket.socket], Awaitable[None]]) -> None:
    pace = Pace(_JOIN_EVERY_S)
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        while True:
            with contextlib.suppress(OSError):
                line = await siege.join(lines.NARROW_BYTES)
                stack.callback(line.close)
                group.create_task(_until_broken(conduct(line)))
            siege.is_under_way.set()
            await pace.turn()


async def _until_broken(work: Awaitable[None]) -> None:
    with contextlib.suppress(OSError):
        await work


async def _wait_for_ever(_line: socket.socket) -> None:
    await asyncio.Event().wait()


async def _send_pongs(line: socket.socket) -> None:
    while True:
        await lines.send(line, wire.ENGINE_PONG)
        await asyncio.sleep(_PONG_EVERY_S)


async def _sip(line: socket.socket) -> None:
    pace = Pace(_SLOW_EVERY_S)
    while await asyncio.get_running_loop().sock_recv(line, _SLOW_BYTES):
        await pace.turn()


# Slow or silent peers


async def dribble_heads(siege: Siege) -> None:
    """Send 50 request heads, a byte each 50 ms."""
    head = wire.upgrade_request(siege.target.port)[:-2] + b"X-More: " + b"x" * 10_000
    opened = [await siege.dial() for _ in range(_MANY)]
    await _dribble(siege, opened, head)


async def dribble_bodies(siege: Siege) -> None:
    """Open 50 polling sessions and push to each, a byte each 50 ms."""
    port, opened = siege.target.port, []
    whole = _BODY_BYTES
    for _ in range(_MANY):
        line = await siege.dial()
        opened.append(line)
        sid = await lines.open_polling(line, port)
        body = b"4" * whole
        await lines.send(line, lines.polling_request(port, sid, body)[:-whole])
    await _dribble(siege, opened, b"4" * whole)


async def _dribble(siege: Siege, opened: Sequence[socket.socket], data: bytes) -> None:
    siege.is_under_way.set()
    pace = Pace(_DRIBBLE_S)
    try:
        for at in range(len(data)):
            for line in opened:
                with contextlib.suppress(OSError):
                    line.send(data[at : at + 1])
            siege.counts["bytes"] += len(opened)
            await pace.turn()
    finally:
        for line in opened:
            line.close()


async def be_silent(siege: Siege) -> None:
    """Open 500 WebSockets, 500 a second, and never send CONNECT."""
    pace = Pace(_SILENT_EVERY_S)
    siege.is_under_way.set()
    with contextlib.ExitStack() as stack:
        for _ in range(_SILENT):
            line = await siege.dial()
            stack.callback(line.close)
            await lines.send(line, wire.upgrade_request(siege.target.port))
            await pace.turn()
        await asyncio.Event().wait()
