"""A reader that stops for 10 s under 50 KB/s of market data, and what it gets on its return."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import itertools
import json
import select
import socket
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from gateway.contract import STREAMS_PATH, Scope
from loadtests.tokens import mint
from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.gateways import SYMBOLS, Bench, Market
from tests.benchmarks.hostile.lines import Target
from tests.benchmarks.hostile.verdicts import Finding, judge
from tests.benchmarks.transport import wire
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.publisher import Publisher

MOST_OLD_BYTES: Final = 131_072
_READERS: Final = 3
_RECEIVE_BYTES: Final = 32_768  # the kernel doubles it, for what it needs itself (socket(7))
_BYSTANDERS: Final = 5
_BYTES_PER_S: Final = 50_000
_TICK_BYTES: Final = 331
_STOPPED_S: Final = 10.0
_DRAIN_S: Final = 3.0
_QUIET_S: Final = 0.5
_READ_BYTES: Final = 65_536
# The publisher's spare connections say nothing for as long as the reader is stopped.
_SETTINGS: Final = {"GATEWAY_HEAD_TIMEOUT_SECONDS": "60"}
_STREAM: Final = "ticker:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    """What one reader got when it read again.

    Attributes:
        old_bytes: all that came, in frames.
        own_bytes: of them, what its own kernel held: the gateway could not take that back.
        ticks: among them.
        is_newest: the last tick of every symbol is the last that was published.
        is_honest: each tick names as ``prevSeq`` the tick of its symbol that came before it.
    """

    old_bytes: int
    own_bytes: int
    ticks: int
    is_newest: bool
    is_honest: bool


def take_stock(
    packets: Sequence[bytes], newest: Mapping[str, int], old_bytes: int, own_bytes: int = 0
) -> Returned:
    """Say what a reader that returned was given.

    Args:
        packets: Socket.IO packets in the order read; those that are no ticks are passed over.
        newest: last published number of each symbol.
        old_bytes: of all frames.
        own_bytes: of them, what lay in the reader's own kernel.
    """
    last: dict[str, int] = {}
    ticks, is_honest = 0, True
    for packet in packets:
        if not packet.startswith(wire.TICK):
            continue
        ticks += 1
        content = json.loads(packet[2:])[1]
        symbol = content["symbol"]
        is_honest &= content["prevSeq"] == last.get(symbol, content["prevSeq"])
        last[symbol] = content["seq"]
    return Returned(
        old_bytes=old_bytes,
        own_bytes=own_bytes,
        ticks=ticks,
        is_newest=all(last.get(symbol) == seq for symbol, seq in newest.items()),
        is_honest=is_honest,
    )


def measure(bench: Bench) -> list[Finding]:
    """Let clients stop reading while ticks go on, then read again.

    Some have a receive buffer of 64 KiB, some the kernel's own, which grows: what lies there
    has been delivered as far as the gateway can know.

    Raises:
        PeerFailed: ticks were refused or nothing was conflated: there was no backlog to see.
    """
    with bench.crowded("stopped-reader", _BYSTANDERS, _SETTINGS) as (market, crowd):
        tokens = itertools.cycle([market.token("stopped")])
        target = Target(port=market.port, tokens=tokens, symbols=SYMBOLS)
        bounds = [_RECEIVE_BYTES] * _READERS + [None] * _READERS
        stopped = [asyncio.run(lines.join(target, bound)) for bound in bounds]
        try:
            _publish(crowd, market)
            newest = _newest(market)
            returned = [_return(line, newest) for line in stopped]
        finally:
            for line in stopped:
                line.close()
    published = sum(newest.values())
    if any(one.ticks >= published for one in returned):
        raise PeerFailed("a stopped reader got every tick: it was never behind")
    return [
        _finding("stopped-reader", "receive buffer of 64 KiB", returned[:_READERS], published),
        _finding(
            "stopped-reader-default", "the kernel's own buffer", returned[_READERS:], published
        ),
    ]


def _publish(crowd: Crowd, market: Market) -> None:
    publisher = Publisher(crowd, market, _BYTES_PER_S / _TICK_BYTES, _STOPPED_S, _DRAIN_S)
    publisher.run()
    if publisher.refused:
        raise PeerFailed(f"{publisher.refused} ticks were refused")


def _newest(market: Market) -> dict[str, int]:
    """Return the number of every symbol's last tick."""
    token = mint(market.secret, "publisher", lifetime_s=60, scopes=[Scope.PUBLISH])
    connection = http.client.HTTPConnection("127.0.0.1", market.port, timeout=5)
    try:
        connection.request("GET", STREAMS_PATH, headers={"Authorization": f"Bearer {token}"})
        streams: dict[str, Any] = json.loads(connection.getresponse().read())["streams"]
    finally:
        connection.close()
    return {
        name.removeprefix(_STREAM): int(number)
        for name, number in streams.items()
        if name.startswith(_STREAM)
    }


def _return(line: socket.socket, newest: Mapping[str, int]) -> Returned:
    """Read until nothing came for 0.5 s, answering pings."""
    received, packets, rest = 0, list[bytes](), b""
    own_bytes = int.from_bytes(fcntl.ioctl(line, termios.FIONREAD, bytes(4)), sys.byteorder)
    while select.select([line], [], [], _QUIET_S)[0]:
        data = line.recv(_READ_BYTES)
        if not data:
            raise PeerFailed("a stopped reader was closed")
        received += len(data)
        found, rest = wire.walk(rest + data)
        packets += found
    if rest:
        raise PeerFailed(f"a frame was cut off: {rest[:60]!r}")
    return take_stock(packets, newest, received, own_bytes)


def _finding(key: str, buffer: str, returned: Sequence[Returned], published: int) -> Finding:
    most = max(returned, key=lambda one: one.old_bytes)
    is_newest = all(one.is_newest for one in returned)
    is_honest = all(one.is_honest for one in returned)
    return Finding(
        key=key,
        title=f"a reader stopped for {_STOPPED_S:g} s at {_BYTES_PER_S // 1_000} KB/s, {buffer}",
        measured=(
            f"{most.old_bytes / 1_024:.0f} KiB of {published * _TICK_BYTES / 1_024:.0f} on its "
            f"return, {most.own_bytes / 1_024:.0f} of them from its own kernel; newest of each "
            f"symbol: {'yes' if is_newest else 'no'}; honest prevSeq: "
            f"{'yes' if is_honest else 'no'}"
        ),
        promise=f"≤ {MOST_OLD_BYTES // 1_024} KiB, then the newest of each symbol",
        verdict=judge(most.old_bytes <= MOST_OLD_BYTES and is_newest and is_honest),
        figures={"readers": [asdict(one) for one in returned], "published": published},
    )
