"""Thousands of clients in one process: epoll, plain sockets, one stamp for each read.

A peer sends the same bytes to everyone, so a chunk that was walked once is known by its bytes:
the hot loop is a poll, a read, a stamp and a look-up. Whatever is new, private or partial
takes the slow path.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tests.benchmarks.transport import wire
from tests.benchmarks.transport.reading import Reading

Turn = Callable[[int], int | None]
"""Called between two polls with ``now_ns``; returns when it wants to be called again, ns, or
None when the pumping is done."""

_AT_ONCE: Final = 256  # sockets a poll: the turn is asked each 1–2 ms even in a burst
_READ_BYTES: Final = 16_384
_KNOWN: Final = 2_000
_IN_FLIGHT: Final = 64
_CLIENTS_AN_ADDRESS: Final = 100
_CONNECT_S: Final = 5.0
_HEAD_END: Final = b"\r\n\r\n"


class PeerFailed(Exception):  # noqa: N818 - it reads as what happened, as all errors here
    """A peer did not do what every peer must: the cell has no figure."""


class Crowd:
    """The clients of one peer.

    Args:
        port: where the peer listens, on 127.0.0.1.
        tokens: one for each client that may come.
        more_ports: where its other nodes listen; clients go to one after the other.

    Attributes:
        reading: where ticks and pongs are noted; a cell puts a fresh one here.
        answers: how many of each answer came, by name.
        foreign: callbacks for sockets in the same poll that are no clients: ``(bytes, stamp)``.
    """

    def __init__(self, port: int, tokens: Sequence[str], more_ports: Sequence[int] = ()) -> None:
        self.reading = Reading()
        self.answers: Counter[str] = Counter()
        self.foreign: dict[int, Callable[[bytes, int], None]] = {}
        self.poller = select.epoll()
        self._ports = (port, *more_ports)
        self._tokens = tokens
        self._request = wire.upgrade_request(port)
        self._sockets: dict[int, socket.socket] = {}
        self._heads: dict[int, bytes] = {}
        self._token_of: dict[int, str] = {}
        self._rests: dict[int, bytes] = {}
        self._known: dict[bytes, int] = {}
        self._due_ns: dict[int, int] = {}

    @property
    def fds(self) -> list[int]:
        """The clients that are connected, in the order of arrival."""
        return list(self._sockets)

    def close(self) -> None:
        """Close every client's socket, and the poll."""
        for client in self._sockets.values():
            client.close()
        self._sockets.clear()
        self.poller.close()

    def start_cell(self) -> Reading:
        """Begin a fresh reading, and forget the chunks of the last."""
        self._known.clear()
        self.reading = Reading()
        return self.reading

    def connect(self, count: int, timeout_s: float) -> float:
        """Connect that many more clients, 64 at a time, each with its own token.

        Returns:
            Seconds from the first one's TCP connect to the last one's answer to CONNECT.

        Raises:
            PeerFailed: not all were connected in time.
        """
        came, wanted = len(self._sockets), len(self._sockets) + count
        before = self.answers["connected"]
        began_ns = time.monotonic_ns()

        def turn(now_ns: int) -> int | None:
            connected = self.answers["connected"] - before + came
            if connected >= wanted or now_ns - began_ns > timeout_s * 1e9:
                return None
            while len(self._sockets) < wanted and len(self._sockets) - connected < _IN_FLIGHT:
                self._arrive(self._tokens[len(self._sockets)])
            return now_ns + 5_000_000

        self.pump(turn)
        self._require("connected", before + count, timeout_s)
        return (time.monotonic_ns() - began_ns) / 1e9

    def ask(self, frame: bytes, answer: str, timeout_s: float) -> None:
        """Send one frame from every client, 64 unanswered at a time, and await all answers.

        Raises:
            PeerFailed: not all were answered in time.
        """
        waiting = iter(self.fds)
        before, sent = self.answers[answer], 0
        wanted = len(self._sockets)
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)

        def turn(now_ns: int) -> int | None:
            nonlocal sent
            answered = self.answers[answer] - before
            if answered >= wanted or now_ns > deadline_ns:
                return None
            while sent < wanted and sent - answered < _IN_FLIGHT:
                self.send(next(waiting), frame)
                sent += 1
            return now_ns + 5_000_000

        self.pump(turn)
        self._require(answer, before + wanted, timeout_s)

    def ping(self, fd: int, due_ns: int) -> None:
        """Send the application's ``ping`` from one client; its pong is timed from ``due_ns``."""
        self._due_ns[fd] = due_ns
        self.send(fd, wire.PING)

    def send(self, fd: int, frame: bytes) -> None:
        """Send a small frame at once.

        Raises:
            PeerFailed: the peer has closed, or does not read.
        """
        try:
            sent = os.write(fd, frame)
        except OSError as error:
            raise PeerFailed(f"a client could not send: {error}") from error
        if sent != len(frame):
            raise PeerFailed("a client's small frame was not taken whole: the peer does not read")

    def pump(self, turn: Turn) -> None:
        """Read what comes until ``turn`` says that it is done.

        Raises:
            PeerFailed: a peer closed a client, refused it, or sent what is no frame.
        """
        poll, read, clock = self.poller.poll, os.read, time.monotonic_ns
        known, rests = self._known, self._rests
        note_stamp, note_chunk = self.reading.stamps_ns.append, self.reading.chunks.append
        while (wake_ns := turn(clock())) is not None:
            # Down to whole ms: epoll would round up, and a tick would be late by the rest.
            wait_s = max(0, (wake_ns - clock()) // 1_000_000) / 1_000
            for fd, _events in poll(wait_s, _AT_ONCE):
                try:
                    data = read(fd, _READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                stamp_ns = clock()
                chunk = known.get(data)
                if chunk is None or fd in rests:
                    self._take(fd, data, stamp_ns)
                else:
                    note_stamp(stamp_ns)
                    note_chunk(chunk)

    def _arrive(self, token: str) -> None:
        number = len(self._sockets)
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(_CONNECT_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        source = number // _CLIENTS_AN_ADDRESS
        client.bind((f"127.1.{source // 200}.{source % 200 + 1}", 0))
        try:
            client.connect(("127.0.0.1", self._ports[number % len(self._ports)]))
        except OSError as error:
            client.close()
            raise PeerFailed(f"client {number} could not connect: {error}") from error
        client.setblocking(False)
        fd = client.fileno()
        self._sockets[fd] = client
        self._heads[fd] = b""
        self._token_of[fd] = token
        self.poller.register(fd, select.EPOLLIN)
        self.send(fd, self._request)

    def _take(self, fd: int, data: bytes, stamp_ns: int) -> None:
        """Take bytes that the hot loop did not know."""
        foreign = self.foreign.get(fd)
        if foreign is not None:
            foreign(data, stamp_ns)
            return
        if not data:
            raise PeerFailed(f"the peer closed client {self.fds.index(fd)}")
        if fd in self._heads:
            data = self._take_head(fd, data)
        rest = self._rests.pop(fd, b"")
        try:
            payloads, tail = wire.walk(rest + data)
        except ValueError as error:
            raise PeerFailed(str(error)) from error
        if tail:
            self._rests[fd] = tail
        dues_us = [wire.source_time_us(p) for p in payloads if p.startswith(wire.TICK)]
        private = [
            self._is_private(fd, payload, stamp_ns)
            for payload in payloads
            if not payload.startswith(wire.TICK)
        ]
        is_shared = not rest and not tail and bool(payloads) and not any(private)
        if dues_us or is_shared:
            self._note(data if is_shared else b"", dues_us, stamp_ns)

    def _note(self, shared: bytes, dues_us: list[int], stamp_ns: int) -> None:
        """Note a chunk of ticks; when its bytes are everybody's, know it from now on."""
        chunk = self.reading.describe(dues_us)
        self.reading.stamps_ns.append(stamp_ns)
        self.reading.chunks.append(chunk)
        if shared:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[shared] = chunk

    def _take_head(self, fd: int, data: bytes) -> bytes:
        """Take the answer to the upgrade; return what came after it."""
        head, end, rest = (self._heads[fd] + data).partition(_HEAD_END)
        if not end:
            self._heads[fd] = head
            return b""
        if not head.startswith(b"HTTP/1.1 101 ") or wire.ACCEPT not in head:
            raise PeerFailed(f"an upgrade was answered {head[:80]!r}")
        del self._heads[fd]
        return rest

    def _is_private(self, fd: int, payload: bytes, stamp_ns: int) -> bool:
        """Do what a frame asks for, and say whether it asked or was meant for one client."""
        if payload == b"2":
            self.send(fd, wire.ENGINE_PONG)
        elif payload.startswith(b"0"):
            self.send(fd, wire.connect_frame(self._token_of.pop(fd)))
        elif payload.startswith(b"40"):
            self.answers["connected"] += 1
        elif payload.startswith(b'42["pong"'):
            self.answers["pong"] += 1
            due_ns = self._due_ns.pop(fd, None)
            if due_ns is not None:
                self.reading.round_trips_ns.append(stamp_ns - due_ns)
        elif payload.startswith(b'42["subscribed"'):
            self.answers["subscribed"] += 1
        elif payload.startswith((b"44", b"41", b"1", b'42["error"')):
            raise PeerFailed(f"the peer said {payload[:120]!r}")
        else:
            return payload.startswith(b'42["connected"')
        return True

    def _require(self, answer: str, count: int, timeout_s: float) -> None:
        if self.answers[answer] < count:
            missing = count - self.answers[answer]
            raise PeerFailed(f"{missing} clients without {answer!r} after {timeout_s:g} s")
