"""Hostile clients that do too much: floods, broken rules, races."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from loadtests.connection.protocol.websocket_frames import Opcode, encode_frame
from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.siege import Pace, Siege
from tests.benchmarks.transport import wire

_BURST_S: Final = 0.01
_BURST: Final = 100  # frames; with the above 10,000 a second
_RACE_EVERY_S: Final = 0.05
_HUGE_EVERY_S: Final = 0.05
_SHORT_S: Final = 0.2
_MASK: Final = b"\x12\x34\x56\x78"

# Floods


async def flood_pongs(siege: Siege) -> None:
    """Send 10,000 Engine.IO pongs a second."""
    await _flood(siege, wire.ENGINE_PONG)


async def flood_pings(siege: Siege) -> None:
    """Send 10,000 WebSocket pings a second, and read the pongs."""
    await _flood(siege, encode_frame(Opcode.PING, b"", _MASK))


async def _flood(siege: Siege, frame: bytes) -> None:
    """Send bursts on one connection; on another when it is closed."""
    burst, pace = frame * _BURST, Pace(_BURST_S)
    while True:
        line = await siege.join()
        siege.is_under_way.set()
        reading = asyncio.create_task(lines.read_to_end(line, float("inf")))
        try:
            while not reading.done():
                await lines.send(line, burst)
                siege.counts["frames"] += _BURST
                await pace.turn()
        except OSError:
            siege.counts["broken"] += 1
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            line.close()
        siege.counts["closed"] += 1


async def flood_malformed(siege: Siege) -> None:
    """Send 10,000 malformed packets a second, 100 each to 100 connections."""
    await _break_rules(siege, [wire.masked('42["message"') * _BURST], _BURST_S, _BURST)


async def announce_attachments(siege: Siege) -> None:
    """Announce attachments that never come, 100 times a second."""
    packet = wire.masked('4510-["message",{"_placeholder":true,"num":0}]')
    await _break_rules(siege, [packet], _BURST_S, 1)


async def send_monsters(siege: Siege) -> None:
    """Send deep and huge JSON of up to 256 KiB, 20 times a second."""
    start = '42["subscribe",'
    monsters = [
        start + "[" * 100_000,
        start + "[" * 100_000 + "]" * 100_000 + "]",
        start + '{"a":' * 40_000,
        start + "9" * 250_000 + "]",
        start + "[" + ",".join("1" * 120_000) + "]]",
    ]
    await _break_rules(siege, [wire.masked(monster) for monster in monsters], _HUGE_EVERY_S, 1)


async def _break_rules(
    siege: Siege, offences: Sequence[bytes], every_s: float, frames_each: int
) -> None:
    """Connect and send an offence in one write, see what comes of it, and again."""
    pace = Pace(every_s)
    for offence in itertools.cycle(offences):
        line = await siege.dial()
        siege.is_under_way.set()
        try:
            await lines.send(line, siege.target.greeting() + offence)
            siege.counts["frames"] += frames_each
            siege.counts["closed"] += await lines.read_to_end(line, _SHORT_S)
        except OSError:
            siege.counts["closed"] += 1
        finally:
            line.close()
        await pace.turn()


# Races


async def upgrade_twice(siege: Siege) -> None:
    """Upgrade one polling session over two WebSockets at once, 20 times a second."""
    port = siege.target.port
    probe = wire.masked("2probe") + wire.masked("5") + wire.masked("40")

    async def race(line: socket.socket) -> None:
        sid = await lines.open_polling(line, port)
        pair = [await siege.dial(), await siege.dial()]
        try:
            for rival in pair:
                await lines.send(rival, lines.upgrade_of(port, sid) + probe)
            await asyncio.gather(*(lines.read_to_end(rival, _SHORT_S) for rival in pair))
        finally:
            for rival in pair:
                rival.close()

    await _race(siege, race)


async def poll_twice(siege: Siege) -> None:
    """Poll one session twice at once while pushing to it, 20 times a second."""
    port = siege.target.port

    async def race(line: socket.socket) -> None:
        sid = await lines.open_polling(line, port)
        token = next(siege.target.tokens)
        await lines.request(
            line, lines.polling_request(port, sid, b'40{"token":"' + token.encode() + b'"}')
        )
        rivals = [await siege.dial() for _ in range(3)]
        requests = [
            lines.polling_request(port, sid),
            lines.polling_request(port, sid),
            lines.polling_request(port, sid, b'42["ping"]'),
        ]
        try:
            for rival, said in zip(rivals, requests, strict=True):
                await lines.send(rival, said)
            await asyncio.gather(*(lines.read_to_end(rival, _SHORT_S) for rival in rivals))
        finally:
            for rival in rivals:
                rival.close()

    await _race(siege, race)


async def _race(siege: Siege, race: Callable[[socket.socket], Awaitable[None]]) -> None:
    """Start a race at every turn, whatever became of those before."""
    pace = Pace(_RACE_EVERY_S)

    async def run() -> None:
        line = None
        try:
            line = await siege.dial()
            await race(line)
            siege.counts["races"] += 1
        except OSError:
            siege.counts["broken"] += 1
        finally:
            if line is not None:
                line.close()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(run())
            siege.is_under_way.set()
            await pace.turn()
