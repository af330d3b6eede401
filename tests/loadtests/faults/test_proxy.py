from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from deadlines import DEADLINE_S, QUIET_S

from loadtests.faults.control import LISTENING, ControlError, ProxyControl
from loadtests.faults.proxy import FaultProxy, NotLoopback
from loadtests.faults.toxics import (
    Bandwidth,
    Carrier,
    Drop,
    Latency,
    ResetPeer,
    Slicer,
    Stall,
    Stream,
    Timeout,
    Toxic,
)

ROOT = Path(__file__).resolve().parents[3]
UPGRADE = b"GET /socket.io/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
PRICE = b'42["price:update",{"seq":1}]'

T = TypeVar("T")
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A server whose connections the test itself reads and writes."""

    def __init__(self) -> None:
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        await self.peers.put((reader, writer))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()


class Rig:
    """A client, the proxy and a server, all in the test's own loop."""

    def __init__(self, proxy: FaultProxy, url: str, server: Server) -> None:
        self.proxy = proxy
        self.server = server
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._open: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[Peer, Peer]:
        client = await asyncio.open_connection(*self._address)
        self._open.append(client[1])
        return client, await within(self.server.peers.get())

    async def upgrade(self) -> tuple[Peer, Peer]:
        client, served = await self.connect()
        client[1].write(UPGRADE)
        await within(served[0].readuntil(b"\r\n\r\n"))
        served[1].write(SWITCHED)
        await within(client[0].readuntil(b"\r\n\r\n"))
        return client, served

    def close(self) -> None:
        for writer in self._open:
            writer.transport.abort()


async def within(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, DEADLINE_S)


async def is_quiet(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), QUIET_S)
    except TimeoutError:
        return True
    return False


def anywhere(toxic: type[Toxic], **settings: float | Stream) -> Toxic:
    return toxic(carrier=Carrier.ALL, **settings)  # type: ignore[arg-type]  # a table's row


def text(payload: bytes) -> bytes:
    return bytes((0x81, len(payload))) + payload


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    server = Server()
    proxy = FaultProxy("127.0.0.1", await server.start())
    rig = Rig(proxy, await proxy.start(), server)
    yield rig
    rig.close()
    await proxy.stop()
    await server.stop()


async def test_bytes_go_both_ways_and_are_counted(rig: Rig) -> None:
    client, served = await rig.connect()
    client[1].write(b"question")
    assert await within(served[0].readexactly(8)) == b"question"
    served[1].write(b"answer")
    assert await within(client[0].readexactly(6)) == b"answer"
    figures = rig.proxy.figures()
    assert figures["passed_bytes"] == {"upstream": 8, "downstream": 6}
    assert (figures["connections"], figures["opened"]) == (1, 1)


async def test_a_server_that_speaks_first_is_heard(rig: Rig) -> None:
    client, served = await rig.connect()
    served[1].write(b"hello")
    assert await within(client[0].readexactly(5)) == b"hello"


@pytest.mark.parametrize("stream", list(Stream))
async def test_latency_holds_one_direction_back(rig: Rig, stream: Stream) -> None:
    client, served = await rig.connect()
    ends = (client, served) if stream is Stream.UPSTREAM else (served, client)
    beyond_ms = round(2_000 * DEADLINE_S)
    rig.proxy.set([anywhere(Latency, latency_ms=beyond_ms, stream=stream)])
    ends[1][1].write(b"b")
    assert await within(ends[0][0].readexactly(1)) == b"b"
    rig.proxy.set([anywhere(Latency, latency_ms=80, stream=stream)])
    sent_s = time.monotonic()
    ends[0][1].write(b"a")
    assert await within(ends[1][0].readexactly(1)) == b"a"
    assert time.monotonic() - sent_s >= 0.08


async def test_what_is_on_its_way_keeps_its_latency_and_its_order(rig: Rig) -> None:
    client, served = await rig.connect()
    sent_s = time.monotonic()
    rig.proxy.set([anywhere(Latency, latency_ms=100)])
    served[1].write(b"a")
    await asyncio.sleep(0.02)  # a moment of its own, so that it is another read
    rig.proxy.set([])
    served[1].write(b"b")
    assert await within(client[0].readexactly(2)) == b"ab"
    assert time.monotonic() - sent_s >= 0.1


async def test_the_proxy_says_how_late_it_was_itself(rig: Rig) -> None:
    client, served = await rig.connect()
    served[1].write(b"at once")
    await within(client[0].readexactly(7))
    assert rig.proxy.figures()["late_p50_ns"] is None
    rig.proxy.set([anywhere(Latency, latency_ms=20)])
    served[1].write(b"x")
    await within(client[0].readexactly(1))
    assert 0 <= rig.proxy.figures()["late_p50_ns"] < DEADLINE_S * 1e9
    rig.proxy.set([])
    assert rig.proxy.figures()["late_p50_ns"] is None


async def test_websocket_toxics_leave_plain_http_alone(rig: Rig) -> None:
    rig.proxy.set([Stall()])
    client, served = await rig.connect()
    client[1].write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await within(served[0].readuntil(b"\r\n\r\n"))
    served[1].write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert await within(client[0].readuntil(b"\r\n\r\n")) == b"HTTP/1.1 200 OK\r\n\r\n"
    other, beyond = await rig.connect()
    other[1].write(UPGRADE)
    await within(beyond[0].readuntil(b"\r\n\r\n"))
    beyond[1].write(SWITCHED)
    assert await is_quiet(other[0])


async def test_a_stall_holds_everything_and_loses_nothing(rig: Rig) -> None:
    client, served = await rig.connect()
    rig.proxy.set([anywhere(Stall)])
    served[1].write(b"later")
    assert await is_quiet(client[0])
    rig.proxy.set([])
    assert await within(client[0].readexactly(5)) == b"later"


async def test_a_timeout_throws_away_and_then_closes(rig: Rig) -> None:
    client, served = await rig.connect()
    rig.proxy.set([anywhere(Timeout, timeout_ms=60)])
    served[1].write(b"never")
    assert await within(client[0].read()) == b""


async def test_a_reset_is_a_reset_at_the_client(rig: Rig) -> None:
    client, _ = await rig.connect()
    rig.proxy.set([anywhere(ResetPeer)])
    with pytest.raises(ConnectionResetError):
        await within(client[0].read())


async def test_a_slicer_changes_how_often_it_comes_and_not_what(rig: Rig) -> None:
    client, served = await rig.connect()
    rig.proxy.set([anywhere(Slicer, average_size=100, delay_us=20_000)])
    served[1].write(b"x" * 300)
    first = await within(client[0].read(1_000))
    assert len(first) < 300
    assert await within(client[0].readexactly(300 - len(first)))


async def test_a_narrow_line_holds_its_sender_back(rig: Rig) -> None:
    client, served = await rig.connect()
    rig.proxy.set([anywhere(Bandwidth, rate_kb_s=64)])
    served[1].write(bytes(8_000_000))
    await within(client[0].readexactly(10_000))
    assert rig.proxy.figures()["passed_bytes"]["downstream"] < 1_000_000


async def test_an_end_comes_after_what_was_on_its_way(rig: Rig) -> None:
    client, served = await rig.connect()
    rig.proxy.set([anywhere(Latency, latency_ms=50)])
    served[1].write(b"last words")
    served[1].close()
    assert await within(client[0].read()) == b"last words"
    client[1].close()
    await until(lambda: rig.proxy.figures()["connections"] == 0)


async def test_a_client_that_leaves_is_gone_at_the_server_too(rig: Rig) -> None:
    client, served = await rig.upgrade()
    client[1].transport.abort()
    with pytest.raises(ConnectionResetError):
        await within(_read_to_the_end(served[0]))
    served[1].close()
    await until(lambda: rig.proxy.figures()["connections"] == 0)


async def _read_to_the_end(reader: asyncio.StreamReader) -> None:
    if await reader.read() == b"":
        raise ConnectionResetError  # an orderly end is an end


async def test_a_server_that_is_not_there_closes_the_client(rig: Rig) -> None:
    proxy = FaultProxy("127.0.0.1", 1)
    address = urlsplit(await proxy.start())
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    with pytest.raises(ConnectionResetError):
        await within(_read_to_the_end(reader))
    writer.close()
    await proxy.stop()


async def test_dropped_messages_are_whole_and_counted_and_all_others_come(rig: Rig) -> None:
    client, served = await rig.upgrade()
    rig.proxy.set([Drop(events=("price:update",), count=2, of=5)])
    frames = [text(PRICE), text(b"2"), text(b'42["heartbeat",{}]')]
    sent = b"".join(frames * 5)
    for at in range(0, len(sent), 7):  # no frame comes in one piece
        served[1].write(sent[at : at + 7])
    left = b"".join(frames).replace(frames[0], b"") * 5
    found = await within(client[0].readexactly(len(left) + 3 * len(frames[0])))
    assert found.count(frames[0]) == 3
    assert found.replace(frames[0], b"") == left
    figures = rig.proxy.figures()
    assert (figures["seen"], figures["dropped"]) == (5, 2)


async def test_toxicity_takes_the_same_share_of_clients_each_time(rig: Rig) -> None:
    rig.proxy.set([anywhere(Stall, toxicity=0.5)])
    quiet = []
    for _ in range(12):
        client, served = await rig.connect()
        served[1].write(b"x")
        quiet.append(await is_quiet(client[0]))
    assert 0 < sum(quiet) < 12


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "example.org", "10.0.0.1"])
async def test_only_the_loopback_is_served(host: str) -> None:
    with pytest.raises(NotLoopback, match="not on the loopback"):
        FaultProxy(host, 80)
    with pytest.raises(NotLoopback):
        await FaultProxy("127.0.0.1", 80).start(host)


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "loadtests.faults", "127.0.0.1:1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    yield process
    process.kill()
    process.wait(DEADLINE_S)
    assert process.stdout is not None
    process.stdout.close()


def test_the_process_is_told_what_to_do_over_its_control_port(
    process: subprocess.Popen[str],
) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(LISTENING + "http://127.0.0.1:")
    with ProxyControl(int(line.split()[-1])) as control:
        before_ns = time.monotonic_ns()
        assert before_ns <= control.set([Latency(latency_ms=5)])["at_ns"] <= time.monotonic_ns()
        assert control.read()["connections"] == 0
        with pytest.raises(ControlError, match="drop needs count, of"):
            control._ask({"set": [{"type": "drop", "events": []}]})
        with pytest.raises(ControlError, match="unknown command"):
            control._ask({"sing": 1})
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0


def test_an_upstream_that_is_none_is_refused_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.faults", "example.org:80"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "write the server like 127.0.0.1:3000" in done.stderr
