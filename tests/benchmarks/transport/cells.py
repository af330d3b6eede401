"""The cells: one question to one running peer, answered with figures by row."""

from __future__ import annotations

import itertools
import os
import time
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.benchmarks.transport import processes, wire
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.peers import Running
from tests.benchmarks.transport.publisher import Publisher
from tests.benchmarks.transport.reading import Times, is_calm, quantile_ms

_CONNECT_S: Final = 60.0
_SETTLE_S: Final = 1.0
_PINGS_PER_S: Final = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Streamed:
    """What one cell of ticks gave.

    Attributes:
        delivered_per_s: ticks read in the measured part, a second.
        delivered_share: of what was accepted, everything read by the end of the drain.
        p50_ms: from the tick's due time to its read; None when none was read.
        p99_ms: same.
        calm_p99_ms: same, of the ticks without host steal around them.
        calm_ticks: how many these are.
        cpu_us: the server's CPU for each tick read, from quiet to quiet; None when it used less
            than the kernel's clock of CPU time can tell.
        client_us: the measuring process's CPU for each tick read.
        client_share: of its core, what the measuring process used.
        others_share: of one core, what everybody else on the machine used meanwhile.
        missed: ticks not offered, as 16 requests were unanswered.
        refused: ticks that the peer did not take.
        late_p99_ms: how late the requests were written.
        is_drained: reading had become quiet within the drain's time.
    """

    delivered_per_s: float
    delivered_share: float
    p50_ms: float | None
    p99_ms: float | None
    calm_p99_ms: float | None
    calm_ticks: int
    cpu_us: float | None
    client_us: float
    client_share: float
    others_share: float
    missed: int
    refused: int
    late_p99_ms: float | None
    is_drained: bool


def stream(
    crowd: Crowd, peer: Running, ticks_per_s: float, seconds: float, warm_s: float, drain_s: float
) -> Streamed:
    """Publish to everybody, and read.

    Args:
        crowd: who reads, all of it.
        peer: who delivers.
        ticks_per_s: offered to each client.
        seconds: of the measured part.
        warm_s: before it, published as well.
        drain_s: how long at most to wait for what is still under way.

    Raises:
        PeerFailed: no tick arrived, or the peer failed its clients.
    """
    publisher = Publisher(crowd, peer, ticks_per_s, warm_s + seconds, drain_s)
    reading = crowd.start_cell()
    usage = Usage(peer)
    publisher.run()
    used = usage.since()
    stamps_ns, dues_ns = reading.messages()
    if not len(stamps_ns):
        raise PeerFailed(f"no tick arrived; {publisher.refused} publications were refused")
    measured_from_ns = publisher.start_ns + round(warm_s * 1e9)
    in_window = (stamps_ns >= measured_from_ns) & (stamps_ns < publisher.end_ns)
    is_measured = dues_ns >= measured_from_ns
    spans_ns, measured_ns = (stamps_ns - dues_ns)[is_measured], dues_ns[is_measured]
    calm = is_calm(measured_ns, publisher.readings, round(1e9 / ticks_per_s))
    accepted = len(publisher.lateness_ns) - publisher.refused
    return Streamed(
        delivered_per_s=int(in_window.sum()) / seconds,
        delivered_share=len(stamps_ns) / (accepted * len(crowd.fds)) if accepted else 0.0,
        p50_ms=quantile_ms(spans_ns, 0.5),
        p99_ms=quantile_ms(spans_ns, 0.99),
        calm_p99_ms=quantile_ms(spans_ns[calm], 0.99),
        calm_ticks=len(np.unique(measured_ns[calm])),
        cpu_us=used.server_ns / len(stamps_ns) / 1_000 if used.server_ns else None,
        client_us=used.client_ns / len(stamps_ns) / 1_000,
        client_share=used.client_ns / used.wall_ns,
        others_share=used.others_ns / used.wall_ns,
        missed=publisher.missed,
        refused=publisher.refused,
        late_p99_ms=quantile_ms(_times(publisher.lateness_ns), 0.99),
        is_drained=publisher.is_drained,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Grown:
    """What the arrival of clients cost.

    Attributes:
        connects_per_s: TCP, upgrade, token checked, CONNECT answered.
        kb_by_step: resident memory a client, KB of 1,024 bytes, that each step added.
    """

    connects_per_s: float
    kb_by_step: dict[str, float]


def populate(crowd: Crowd, peer: Running, count: int) -> Grown:
    """Connect clients, put each in two rooms with its three messages, and let it settle 1 s.

    Raises:
        PeerFailed: not all came and were answered.
    """
    rss = [peer.rss_bytes()]
    seconds = crowd.connect(count, _CONNECT_S)
    rss.append(peer.rss_bytes())
    for frame in wire.SUBSCRIBE:
        crowd.ask(frame, "subscribed", _CONNECT_S)
    rss.append(peer.rss_bytes())
    crowd.ask(wire.PING, "pong", _CONNECT_S)
    rest(crowd, _SETTLE_S)
    rss.append(peer.rss_bytes())
    steps = zip(("connected", "rooms", "settled"), itertools.pairwise(rss), strict=True)
    return Grown(
        connects_per_s=count / seconds,
        kb_by_step={name: (after - before) / count / 1_024 for name, (before, after) in steps},
    )


def ping_p99_ms(crowd: Crowd, seconds: float) -> float | None:
    """Send pings at due times, one client after the other, and time their pongs."""
    reading = crowd.start_cell()
    fds = itertools.cycle(crowd.fds)
    start_ns = time.monotonic_ns()
    deadline_ns = start_ns + round((seconds + 3) * 1e9)
    count = round(_PINGS_PER_S * seconds)
    dues_ns = iter([start_ns + round(i * 1e9 / _PINGS_PER_S) for i in range(count)])
    due_ns = next(dues_ns, None)
    wanted = crowd.answers["pong"] + count

    def turn(now_ns: int) -> int | None:
        nonlocal due_ns
        while due_ns is not None and due_ns <= now_ns:
            crowd.ping(next(fds), due_ns)
            due_ns = next(dues_ns, None)
        if due_ns is not None:
            return due_ns
        is_done = crowd.answers["pong"] >= wanted or now_ns > deadline_ns
        return None if is_done else now_ns + 5_000_000

    crowd.pump(turn)
    return quantile_ms(_times(reading.round_trips_ns), 0.99)


def idle_share(crowd: Crowd, peer: Running, seconds: float) -> float:
    """Return the share of a core that the peer uses while nothing but its own ticks happen."""
    crowd.start_cell()
    usage = Usage(peer)
    rest(crowd, seconds)
    used = usage.since()
    return used.server_ns / used.wall_ns


def rest(crowd: Crowd, seconds: float) -> None:
    """Read, and answer what Engine.IO asks, for a while."""
    end_ns = time.monotonic_ns() + round(seconds * 1e9)
    crowd.pump(lambda now_ns: None if now_ns >= end_ns else end_ns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """CPU and wall time of a span, ns."""

    server_ns: int
    client_ns: int
    others_ns: int
    wall_ns: int


class Usage:
    """Reads the clocks of CPU time when made, and again when asked.

    Args:
        peer: the server.
    """

    def __init__(self, peer: Running) -> None:
        self._peer = peer
        self._began = self._read()

    def since(self) -> Used:
        """Return what was used since it was made."""
        server, client, machine, wall = (
            after - before for after, before in zip(self._read(), self._began, strict=True)
        )
        return Used(
            server_ns=server,
            client_ns=client,
            others_ns=max(0, machine - server - client),
            wall_ns=wall,
        )

    def _read(self) -> tuple[int, int, int, int]:
        return (
            self._peer.cpu_ns(),
            processes.cpu_ns_alone(os.getpid()),
            processes.machine_busy_ns(),
            time.monotonic_ns(),
        )


def _times(values: array[int]) -> Times:
    return np.array(values, dtype=np.int64)
