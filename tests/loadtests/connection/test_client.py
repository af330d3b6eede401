"""The load client against a real gateway, and against servers that misbehave.

Long because nearly every test is of one conversation, with the same server and listener.
"""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import gevent.server
import pytest
from blackbox.process import GatewayProcess
from blackbox.target import Target
from certificates import make_contexts
from deadlines import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from threaded_server import ThreadedServer

from loadtests.connection import partings
from loadtests.connection.client import Client
from loadtests.connection.protocol.handshake import accept_value
from loadtests.connection.protocol.session import Connection
from loadtests.connection.protocol.websocket_frames import Opcode
from loadtests.errors import (
    ClientError,
    ConnectionClosed,
    ConnectRefused,
    Disconnected,
    NotConnected,
    ProtocolViolation,
    Refused,
    TimedOut,
    Unreachable,
)
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake

OPEN = b'0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":262144}'
IMPATIENT = OPEN.replace(b"25000", b"50").replace(b"20000", b"50")
CONNECT = b'40{"sid":"s"}'


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, tuple[Any, ...]]] = []
        self.ends: list[Exception] = []
        self.left_open_ns: list[int] = []

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        self.events.append((stamp_ns, name, arguments))

    def on_end(self, stamp_ns: int, error: Exception) -> None:
        self.ends.append(error)

    def on_left_open(self, stamp_ns: int) -> None:
        self.left_open_ns.append(stamp_ns)

    def named(self, name: str) -> list[Any]:
        return [arguments[0] for _, event, arguments in self.events if event == name]


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.005)


def frame(payload: bytes, opcode: int = Opcode.TEXT) -> bytes:
    if len(payload) < 126:
        return bytes([0x80 | opcode, len(payload)]) + payload
    return bytes([0x80 | opcode, 126]) + len(payload).to_bytes(2, "big") + payload


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve one upgrade, then the bytes given, then whatever ``after`` does with the socket."""
    servers: list[Any] = []

    def start(*payloads: bytes, after: Callable[[Any], None] | None = None) -> str:
        def handle(sock: Any, _address: object) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4_096)
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
            assert key is not None
            accept = accept_value(key[1].decode())
            sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
            )
            sock.sendall(b"".join(frame(payload) for payload in payloads))
            (after or _read_to_the_end)(sock)

        server = gevent.server.StreamServer(("127.0.0.1", 0), handle)
        server.start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.stop()


def _read_to_the_end(sock: Any) -> None:
    while sock.recv(4_096):
        pass


@pytest.fixture
def new_client() -> Iterator[Callable[..., tuple[Client, Ear]]]:
    clients: list[Client] = []

    def make(url: str, **options: Any) -> tuple[Client, Ear]:
        ear = Ear()
        client = Client(url, ear, **options)
        clients.append(client)
        return client, ear

    yield make
    for client in clients:
        client.close()
        assert client.is_closed


NewClient = Callable[..., tuple[Client, Ear]]


def test_a_client_meets_a_real_gateway(gateway: Target, new_client: NewClient) -> None:
    client, ear = new_client(gateway.url, source_address="127.1.0.1")
    before_ns = time.monotonic_ns()
    sid = client.connect({"token": gateway.token("vu-1")})
    wait_until(lambda: ear.named("connected"))
    welcome = ear.named("connected")[0]
    assert welcome["clientId"] == sid
    assert welcome["userId"] == "vu-1"
    assert before_ns <= client.started_ns <= ear.events[0][0] <= time.monotonic_ns()


def test_a_reply_has_its_three_times_in_order(gateway: Target, new_client: NewClient) -> None:
    client, _ = new_client(gateway.url)
    client.connect({"token": gateway.token()})
    intended_ns = time.monotonic_ns() - 1_000_000
    reply = client.call("get-subscriptions", intended_ns=intended_ns)
    assert reply.payload["count"] == 0
    assert reply.intended_ns == intended_ns < reply.sent_ns < reply.done_ns
    assert reply.response_ns == reply.schedule_delay_ns + reply.service_ns
    assert reply.service_ns > 0


def test_calls_may_overlap_and_each_gets_its_own_answer(
    gateway: Target, new_client: NewClient
) -> None:
    client, _ = new_client(gateway.url)
    client.connect({"token": gateway.token()})
    subscribe = client.begin_call("subscribe", {"channel": "trading"})
    ping = client.begin_call("ping", None)
    assert client.is_waiting
    assert "sent" in ping.wait(DEADLINE_S).payload
    assert subscribe.wait(DEADLINE_S).payload["room"] == "trading"
    assert not client.is_waiting


def test_a_published_event_is_stamped_after_it_was_published(
    gateway: Target, new_client: NewClient
) -> None:
    client, ear = new_client(gateway.url)
    client.connect({"token": gateway.token()})
    client.call("subscribe", {"channel": "market-data", "symbols": ["CLI/ENT"]})
    data = {"symbol": "CLI/ENT", "price": 1}
    gateway.publish({"room": "market-data:CLI/ENT", "event": "price:update", "data": data})
    wait_until(lambda: ear.named("price:update"))
    stamp_ns, _, (payload,) = next(event for event in ear.events if event[1] == "price:update")
    assert 0 <= stamp_ns - payload["ts"] * 1_000 < DEADLINE_S * 1e9


def test_the_source_address_is_kept_over_reconnects(serve: Serve, new_client: NewClient) -> None:
    peers: list[str] = []

    def note_peer(sock: Any) -> None:
        peers.append(sock.getpeername()[0])
        _read_to_the_end(sock)

    client, _ = new_client(serve(OPEN, CONNECT, after=note_peer), source_address="127.1.0.7")
    client.connect()
    client.connect()
    wait_until(lambda: len(peers) == 2)
    assert peers == ["127.1.0.7", "127.1.0.7"]


def test_a_wrong_token_is_refused_with_its_code(gateway: Target, new_client: NewClient) -> None:
    client, ear = new_client(gateway.url)
    with pytest.raises(ConnectRefused) as caught:
        client.connect({"token": "no.such.token"})
    assert caught.value.code == "AUTH_FAILED"
    assert ear.ends == []
    assert client.is_closed


def test_a_gateway_that_goes_is_told_once(
    start_gateway: Callable[..., GatewayProcess], new_client: NewClient
) -> None:
    process = start_gateway()
    client, ear = new_client(process.url)
    client.connect({"token": process.token()})
    wait_until(lambda: ear.named("connected"))
    process.kill()
    wait_until(lambda: ear.ends)
    assert isinstance(ear.ends[0], ConnectionClosed)
    assert len(ear.ends) == 1
    assert client.is_closed
    with pytest.raises(ClientError):
        client.emit("ping")


def test_nobody_there_is_unreachable(new_client: NewClient) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client, _ = new_client(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(Unreachable, match="refused"):
            client.connect()


def test_a_server_that_says_nothing_times_out(serve: Serve, new_client: NewClient) -> None:
    client, _ = new_client(serve(OPEN), connect_timeout_s=0.1)
    with pytest.raises(TimedOut, match=r"0\.1 s"):
        client.connect()
    assert client.is_closed


def test_a_call_without_an_answer_times_out(serve: Serve, new_client: NewClient) -> None:
    client, _ = new_client(serve(OPEN, CONNECT))
    client.connect()
    with pytest.raises(TimedOut, match="ping"):
        client.call("ping", timeout_s=0.05)


def test_a_refused_upgrade_tells_how_long_to_wait(new_client: NewClient) -> None:
    def refuse(sock: Any, _address: object) -> None:
        sock.recv(4_096)
        sock.sendall(b"HTTP/1.1 503 Draining\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n")

    server = gevent.server.StreamServer(("127.0.0.1", 0), refuse)
    server.start()
    try:
        client, _ = new_client(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(Refused) as caught:
            client.connect()
        assert (caught.value.status, caught.value.retry_after_s) == (503, 4.0)
    finally:
        server.stop()


def test_a_silent_server_is_dead_after_the_ping_timeout(
    serve: Serve, new_client: NewClient
) -> None:
    client, ear = new_client(serve(IMPATIENT, CONNECT))
    client.connect()
    wait_until(lambda: ear.ends)
    assert "ping timeout" in str(ear.ends[0])


def test_a_violation_ends_the_connection(serve: Serve, new_client: NewClient) -> None:
    client, ear = new_client(serve(OPEN, CONNECT, b"42[", b'42["never heard"]'))
    client.connect()
    wait_until(lambda: ear.ends)
    assert isinstance(ear.ends[0], ProtocolViolation)
    assert ear.events == []


def test_a_lost_connection_fails_the_call_under_way(serve: Serve, new_client: NewClient) -> None:
    client, _ = new_client(serve(OPEN, CONNECT, after=lambda sock: sock.recv(1)))
    client.connect()
    with pytest.raises(ConnectionClosed):
        client.call("ping", timeout_s=DEADLINE_S)


def test_a_listeners_mistake_is_told_and_ends_the_connection(serve: Serve) -> None:
    class Clumsy(Ear):
        def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
            raise KeyError(name)

    ear = Clumsy()
    client = Client(serve(OPEN, CONNECT, b'42["a"]'), ear)
    client.connect()
    wait_until(lambda: ear.ends)
    assert isinstance(ear.ends[0], KeyError)
    assert client.is_closed


def test_an_event_that_wants_an_answer_gets_one(serve: Serve, new_client: NewClient) -> None:
    heard: list[bytes] = []

    def listen(sock: Any) -> None:
        while data := sock.recv(4_096):
            heard.append(data)

    client, _ = new_client(serve(OPEN, CONNECT, b'429["ask"]', after=listen))
    client.connect()
    # Fin and text, masked, of 5 bytes: 439[].
    wait_until(lambda: any(b"\x81\x85" in data for data in heard))


def test_verbs_before_connecting_say_so(new_client: NewClient) -> None:
    client, _ = new_client("http://127.0.0.1:1")
    with pytest.raises(NotConnected):
        client.emit("ping")


def test_closing_tells_nobody_and_twice_is_once(gateway: Target, new_client: NewClient) -> None:
    client, ear = new_client(gateway.url)
    client.connect({"token": gateway.token()})
    client.close()
    client.close()
    gevent.sleep(0)
    assert ear.ends == []
    assert client.is_closed


def test_a_large_event_is_sent_whole(gateway: Target, new_client: NewClient) -> None:
    client, _ = new_client(gateway.url)
    client.connect({"token": gateway.token()})
    reply = client.call("ping", {"padding": "x" * 60_000})
    assert "sent" in reply.payload


def unsecured(*frames: bytes) -> bytes:
    return b"".join(frame(payload) for payload in frames)


def price(number: int) -> bytes:
    return b'42["price:update",{"symbol":"S","seq":%d,"prevSeq":%d,"ts":1,"x":"%s"}]' % (
        number,
        number - 1,
        b"x" * 100,
    )


FRAGMENTED = b"\x01\x05" + b'42["f' + b"\x89\x01p" + b"\x80\x04" + b'g"]\n'
STREAM = [
    frame(CONNECT),
    *[frame(price(number)) for number in range(1, 4)],
    frame(b'42["own",{"userSeq":1}]'),
    frame(price(4)),
    FRAGMENTED,
    frame(price(5)) + frame(price(6)),
    frame(b"2"),
    frame(price(8)),
    frame(price(9)),
]


class Deaf:
    """A client without a network: what it is given counts, what it sends is gone."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.fast_path = FastPath(Intake(), 0)
        self.fast_path.is_timed = True
        self.client = Client("http://127.0.0.1:1", self.ear, fast_path=self.fast_path)
        self.client._connection = Connection("http://127.0.0.1:1", random_bytes=bytes)
        key = base64.b64encode(bytes(16)).decode()
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_value(key)}\r\n\r\n"
        )
        self.client.on_data(1, head.encode() + frame(OPEN))
        self.fast_path.follow("price:S", 0)

    def numbers(self) -> list[int]:
        batch = self.fast_path.intake.drain()
        return [] if batch is None else [push.number for push in batch.pushes]


def test_in_whole_frames_the_fast_path_takes_all_that_continues_its_stream() -> None:
    deaf = Deaf()
    deaf.client.on_data(2, STREAM[0])
    deaf.client.on_data(3, b"".join(STREAM[1:]))
    assert deaf.numbers() == [1, 2, 3, 4, 5, 6]
    names = [name for _, name, _ in deaf.ear.events]
    assert names == ["own", "fg", "price:update", "price:update"]  # 8 and 9 continue nothing


@given(st.lists(st.integers(0, sum(map(len, STREAM))), max_size=12))
def test_however_the_bytes_are_cut_each_push_comes_once_by_the_fast_path_or_as_an_event(
    cuts: list[int],
) -> None:
    data = b"".join(STREAM)
    deaf = Deaf()
    for begin, end in pairwise(sorted({0, len(data), *cuts})):
        deaf.client.on_data(2, data[begin:end])
    assert deaf.ear.ends == []
    others = [name for _, name, _ in deaf.ear.events if name != "price:update"]
    by_event = [payload["seq"] for payload in deaf.ear.named("price:update")]
    assert others == ["own", "fg"]
    assert sorted([*deaf.numbers(), *by_event]) == [1, 2, 3, 4, 5, 6, 8, 9]


def test_a_client_speaks_tls(tmp_path: Path) -> None:
    server_tls, client_tls = make_contexts(tmp_path)

    def handle(sock: Any) -> None:
        head = sock.recv(4_096)
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert key is not None
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept_value(key[1].decode()).encode()
            + b"\r\n\r\n"
            + unsecured(OPEN, CONNECT, b'42["hello",1]')
        )
        _read_to_the_end(sock)

    server = ThreadedServer(handle, server_tls)
    ear = Ear()
    client = Client(f"https://127.0.0.1:{server.port}", ear, tls=client_tls)
    stranger = Client(f"https://127.0.0.1:{server.port}", Ear())
    try:
        assert client.connect() == "s"
        wait_until(lambda: ear.events)
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            stranger.connect()
    finally:
        client.close()
        server.close()
    assert client.is_closed
    assert stranger.is_closed


def test_a_broadcast_reaches_the_listener_alone_and_beside_other_frames(
    serve: Serve, new_client: Callable[..., tuple[Client, Ear]]
) -> None:
    beats = [b'42["heartbeat",{"seq":%d}]' % number for number in (1, 1, 2)]
    go_on: list[bytes] = [frame(beats[0]), frame(beats[1]) + frame(b'42["x",1]') + frame(beats[2])]

    def after(sock: Any) -> None:
        for data in go_on:
            gevent.sleep(0.05)
            sock.sendall(data)
        _read_to_the_end(sock)

    client, ear = new_client(serve(OPEN, CONNECT, after=after), fast_path=FastPath(Intake(), 0))
    client.connect()
    wait_until(lambda: len(ear.events) == 4)
    assert [(name, arguments) for _, name, arguments in ear.events] == [
        ("heartbeat", ({"seq": 1},)),
        ("heartbeat", ({"seq": 1},)),
        ("x", (1,)),
        ("heartbeat", ({"seq": 2},)),
    ]
    assert all(stamp_ns > 0 for stamp_ns, _, _ in ear.events)


def _ping_on(sock: Any) -> None:
    with suppress(OSError):
        while True:
            sock.sendall(frame(b"2"))
            gevent.sleep(0.01)


@pytest.mark.parametrize("after", [_read_to_the_end, _ping_on], ids=["silent", "talking"])
def test_a_transport_that_stays_open_after_a_disconnect_is_told(
    serve: Serve, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, after: Callable[..., None]
) -> None:
    monkeypatch.setattr(partings, "LEFT_OPEN_NS", 100_000_000)
    client, ear = new_client(serve(OPEN, CONNECT, b"41", after=after))
    client.connect()
    wait_until(lambda: ear.ends)
    assert isinstance(ear.ends[0], Disconnected)
    assert client.is_closed
    assert ear.left_open_ns == []
    wait_until(lambda: ear.left_open_ns)
    assert (len(ear.ends), len(ear.left_open_ns)) == (1, 1)


@pytest.mark.parametrize("has_fast_path", [True, False])
def test_a_transport_that_closes_after_a_disconnect_is_a_plain_end(
    serve: Serve, new_client: NewClient, has_fast_path: bool
) -> None:
    heard: list[bytes] = []

    def close(sock: Any) -> None:
        sock.sendall(frame(b"\x03\xe8", Opcode.CLOSE))
        while data := sock.recv(4_096):
            heard.append(data)

    fast_path = FastPath(Intake(), 0) if has_fast_path else None
    client, ear = new_client(serve(OPEN, CONNECT, b"41", after=close), fast_path=fast_path)
    client.connect()
    wait_until(lambda: any(b"\x88\x82" in data for data in heard))  # the client's own close frame
    wait_until(lambda: ear.ends)
    assert isinstance(ear.ends[0], Disconnected)
    assert ear.left_open_ns == []
