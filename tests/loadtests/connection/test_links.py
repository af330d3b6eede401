from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import pytest
from certificates import make_contexts
from deadlines import DEADLINE_S
from threaded_server import ThreadedServer

from loadtests.connection.dialing import dial
from loadtests.connection.links import SILENCE, WallClock
from loadtests.connection.protocol.handshake import parse_target
from loadtests.connection.reactor import MAX_SOCKETS, Reactor

LARGE = 3_000_000


class Holder:
    def __init__(self) -> None:
        self.opened = 0
        self.data = b""
        self.reads: list[int] = []
        self.is_over = False
        self.failures: list[Exception] = []
        self.shares_ns: list[int] = []

    def on_open(self) -> None:
        self.opened += 1

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        self.data += data
        self.reads.append(len(data))
        self.is_over = self.is_over or not data

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        self.shares_ns.append(share_ns)

    def on_failure(self, error: Exception) -> None:
        self.failures.append(error)


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.005)


Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[ThreadedServer] = []

    def start(handle: Callable[[Any], None], tls: ssl.SSLContext | None = None) -> int:
        servers.append(ThreadedServer(handle, tls))
        return int(servers[-1].port)

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path)


def open_link(
    port: int, tls: ssl.SSLContext | None = None, *, is_stamped: bool = False
) -> tuple[Any, Holder]:
    holder = Holder()
    scheme = "http" if tls is None else "https"
    target = parse_target(f"{scheme}://127.0.0.1:{port}")
    link = dial(
        target,
        holder,
        source_address=None,
        is_stamped=is_stamped,
        tls=tls,
        clock=time.monotonic_ns,
    )
    return link, holder


def echo(sock: Any) -> None:
    while data := sock.recv(65_536):
        sock.sendall(data)


def test_what_the_kernel_does_not_take_at_once_is_sent_when_it_does(serve: Serve) -> None:
    release = threading.Event()
    received: list[int] = []

    def read_late(sock: Any) -> None:
        release.wait(DEADLINE_S)
        while data := sock.recv(1 << 20):
            received.append(len(data))

    link, holder = open_link(serve(read_late))
    wait_until(lambda: holder.opened)
    for _ in range(10):
        link.send(b"x" * LARGE)
    assert link._outbox
    release.set()
    wait_until(lambda: link._outbox is None)
    link.close()
    wait_until(lambda: sum(received) == 10 * LARGE)
    assert holder.failures == []


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_what_is_sent_comes_back_whole(
    serve: Serve, contexts: tuple[ssl.SSLContext, ssl.SSLContext], secure: bool
) -> None:
    server, client = contexts if secure else (None, None)
    link, holder = open_link(serve(echo, server), client)
    wait_until(lambda: holder.opened)
    link.send(b"0123456789" * 30_000)
    wait_until(lambda: len(holder.data) == 300_000)
    assert holder.data == b"0123456789" * 30_000
    link.close()
    assert holder.failures == []
    assert Reactor.of_hub().is_idle


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_servers_end_is_an_empty_read(
    serve: Serve, contexts: tuple[ssl.SSLContext, ssl.SSLContext], secure: bool
) -> None:
    server, client = contexts if secure else (None, None)
    link, holder = open_link(serve(lambda sock: sock.sendall(b"last words"), server), client)
    wait_until(lambda: holder.is_over)
    assert holder.data == b"last words"
    link.close()


def test_a_certificate_that_nobody_trusts_is_a_failure(
    serve: Serve, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    link, holder = open_link(serve(echo, contexts[0]), ssl.create_default_context())
    wait_until(lambda: holder.failures)
    assert isinstance(holder.failures[0], ssl.SSLCertVerificationError)
    assert holder.opened == 0
    link.close()


def test_the_kernels_stamp_comes_before_ours_by_a_little(serve: Serve) -> None:
    link, holder = open_link(serve(echo), is_stamped=True)
    wait_until(lambda: holder.opened)
    for sent in range(1, 6):
        link.send(b"ping")
        wait_until(lambda: len(holder.data) == 4 * sent)  # noqa: B023 - waited for within the turn
    link.close()
    assert len(holder.shares_ns) >= 4  # the first read may be unstamped
    assert all(-50_000 < share_ns < DEADLINE_S * 1e9 for share_ns in holder.shares_ns)


def test_the_wall_clocks_moments_become_monotonic_ones() -> None:
    clock = WallClock()
    before_ns = time.monotonic_ns()
    moment_ns = clock.monotonic_ns(time.time_ns(), before_ns)
    assert abs(moment_ns - before_ns) < 100_000_000


def test_silence_beyond_the_limit_is_a_failure(serve: Serve) -> None:
    link, holder = open_link(serve(echo))
    wait_until(lambda: holder.opened)
    link.expect_within(50_000_000)
    wait_until(lambda: holder.failures)
    assert SILENCE in str(holder.failures[0])
    link.close()


def test_what_a_holder_raises_ends_its_link_and_no_other(serve: Serve) -> None:
    class Clumsy(Holder):
        def on_data(self, stamp_ns: int, data: bytes) -> None:
            raise KeyError("clumsy")

    port = serve(echo)
    clumsy = Clumsy()
    target = parse_target(f"http://127.0.0.1:{port}")
    options: dict[str, Any] = {
        "source_address": None,
        "is_stamped": False,
        "tls": None,
        "clock": time.monotonic_ns,
    }
    link = dial(target, clumsy, **options)
    other, holder = open_link(port)
    wait_until(lambda: clumsy.opened and holder.opened)
    link.send(b"a")
    wait_until(lambda: clumsy.failures)
    assert isinstance(clumsy.failures[0], KeyError)
    link.close()
    other.send(b"b")
    wait_until(lambda: holder.data == b"b")
    other.close()


def test_greenlets_run_between_the_turns_of_a_burst(serve: Serve) -> None:
    count = 3 * MAX_SOCKETS
    port = serve(echo)
    pairs = [open_link(port) for _ in range(count)]
    wait_until(lambda: all(holder.opened for _, holder in pairs))
    ran_at: list[int] = []

    def look() -> None:
        while True:
            ran_at.append(sum(bool(holder.data) for _, holder in pairs))
            gevent.sleep(0)

    for link, _ in pairs:
        link.send(b"x")
    time.sleep(0.5)
    watcher = gevent.spawn(look)
    wait_until(lambda: all(holder.data for _, holder in pairs))
    watcher.kill()
    steps = [after - before for before, after in pairwise(ran_at)]
    assert max(steps) <= MAX_SOCKETS
    for link, _ in pairs:
        link.close()
    assert Reactor.of_hub().is_idle


def test_a_fork_gets_a_reactor_of_its_own() -> None:
    reactor = Reactor.of_hub()
    assert Reactor.of_hub() is reactor
    reactor._process = -1
    assert Reactor.of_hub() is not reactor


def test_a_closed_link_sends_nothing(serve: Serve) -> None:
    link, holder = open_link(serve(echo))
    wait_until(lambda: holder.opened)
    link.close()
    link.close()
    with pytest.raises(BrokenPipeError):
        link.send(b"x")


def test_a_paused_link_reads_nothing_until_it_may_again(serve: Serve) -> None:
    link, holder = open_link(serve(echo))
    wait_until(lambda: holder.opened)
    link.pause()
    link.send(b"first")
    assert link.take(0) == 0
    wait_until(lambda: link.take(3) == 3)  # a piece, on purpose
    assert holder.data == b"fir"
    link.resume()
    wait_until(lambda: holder.data == b"first")
    link.close()
    assert holder.failures == []


@pytest.mark.parametrize("linger_s", [None, 0], ids=["end", "reset"])
def test_a_paused_link_notices_that_the_other_end_is_gone(
    serve: Serve, linger_s: int | None
) -> None:
    release = threading.Event()

    def end(sock: Any) -> None:
        sock.sendall(b"unread")
        release.wait(DEADLINE_S)
        if linger_s is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger_s))
        sock.close()

    link, holder = open_link(serve(end))
    wait_until(lambda: holder.opened)
    link.pause()
    release.set()
    wait_until(lambda: holder.failures)
    assert isinstance(holder.failures[0], OSError)
    link.close()


def test_an_aborted_link_ends_with_a_reset(serve: Serve) -> None:
    ends: list[Exception] = []

    def note_end(sock: Any) -> None:
        try:
            sock.recv(1)
        except OSError as error:
            ends.append(error)

    link, holder = open_link(serve(note_end))
    wait_until(lambda: holder.opened)
    link.abort()
    wait_until(lambda: ends)
    assert isinstance(ends[0], ConnectionResetError)
    assert link.is_closed
    assert holder.failures == []


def test_a_paused_link_that_hears_nothing_is_not_taken_for_silent(serve: Serve) -> None:
    link, holder = open_link(serve(echo))
    wait_until(lambda: holder.opened)
    link.expect_within(50_000_000)
    link.pause()
    gevent.sleep(0.3)
    assert holder.failures == []
    link.resume()
    wait_until(lambda: holder.failures)
    assert SILENCE in str(holder.failures[0])
    link.close()
