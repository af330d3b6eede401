"""A proxied connection: the client's, the proxy's to the server, and a flow each way."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections import deque
from typing import Final, cast

from loadtests.faults.flow import ToxicFlow
from loadtests.faults.messages import DropCount, HeadReader, NoWebSocket, asks_for_websocket
from loadtests.faults.toxics import Carrier, Drop, ResetPeer, Stream, Timeout, Toxic

CONNECT_S: Final = 5.0
RECEIVE_BYTES: Final = 64 * 1_024
"""Receive buffer towards the server; a larger one would hide a slow reader."""
KEPT_LATENESSES: Final = 10_000
_MS_PER_S: Final = 1_000

_log = logging.getLogger("faults")


class ProxyState:
    """The faults and the counts of a proxy, which its connections share.

    Attributes:
        toxics: the current toxics.
        passed_bytes: bytes passed on, by direction.
        late_ns: lateness of the last delayed pieces since the last change of the toxics, ns.
        drops: the counts of every ``Drop`` so far.
        links: the open connections.
    """

    def __init__(self) -> None:
        self.toxics: tuple[Toxic, ...] = ()
        self.passed_bytes = dict.fromkeys(Stream, 0)
        self.late_ns: deque[int] = deque(maxlen=KEPT_LATENESSES)
        self.drops: dict[Drop, DropCount] = {}
        self.links: set[ProxiedConnection] = set()


class ProxiedConnection:
    """A client's connection and the proxy's own to the server, with a flow each way."""

    def __init__(
        self, proxy: ProxyState, number: int, upstream: tuple[str, int], seed: int
    ) -> None:
        self.proxy = proxy
        self.is_websocket = False
        self._draws = f"{seed}:{number}"
        self._upstream = upstream
        self._head: HeadReader | None = HeadReader()
        self._sides: dict[Stream, asyncio.Transport] = {}
        self._flows: dict[Stream, ToxicFlow] = {}
        self._early: list[tuple[Stream, bytes]] = []  # read before the flow existed
        self._timers: list[asyncio.TimerHandle] = []
        self._met: set[Toxic] = set()
        self._opening: asyncio.Task[None] | None = None

    def client_side(self) -> asyncio.Protocol:
        """Return the side for the client; the server is dialled when it is connected."""
        return _Side(self, Stream.UPSTREAM, Stream.DOWNSTREAM)

    def join(self, writes: Stream, transport: asyncio.Transport) -> None:
        """Take the side that one flow writes to; its other flow begins to read from it."""
        transport.pause_reading()
        self._sides[writes] = transport
        if writes is Stream.DOWNSTREAM:
            self._opening = asyncio.create_task(self._connect(transport))

    def receive(self, stream: Stream, data: bytes) -> None:
        """Take bytes; the first request tells whether the connection is a WebSocket."""
        flow = self._flows.get(stream)
        if flow is None:
            # Some CPython 3.11 (3.11.2 for one) read although reading was paused at the start.
            self._early.append((stream, data))
            return
        try:
            if stream is Stream.UPSTREAM and self._head is not None:
                head = self._head.feed(data)
                if head is not None:
                    self._head = None
                    self._learn(head)
            self.proxy.passed_bytes[stream] += flow.put(data)
        except NoWebSocket as error:
            _log.error("closing a connection: %s", error)
            self.abort()

    def end(self, stream: Stream) -> None:
        """Take the end of one direction, which follows the bytes still under way."""
        flow = self._flows.get(stream)
        if flow is None:
            self.abort()
        else:
            flow.end()

    def pause(self, stream: Stream, is_full: bool) -> None:
        """Pause or resume the flow towards a side whose buffer is full."""
        flow = self._flows.get(stream)
        if flow is not None:
            flow.hold(is_full)

    def lose(self, stream: Stream, error: Exception | None) -> None:
        """Take the loss of one side; end the other at once unless the end was orderly."""
        flow = self._flows.get(stream)
        if error is not None or flow is None or flow.is_over:
            self.abort()

    def update(self) -> None:
        """Apply changed toxics to the flows."""
        for stream, flow in self._flows.items():
            toxics = [toxic for toxic in self.proxy.toxics if self._suffers(toxic, stream)]
            flow.use(toxics, self.proxy.drops)
            for toxic in toxics:
                self._meet(toxic)

    def abort(self, *, is_reset: bool = False) -> None:
        """Close both sides now; with ``is_reset`` the client gets an RST."""
        self.proxy.links.discard(self)
        for timer in self._timers:
            timer.cancel()
        for flow in self._flows.values():
            flow.close()
        if self._opening is not None:
            self._opening.cancel()
        if is_reset:
            _reset_when_closed(self._sides[Stream.DOWNSTREAM])
        for transport in self._sides.values():
            transport.abort()

    async def _connect(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                sock = await self._dial()
                await loop.create_connection(
                    lambda: _Side(self, Stream.DOWNSTREAM, Stream.UPSTREAM), sock=sock
                )
        except (OSError, TimeoutError) as error:
            _log.warning("the server is unreachable: %s", error)
            self.abort()
            return
        server = self._sides[Stream.UPSTREAM]
        for stream, source, sink in (
            (Stream.UPSTREAM, client, server),
            (Stream.DOWNSTREAM, server, client),
        ):
            draw = random.Random(f"{self._draws}:{stream}")  # noqa: S311 - repeatable faults
            late_ns = self.proxy.late_ns
            self._flows[stream] = ToxicFlow(source, sink, draw, self._close_when_over, late_ns)
        self.update()
        early, self._early = self._early, []
        for stream, data in early:
            self.receive(stream, data)

    async def _dial(self) -> socket.socket:
        """Return a connected socket; its small buffer is set before the window is negotiated."""
        family = socket.AF_INET6 if ":" in self._upstream[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            await asyncio.get_running_loop().sock_connect(sock, self._upstream)
        except BaseException:
            sock.close()
            raise
        return sock

    def _close_when_over(self) -> None:
        if all(flow.is_over for flow in self._flows.values()):
            self.proxy.links.discard(self)
            for transport in self._sides.values():
                transport.close()

    def _learn(self, head: bytes) -> None:
        self.is_websocket = asks_for_websocket(head)
        if self.is_websocket:
            self._flows[Stream.DOWNSTREAM].cut_frames()
            self.update()

    def _suffers(self, toxic: Toxic, stream: Stream) -> bool:
        if toxic.stream is not stream:
            return False
        if toxic.carrier is Carrier.WEBSOCKET and not self.is_websocket:
            return False
        draw = random.Random(f"{self._draws}:{toxic}")  # noqa: S311 - repeatable faults
        return draw.random() < toxic.toxicity

    def _meet(self, toxic: Toxic) -> None:
        """Start the timer of a toxic that ends connections, once."""
        if toxic in self._met or not isinstance(toxic, Timeout | ResetPeer):
            return
        self._met.add(toxic)
        is_reset = isinstance(toxic, ResetPeer)
        if not is_reset and not toxic.timeout_ms:
            return
        loop = asyncio.get_running_loop()
        wait_s = toxic.timeout_ms / _MS_PER_S
        self._timers.append(loop.call_later(wait_s, self._expire, toxic, is_reset))

    def _expire(self, toxic: Toxic, is_reset: bool) -> None:
        if toxic in self.proxy.toxics:
            self.abort(is_reset=is_reset)
        self._met.discard(toxic)


class _Side(asyncio.Protocol):
    """One side of a connection: it feeds the flow ``reads`` and drains the flow ``writes``."""

    def __init__(self, link: ProxiedConnection, reads: Stream, writes: Stream) -> None:
        self.link = link
        self.reads = reads
        self.writes = writes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link.join(self.writes, _quick(transport))

    def data_received(self, data: bytes) -> None:
        self.link.receive(self.reads, data)

    def eof_received(self) -> bool:
        self.link.end(self.reads)
        return True  # the other direction may go on

    def pause_writing(self) -> None:
        self.link.pause(self.writes, True)

    def resume_writing(self) -> None:
        self.link.pause(self.writes, False)

    def connection_lost(self, error: Exception | None) -> None:
        self.link.lose(self.writes, error)


def _quick(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Turn off Nagle's algorithm, whose wait would be measured as the server's."""
    found = cast(asyncio.Transport, transport)
    found.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _reset_when_closed(transport: asyncio.Transport) -> None:
    # SO_LINGER of 0 s: close() sends an RST and discards unsent bytes (socket(7)).
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
