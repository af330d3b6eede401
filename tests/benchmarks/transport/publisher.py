"""Ticks at intended times through a peer's publish route, from the measuring loop itself."""

from __future__ import annotations

import os
import re
import select
import socket
import time
from array import array
from typing import Final

from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.peers import Running
from tests.benchmarks.transport.processes import machine_stolen_ns

_CONNECTIONS: Final = 16
"""Requests that may be unanswered; a tick due beyond that is missed, and counted."""
_QUIET_NS: Final = 300_000_000
_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ACCEPTED: Final = b"202"


class Publisher:
    """An open loop: tick k is due at ``start + k / rate``, whatever became of those before.

    Args:
        crowd: whose poll it shares.
        peer: whom it publishes to.
        ticks_per_s: how often.
        seconds: for how long; then it waits until nothing more is read.
        drain_s: how long it waits at most.

    Attributes:
        start_ns: when tick 0 is due; end_ns: when the last one's interval is over.
        missed: ticks that found every connection waiting.
        refused: answers other than 202.
        lateness_ns: of each request, from due to written.
        readings: when the host's share was read, and what it had taken of the machine by then,
            ns: with each tick, and at the end.
        is_drained: whether reading had become quiet when it stopped.
    """

    def __init__(
        self, crowd: Crowd, peer: Running, ticks_per_s: float, seconds: float, drain_s: float
    ) -> None:
        self._crowd = crowd
        self._peer = peer
        self._every_ns = 1e9 / ticks_per_s
        self._ticks = round(ticks_per_s * seconds)
        self._drain_ns = round(drain_s * 1e9)
        self._next = 0
        self._sockets = [self._open() for _ in range(_CONNECTIONS)]
        self._free = [opened.fileno() for opened in self._sockets]
        self._answers = dict.fromkeys(self._free, b"")
        self._read_last = (0, 0)
        self.start_ns = time.monotonic_ns() + 100_000_000
        self.end_ns = self.start_ns + round(seconds * 1e9)
        self.missed = 0
        self.refused = 0
        self.lateness_ns = array("q")
        self.readings: list[tuple[int, int]] = []
        self.is_drained = False

    def run(self) -> None:
        """Publish them all, and read until it is quiet, or the drain's time is over.

        Raises:
            PeerFailed: the peer closed a connection, or failed its clients.
        """
        self._read_host()
        try:
            self._crowd.pump(self._turn)
            self._read_host()
        finally:
            for opened in self._sockets:
                fd = opened.fileno()
                self._crowd.foreign.pop(fd, None)
                self._crowd.poller.unregister(fd)
                opened.close()

    def _read_host(self) -> None:
        self.readings.append((time.monotonic_ns(), machine_stolen_ns()))

    def _turn(self, now_ns: int) -> int | None:
        while self._next < self._ticks:
            due_ns = self.start_ns + round(self._next * self._every_ns)
            if now_ns < due_ns:
                return due_ns
            self._next += 1
            self._publish(due_ns)
            self._read_host()
        return self._drain(now_ns)

    def _drain(self, now_ns: int) -> int | None:
        """Wait until nothing was read for 0.3 s and every request is answered."""
        read = len(self._crowd.reading.stamps_ns)
        if read != self._read_last[0] or not self._read_last[1]:
            self._read_last = (read, now_ns)
        is_quiet = now_ns - self._read_last[1] > _QUIET_NS
        self.is_drained = (
            is_quiet and len(self._free) == len(self._sockets) and now_ns > self.end_ns
        )
        if self.is_drained or now_ns > self.end_ns + self._drain_ns:
            return None
        return now_ns + 20_000_000

    def _publish(self, due_ns: int) -> None:
        if not self._free:
            self.missed += 1
            return
        fd = self._free.pop()
        request = self._peer.publish_request(due_ns // 1_000)
        if os.write(fd, request) != len(request):
            raise PeerFailed("a publish request was not taken whole")
        self.lateness_ns.append(time.monotonic_ns() - due_ns)

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._peer.port), timeout=5)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        fd = opened.fileno()
        self._crowd.foreign[fd] = lambda data, _stamp: self._answered(fd, data)
        self._crowd.poller.register(fd, select.EPOLLIN)
        return opened

    def _answered(self, fd: int, data: bytes) -> None:
        if not data:
            raise PeerFailed("the peer closed a publisher's connection")
        self._answers[fd] += data
        head, end, body = self._answers[fd].partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        self._answers[fd] = b""
        self._free.append(fd)
        if head.split(b" ", 2)[1] != _ACCEPTED:
            self.refused += 1
