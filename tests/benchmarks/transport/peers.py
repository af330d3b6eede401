"""The peers: how each is started, and what stands in the way when one cannot be.

All speak one protocol: HS256 token in CONNECT, ``subscribe``, ``ping``, Engine.IO pings, a
heartbeat to everyone, and ``POST /api/v1/publish``, by which every tick arrives. The floor
alone relays a packet that was made for it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.contract import CONNECTION_COUNT_SECONDS, LISTENING_LINE, Scope
from loadtests.tokens import mint
from tests.benchmarks.transport import processes, wire
from tests.benchmarks.transport.crowd import PeerFailed
from tests.benchmarks.transport.rows import BASE, OURS

ROOT: Final = Path(__file__).resolve().parents[3]
_SERVERS: Final = Path(__file__).resolve().parent / "servers"
_NODE: Final = _SERVERS / "node"
_START_S: Final = 20.0
_STOP_S: Final = 5.0
_TOKEN_S: Final = 4 * 3_600
_SETTINGS: Final = ("GATEWAY_", "JWT_", "NODE_ENV", "CLIENT_URL", "PORT", "HOST", "REDIS_URL")


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One server to measure.

    Attributes:
        key: its name in JSON and on the command line.
        title: its name in the table.
        command: starts it; it prints where it listens.
        folder: where it is started.
        environ: more of the environment.
        missing: what it lacks to run here; empty when nothing.
        is_floor: it relays ready packets and checks no token, so rows about that skip it.
        version: of what it stands for.
        tells_count_s: how long after the last arrival it has told everybody of it, and is idle.
    """

    key: str
    title: str
    command: Sequence[str]
    folder: Path = ROOT
    environ: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    is_floor: bool = False
    version: str = ""
    tells_count_s: float = 0.0


def find_peers(base: Path | None, built: Path) -> list[Peer]:
    """Return every peer, in the order of the table.

    Args:
        base: another checkout, whose gateway is a peer too.
        built: a folder for what is compiled.
    """
    peers = [_tidegate(OURS, ROOT), _node("ws"), _stock(), _floor(built), _node("eiows")]
    return peers if base is None else [*peers, _tidegate(BASE, base)]


def _tidegate(key: str, tree: Path) -> Peer:
    return Peer(
        key=key,
        title="Tidegate" if key == OURS else f"Tidegate {_commit(tree)}",
        command=(sys.executable, "-m", "gateway"),
        folder=tree,
        version=_commit(tree),
        tells_count_s=CONNECTION_COUNT_SECONDS,
    )


def _stock() -> Peer:
    return Peer(
        key="stock",
        title="python-socketio",
        command=(sys.executable, str(_SERVERS / "stock.py")),
        version=", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in ("python-socketio", "aiohttp")
        ),
    )


def _node(engine: str) -> Peer:
    package = _NODE / "node_modules" / engine / "package.json"
    versions = [f"{name} {_node_version(name)}" for name in ("socket.io", engine)]
    missing = ""
    if shutil.which("node") is None:
        missing = "node is not on the PATH: install Node.js 18 or newer"
    elif not package.is_file():
        missing = f"{engine} is not installed: npm ci in {_NODE.relative_to(ROOT)}" + (
            ", then npm install --no-save eiows" if engine == "eiows" else ""
        )
    return Peer(
        key="node" if engine == "ws" else engine,
        title="Socket.IO, Node" if engine == "ws" else f"Socket.IO, Node, {engine}",
        command=("node", "server.mjs"),
        folder=_NODE,
        environ=(("WS_ENGINE", engine), ("NODE_ENV", "production")),
        missing=missing,
        version=", ".join(versions),
    )


def _node_version(name: str) -> str:
    package = _NODE / "node_modules" / name / "package.json"
    return str(json.loads(package.read_text())["version"]) if package.is_file() else "absent"


def _floor(built: Path) -> Peer:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    binary, missing = built / "floor", ""
    if compiler is None:
        missing = "no C compiler (cc, gcc, clang) is on the PATH"
    else:
        made = subprocess.run(
            [compiler, "-O2", "-o", str(binary), str(_SERVERS / "floor.c")],
            capture_output=True,
            text=True,
            check=False,
        )
        missing = f"floor.c did not compile: {made.stderr.strip()}" if made.returncode else ""
    return Peer(
        key="floor",
        title="C, one send a socket",
        command=(str(binary),),
        missing=missing,
        is_floor=True,
        version=f"{Path(compiler or '').name} -O2",
    )


def _commit(tree: Path) -> str:
    """Return a checkout's commit, with ``+`` when it holds changes; ``unknown`` without git."""
    answers = []
    for arguments in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "-uno")):
        try:
            answers.append(
                subprocess.run(
                    ["git", *arguments], cwd=tree, capture_output=True, text=True, check=True
                ).stdout.strip()
            )
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
    return answers[0] + ("+" if answers[1] else "")


class Running:
    """A peer that was started and listens.

    Args:
        peer: what was started.
        process: its process, with a pipe for its output.
        port: where it listens, on 127.0.0.1.
        secret: of its tokens.

    Attributes:
        process: as given; for rows that end it.
        secret: as given; for tokens that :meth:`tokens` does not make.
    """

    def __init__(
        self, peer: Peer, process: subprocess.Popen[bytes], port: int, secret: str
    ) -> None:
        self.peer = peer
        self.port = port
        self.process = process
        self._token = mint(secret, "publisher", lifetime_s=_TOKEN_S, scopes=[Scope.PUBLISH])
        self.secret = secret

    def tokens(self, count: int) -> list[str]:
        """Return that many users' tokens."""
        return [mint(self.secret, f"bench-{i}", lifetime_s=_TOKEN_S) for i in range(count)]

    def publish_request(self, due_us: int) -> bytes:
        """Return a request that publishes one tick, due then."""
        make = wire.ready_packet if self.peer.is_floor else wire.publication
        return wire.publish_request(self.port, self._token, make(due_us))

    def cpu_ns(self) -> int:
        """Return the CPU time of its process tree, ns.

        Raises:
            PeerFailed: it has ended.
        """
        try:
            return processes.cpu_ns(self.process.pid)
        except OSError as error:
            raise PeerFailed(f"{self.peer.title} has ended") from error

    def rss_bytes(self) -> int:
        """Return the resident memory of its process tree.

        Raises:
            PeerFailed: it has ended.
        """
        try:
            return processes.rss_bytes(self.process.pid)
        except OSError as error:
            raise PeerFailed(f"{self.peer.title} has ended") from error


@contextlib.contextmanager
def start(peer: Peer, core: int, heartbeat_s: float, log: Path) -> Iterator[Running]:
    """Run a peer on one core; it is killed at the end, for how it stops is not measured.

    Args:
        peer: which.
        core: the only one that it may use.
        heartbeat_s: between its heartbeats.
        log: takes what it says on standard error.

    Raises:
        PeerFailed: it did not say where it listens within 20 s.
    """
    secret = dict(peer.environ).get("JWT_SECRET") or secrets.token_hex(32)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    environ |= {
        "JWT_SECRET": secret,
        "CLIENT_URL": "http://localhost:5173",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "GATEWAY_HEARTBEAT_SECONDS": f"{heartbeat_s:g}",
        **dict(peer.environ),
    }
    cores = os.sched_getaffinity(0)
    with log.open("ab") as errors:
        os.sched_setaffinity(0, {core})  # inherited: threads made at its start are bound too
        try:
            process = subprocess.Popen(
                peer.command,
                cwd=peer.folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        finally:
            os.sched_setaffinity(0, cores)
    try:
        yield Running(peer, process, _read_port(peer, process, log), secret)
    finally:
        process.kill()
        process.wait(_STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _read_port(peer: Peer, process: subprocess.Popen[bytes], log: Path) -> int:
    assert process.stdout is not None
    ready = select.poll()  # select refuses descriptors of a process with 1,024 clients
    ready.register(process.stdout, select.POLLIN | select.POLLHUP)
    line = process.stdout.readline().decode() if ready.poll(_START_S * 1_000) else ""
    if not line.startswith(LISTENING_LINE):
        said = log.read_text(errors="replace").strip()[-500:]
        raise PeerFailed(f"{peer.title} did not start: {line!r} {said}")
    return int(line.strip().rsplit(":", 1)[1])
