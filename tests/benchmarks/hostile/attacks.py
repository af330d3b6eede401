"""What each hostile client does, over and over, until it is cancelled.

All of them run in one process beside the measuring one, on its core and behind it: what
reaches the bystanders went through the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from loadtests.frames import Opcode, encode_frame
from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.lines import Target
from tests.benchmarks.transport import wire

_BURST_S: Final = 0.01
_BURST: Final = 100  # frames; with the above 10,000 a second
_MANY: Final = 50  # slow connections at a time
_SILENT: Final = 500
_SILENT_EVERY_S: Final = 0.002
_DRIBBLE_S: Final = 0.05
_JOIN_EVERY_S: Final = 0.5
_PONG_EVERY_S: Final = 0.1
_RACE_EVERY_S: Final = 0.05
_HUGE_EVERY_S: Final = 0.05
_SHORT_S: Final = 0.2
_SLOW_BYTES: Final = 100
_SLOW_EVERY_S: Final = 0.1
_BODY_BYTES: Final = 100_000
_MASK: Final = b"\x12\x34\x56\x78"


class Siege:
    """One attack while it lasts.

    Args:
        target: whom.

    Attributes:
        counts: what was done, and what became of it.
        is_under_way: set as soon as the gateway feels it.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.counts: Counter[str] = Counter()
        self.is_under_way = asyncio.Event()

    async def dial(self) -> socket.socket:
        """Open a connection and count it."""
        self.counts["connections"] += 1
        return await lines.dial(self.target.port)

    async def join(self, receive_bytes: int | None = None) -> socket.socket:
        """Become a client with its subscription, and count it."""
        self.counts["connections"] += 1
        return await lines.join(self.target, receive_bytes)


Attack = Callable[[Siege], Awaitable[None]]


class Pace:
    """Turns at absolute times; one that is late does not shift the next.

    Args:
        every_s: between two turns.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = asyncio.get_running_loop().time()

    async def turn(self) -> None:
        """Wait until the next turn is due; let others run where it already is."""
        self._due_s += self._every_s
        await asyncio.sleep(max(0.0, self._due_s - asyncio.get_running_loop().time()))


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
    while await asyncio.get_running_loop().sock_recv(line, _SLOW_BYTES):
        await asyncio.sleep(_SLOW_EVERY_S)


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


ATTACKS: Final[dict[str, tuple[str, Attack]]] = {
    "never-read": ("reads nothing, answers no ping", never_read),
    "never-read-pong": ("reads nothing, answers pings", never_read_but_pong),
    "slow-read": ("reads 1 KB/s", read_slowly),
    "slow-head": ("50 heads, a byte each 50 ms", dribble_heads),
    "slow-body": ("50 bodies, a byte each 50 ms", dribble_bodies),
    "silent": ("500 silent connections", be_silent),
    "pongs": ("10,000 pongs/s", flood_pongs),
    "pings": ("10,000 WebSocket pings/s", flood_pings),
    "malformed": ("10,000 malformed packets/s", flood_malformed),
    "attachments": ("attachments announced, never sent", announce_attachments),
    "monsters": ("deep and huge JSON, 20/s", send_monsters),
    "double-upgrade": ("double upgrades, 20/s", upgrade_twice),
    "poll-race": ("racing polls, 20/s", poll_twice),
}
"""Key → what the table calls it, and what does it."""
