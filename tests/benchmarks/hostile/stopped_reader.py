"""A reader that stops for 10 s under 50 KB/s of market data, and what it gets on its return."""

from __future__ import annotations

import fcntl
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import gevent

from loadtests.connection.links import Link
from loadtests.reading.intake import Intake
from tests.benchmarks.hostile.findings import Finding, judge
from tests.benchmarks.hostile.market import TICK_BYTES, Bench, Market, Reader
from tests.benchmarks.transport.crowd import PeerFailed

MOST_OLD_BYTES: Final = 131_072
_READERS: Final = 3
_RECEIVE_BYTES: Final = 32_768  # the kernel doubles it, for what it needs itself (socket(7))
_BYSTANDERS: Final = 5
_BYTES_PER_S: Final = 50_000
_STOPPED_S: Final = 10.0
_QUIET_S: Final = 0.5
_PATIENCE: Final = 6  # times _QUIET_S


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
    ticks: Sequence[Mapping[str, Any]],
    newest: Mapping[str, int],
    old_bytes: int,
    own_bytes: int = 0,
) -> Returned:
    """Say what a reader that returned was given: its ticks in the order read."""
    last: dict[str, int] = {}
    is_honest = True
    for tick in ticks:
        symbol = tick["symbol"]
        is_honest &= tick["prevSeq"] == last.get(symbol, tick["prevSeq"])
        last[symbol] = tick["seq"]
    return Returned(
        old_bytes=old_bytes,
        own_bytes=own_bytes,
        ticks=len(ticks),
        is_newest=all(last.get(symbol) == seq for symbol, seq in newest.items()),
        is_honest=is_honest,
    )


class StoppingReader(Reader):
    """A client whose ticks are kept; each is decoded, for its fast path follows no stream."""

    def __init__(self, market: Market, receive_bytes: int | None) -> None:
        super().__init__(market, Intake(), receive_buffer_bytes=receive_bytes)
        self.ticks: list[Mapping[str, Any]] = []

    def take(self, tick: Mapping[str, Any]) -> None:
        self.ticks.append(tick)

    def stop(self) -> None:
        self.client.pause()
        self.ticks.clear()
        self.fast_path.intake.drain()

    def come_back(self, newest: Mapping[str, int]) -> Returned:
        """Read until nothing came for 0.5 s, 3.5 s while the newest is missing."""
        assert isinstance(self.client._link, Link)
        held = fcntl.ioctl(self.client._link.descriptor, termios.FIONREAD, bytes(4))
        self.client.resume()
        received, quiet = 0, 0
        while True:
            gevent.sleep(_QUIET_S)
            batch = self.fast_path.intake.drain()
            if self.problem is not None:
                raise self.problem
            received += batch.bytes_read if batch else 0
            quiet = 0 if batch else quiet + 1
            stock = take_stock(self.ticks, newest, received, int.from_bytes(held, sys.byteorder))
            # A sender whose window was closed may look at it again only after seconds.
            if quiet > (0 if stock.is_newest else _PATIENCE):
                return stock


def measure(bench: Bench) -> list[Finding]:
    """Let clients stop reading while ticks go on, then read again.

    Some have a receive buffer of 64 KiB, some the kernel's own, which grows: what lies there
    has been delivered as far as the gateway can know.

    Raises:
        PeerFailed: ticks were refused or nothing was conflated: there was no backlog to see.
    """
    with bench.crowded("stopped-reader", _BYSTANDERS) as (market, bystanders):
        bounds = [_RECEIVE_BYTES] * _READERS + [None] * _READERS
        readers = [StoppingReader(market, bound) for bound in bounds]
        for reader in readers:
            reader.join(market.token("stopped"))
            reader.stop()
        market.publish(_BYTES_PER_S / TICK_BYTES, _STOPPED_S)
        newest = market.newest()
        returned = [reader.come_back(newest) for reader in readers]
        bystanders.check()
        for reader in readers:
            reader.client.close()
    published = sum(newest.values())
    if any(one.ticks >= published for one in returned):
        raise PeerFailed("a stopped reader got every tick: it was never behind")
    return [
        _finding("stopped-reader", "receive buffer of 64 KiB", returned[:_READERS], published),
        _finding(
            "stopped-reader-default", "the kernel's own buffer", returned[_READERS:], published
        ),
    ]


def _finding(key: str, buffer: str, returned: Sequence[Returned], published: int) -> Finding:
    most = max(returned, key=lambda one: one.old_bytes)
    is_newest = all(one.is_newest for one in returned)
    is_honest = all(one.is_honest for one in returned)
    return Finding(
        key=key,
        title=f"a reader stopped for {_STOPPED_S:g} s at {_BYTES_PER_S // 1_000} KB/s, {buffer}",
        measured=(
            f"{most.old_bytes / 1_024:.0f} KiB of {published * TICK_BYTES / 1_024:.0f} on its "
            f"return, {most.own_bytes / 1_024:.0f} of them from its own kernel; newest of each "
            f"symbol: {'yes' if is_newest else 'no'}; honest prevSeq: "
            f"{'yes' if is_honest else 'no'}"
        ),
        promise=f"≤ {MOST_OLD_BYTES // 1_024} KiB, then the newest of each symbol",
        verdict=judge(most.old_bytes <= MOST_OLD_BYTES and is_newest and is_honest),
        figures={"readers": [asdict(one) for one in returned], "published": published},
    )
