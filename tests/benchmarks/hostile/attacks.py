"""Every hostile client by name: what it does, over and over, in a process of its own.

``python -m gevent.monkey --module tests.benchmarks.hostile.attacks KEY`` runs one. In: a line of
JSON, ``{port, secret}``; the end of the input ends the attack. Out: a line when the gateway feels
it, and at the end ``{counts, failed}``.

Readers that do not keep up are the laboratory's client, and slow senders go through its fault
proxy. What breaks the protocol is written byte by byte.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.socket
from gevent.event import Event

from gateway.contract import SOCKETIO_PATH, ClientEvent
from loadtests.connection.client import Client
from loadtests.connection.protocol.websocket_frames import Opcode, encode_frame
from loadtests.errors import ClientError
from loadtests.faults.control import LISTENING, ProxyControl
from loadtests.faults.toxics import Carrier, Slicer, Stream
from loadtests.supervision.children import Child
from loadtests.tokens import mint
from tests.benchmarks.hostile.market import HOST, NARROW_BYTES, SUBSCRIPTION
from tests.benchmarks.transport import wire

_BEHIND_THE_MEASURING: Final = 10  # nice: what measures goes first on the core they share
_MANY: Final = 50  # slow senders at a time
_SILENT: Final = 500
_BURST: Final = 100  # frames
_SHORT_S: Final = 0.2
_PATIENCE_S: Final = 5.0
_START_S: Final = 20.0
_FOR_EVER_S: Final = 3_600.0
_READ_BYTES: Final = 65_536
_USERS: Final = 1_000
_BODY_BYTES: Final = 100_000
_DRIBBLED_BYTES: Final = 2_000  # 100 s, longer than any cell
_DRIBBLE: Final = Slicer(
    stream=Stream.UPSTREAM, carrier=Carrier.ALL, average_size=1, delay_us=50_000
)


class Siege:
    """One attack while it lasts: its counts, and whether the gateway feels it already."""

    def __init__(self, port: int, secret: str) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.is_under_way = Event()
        # A limit may hold for each user: the tokens of many are shown in turn.
        self._tokens = itertools.cycle(
            [mint(secret, f"hostile-{number}", lifetime_s=3_600) for number in range(_USERS)]
        )

    def token(self) -> str:
        return next(self._tokens)

    def dial(self, port: int | None = None) -> socket.socket:
        """Open a connection and count it."""
        self.counts["connections"] += 1
        return socket.create_connection((HOST, port or self.port), _PATIENCE_S)

    def ask(self, port: int | None = None) -> http.client.HTTPConnection:
        """Open a connection for requests and count it."""
        connection = http.client.HTTPConnection(HOST, port or self.port, timeout=_PATIENCE_S)
        connection.sock = self.dial(port)
        return connection

    def greeting(self) -> bytes:
        """Return upgrade request and CONNECT, in one piece."""
        return wire.upgrade_request(self.port) + wire.connect_frame(self.token())

    def on_event(self, _stamp_ns: int, _name: str, _arguments: tuple[Any, ...]) -> None:
        """Part of ``loadtests.connection.client.Listener``."""

    def on_end(self, _stamp_ns: int, _error: Exception) -> None:
        self.counts["closed"] += 1

    def on_left_open(self, _stamp_ns: int) -> None:
        """Part of ``loadtests.connection.client.Listener``."""


Race = Callable[[Siege, http.client.HTTPConnection], list[socket.socket]]


def _turns(every_s: float) -> Iterator[None]:
    """Give a turn at each absolute due time; one that is late does not shift the next."""
    due_s = time.monotonic()
    while True:
        yield
        due_s += every_s
        gevent.sleep(max(0.0, due_s - time.monotonic()))


def read_to_end(line: socket.socket, timeout_s: float) -> bool:
    """Read and forget until the gateway closes; return whether it did in that time.

    A WebSocket's close frame counts: the gateway then waits up to 2 s for this end to close.
    """
    ends_s = time.monotonic() + timeout_s
    try:
        while (left_s := ends_s - time.monotonic()) > 0:
            line.settimeout(left_s)
            data = line.recv(_READ_BYTES)
            if not data or _ends_with_close(data):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def _ends_with_close(data: bytes) -> bool:
    # A server's close frame is not masked and carries at most 125 bytes (RFC 6455, 5.5).
    at = data.rfind(b"\x88")
    return 0 <= at < len(data) - 1 and at + 2 + data[at + 1] == len(data)


def polling(sid: str = "") -> str:
    return f"{SOCKETIO_PATH}?EIO=4&transport=polling{f'&sid={sid}' if sid else ''}"


def open_polling(connection: http.client.HTTPConnection) -> str:
    """Open a session over HTTP polling and return its sid."""
    connection.request("GET", polling())
    return str(json.loads(connection.getresponse().read()[1:])["sid"])


def upgrade_of(port: int, sid: str) -> bytes:
    """Return the request that moves a polling session to a WebSocket."""
    return wire.upgrade_request(port).replace(
        b"transport=websocket", b"transport=websocket&sid=" + sid.encode()
    )


# Readers that do not keep up: the laboratory's client


def _neglect(siege: Siege, conduct: Callable[[Client], None]) -> None:
    """Subscribe and stop reading; one more such client each 0.5 s."""
    clients = []
    for _ in _turns(0.5):
        client = Client(f"http://{HOST}:{siege.port}", siege, receive_buffer_bytes=NARROW_BYTES)
        siege.counts["connections"] += 1
        with contextlib.suppress(ClientError):
            client.connect({"token": siege.token()})
            client.call(ClientEvent.SUBSCRIBE, SUBSCRIPTION)
            client.pause()
            clients.append(client)
            gevent.spawn(conduct, client)
        siege.is_under_way.set()


def _do_nothing(_client: Client) -> None:
    """Neither read nor answer."""


def _send_pongs(client: Client) -> None:
    """Answer pings that are never read."""
    with contextlib.suppress(ClientError):
        for _ in _turns(0.1):
            client.pong()


def _sip(client: Client) -> None:
    """Read 1 KB a second."""
    with contextlib.suppress(OSError):
        for _ in _turns(0.1):
            client.read(100)


# Slow senders: through the laboratory's fault proxy


def _dribble_heads(siege: Siege) -> None:
    """Send 50 request heads, a byte each 50 ms."""
    head = wire.upgrade_request(siege.port)[:-2] + b"X-More: " + b"x" * _DRIBBLED_BYTES
    with _fault_proxy(siege.port) as (port, control):
        control.set([_DRIBBLE])
        lines = [siege.dial(port) for _ in range(_MANY)]
        _send_for_ever(siege, lines, head)


def _dribble_bodies(siege: Siege) -> None:
    """Open 50 polling sessions and push to each, a byte each 50 ms."""
    with _fault_proxy(siege.port) as (port, control):
        connections = [siege.ask(port) for _ in range(_MANY)]
        for connection in connections:
            connection.putrequest("POST", polling(open_polling(connection)))
            connection.putheader("Content-Length", str(_BODY_BYTES))
            connection.endheaders()
        gevent.sleep(0.1)  # the heads have passed
        control.set([_DRIBBLE])
        _send_for_ever(siege, [one.sock for one in connections], b"4" * _DRIBBLED_BYTES)


@contextlib.contextmanager
def _fault_proxy(port: int) -> Iterator[tuple[int, ProxyControl]]:
    with tempfile.TemporaryDirectory(prefix="tidegate-hostile-") as folder:
        command = [sys.executable, "-m", "loadtests.faults", f"{HOST}:{port}"]
        log = Path(folder) / "faults.log"
        proxy = Child("fault proxy", command, log=log, environment=os.environ)
        try:
            url, _, control_port = proxy.wait_for_line(LISTENING, _START_S).split()
            with ProxyControl(int(control_port)) as control:
                yield int(url.rpartition(":")[2]), control
        finally:
            proxy.stop(_PATIENCE_S)


def _send_for_ever(siege: Siege, lines: Sequence[socket.socket], data: bytes) -> None:
    for line in lines:
        line.sendall(data)
    siege.is_under_way.set()
    Event().wait()


# Silence, floods, broken rules and races: written byte by byte


def _be_silent(siege: Siege) -> None:
    """Open 500 WebSockets, 500 a second, and never send CONNECT."""
    lines = []
    for _ in itertools.islice(_turns(0.002), _SILENT):
        lines.append(siege.dial())
        lines[-1].sendall(wire.upgrade_request(siege.port))
        siege.is_under_way.set()
    Event().wait()


def _flood(siege: Siege, frame: bytes) -> None:
    """Send 100 frames each 10 ms on one connection; on another when it is closed."""
    subscribe = wire.event(ClientEvent.SUBSCRIBE, SUBSCRIPTION)
    while True:
        with siege.dial() as line:
            line.sendall(siege.greeting() + subscribe)
            received = b""
            while b'42["subscribed"' not in received:
                received += line.recv(_READ_BYTES)
            siege.is_under_way.set()
            reading = gevent.spawn(read_to_end, line, _FOR_EVER_S)
            try:
                for _ in _turns(0.01):
                    if reading.ready():
                        break
                    line.sendall(frame * _BURST)
                    siege.counts["frames"] += _BURST
            except OSError:
                siege.counts["broken"] += 1
            reading.kill()
        siege.counts["closed"] += 1


_MONSTERS: Final = (
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000 + "]",
    '{"a":' * 40_000,
    "9" * 250_000 + "]",
    "[" + ",".join("1" * 120_000) + "]]",
)


def _break_rules(siege: Siege, packets: Sequence[str], every_s: float, times: int = 1) -> None:
    """Connect and send a packet so many times in one write, see what comes of it, and again."""
    offences = itertools.cycle([wire.masked(packet) * times for packet in packets])
    for offence, _ in zip(offences, _turns(every_s), strict=False):
        with siege.dial() as line:
            siege.is_under_way.set()
            try:
                line.sendall(siege.greeting() + offence)
                siege.counts["frames"] += times
                siege.counts["closed"] += read_to_end(line, _SHORT_S)
            except OSError:
                siege.counts["closed"] += 1


def _upgrade_twice(siege: Siege, connection: http.client.HTTPConnection) -> list[socket.socket]:
    """Upgrade one polling session over two WebSockets at once."""
    request = upgrade_of(siege.port, open_polling(connection))
    rivals = [siege.dial(), siege.dial()]
    for rival in rivals:
        rival.sendall(request + wire.masked("2probe") + wire.masked("5") + wire.masked("40"))
    return rivals


def _poll_twice(siege: Siege, connection: http.client.HTTPConnection) -> list[socket.socket]:
    """Poll one session twice at once while pushing to it."""
    path = polling(open_polling(connection))
    connection.request("POST", path, f'40{{"token":"{siege.token()}"}}')
    connection.getresponse().read()
    rivals = [siege.ask() for _ in range(3)]
    for rival, body in zip(rivals, (None, None, '42["ping"]'), strict=True):
        rival.request("GET" if body is None else "POST", path, body)
    return [rival.sock for rival in rivals]


def _race(siege: Siege, race: Race) -> None:
    """Start a race 20 times a second, whatever became of those before."""

    def run() -> None:
        rivals: list[socket.socket] = []
        try:
            with contextlib.closing(siege.ask()) as connection:
                rivals = race(siege, connection)
                gevent.joinall([gevent.spawn(read_to_end, one, _SHORT_S) for one in rivals])
            siege.counts["races"] += 1
        except (OSError, http.client.HTTPException, ValueError):
            siege.counts["broken"] += 1
        for rival in rivals:
            rival.close()

    for _ in _turns(0.05):
        gevent.spawn(run)
        siege.is_under_way.set()


ATTACKS: Final[dict[str, tuple[str, Callable[[Siege], None]]]] = {
    "never-read": ("reads nothing, answers no ping", partial(_neglect, conduct=_do_nothing)),
    "never-read-pong": ("reads nothing, answers pings", partial(_neglect, conduct=_send_pongs)),
    "slow-read": ("reads 1 KB/s", partial(_neglect, conduct=_sip)),
    "slow-head": ("50 heads, a byte each 50 ms", _dribble_heads),
    "slow-body": ("50 bodies, a byte each 50 ms", _dribble_bodies),
    "silent": ("500 silent connections", _be_silent),
    "pongs": ("10,000 pongs/s", partial(_flood, frame=wire.ENGINE_PONG)),
    "pings": (
        "10,000 WebSocket pings/s",
        partial(_flood, frame=encode_frame(Opcode.PING, b"", b"mask")),
    ),
    "malformed": (
        "10,000 malformed packets/s",
        partial(_break_rules, packets=['42["message"'], every_s=0.01, times=_BURST),
    ),
    "attachments": (
        "attachments announced, never sent",
        partial(
            _break_rules,
            packets=['4510-["message",{"_placeholder":true,"num":0}]'],
            every_s=0.01,
        ),
    ),
    "monsters": (
        "deep and huge JSON, 20/s",
        partial(
            _break_rules,
            packets=['42["subscribe",' + monster for monster in _MONSTERS],
            every_s=0.05,
        ),
    ),
    "double-upgrade": ("double upgrades, 20/s", partial(_race, race=_upgrade_twice)),
    "poll-race": ("racing polls, 20/s", partial(_race, race=_poll_twice)),
}
"""Key → what the table calls it, and what does it."""


def main(key: str) -> None:
    told = json.loads(os.read(0, 4_096))
    siege = Siege(told["port"], told["secret"])
    attack = gevent.spawn(_wage, siege, key)
    siege.is_under_way.rawlink(lambda _: _say({"under_way": key}))
    gevent.joinall([attack, gevent.spawn(gevent.socket.wait_read, 0)], count=1)
    failed = str(attack.value) if attack.ready() else ""
    attack.kill()  # a fault proxy goes with it
    _say({"counts": dict(siege.counts), "failed": failed})


def _wage(siege: Siege, key: str) -> str:
    """Return why an attack ended by itself, which none should."""
    try:
        ATTACKS[key][1](siege)
    except Exception as error:  # noqa: BLE001 - told to the measuring process, which decides
        return f"{type(error).__name__}: {error}"
    return "it ended by itself"


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - a command line speaks


if __name__ == "__main__":
    os.nice(_BEHIND_THE_MEASURING)
    main(sys.argv[-1])
    os._exit(0)  # the kernel closes what the attack holds, at once
