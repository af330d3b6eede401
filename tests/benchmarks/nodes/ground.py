"""``Ground``: what the cells of a run share: Redis, cores, lengths, and the figures so far."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.health.server_probe import read_cpu_ns
from tests.benchmarks.nodes.rows import MEMORY
from tests.benchmarks.transport import cells
from tests.benchmarks.transport.crowd import Crowd
from tests.benchmarks.transport.peers import ROOT, Peer, Running, start
from tests.benchmarks.transport.rows import OURS, Figures

sys.path.insert(0, str(ROOT / "tests" / "support"))

from redis_server import RedisServer

__all__ = ["Cell", "Ground", "Lengths", "NodeGroup", "RedisServer"]

HEARTBEAT_S: Final = 300.0
"""Longer than any cell: no broadcast of a gateway that waits falls into another's cell."""
_DRAIN_S: Final = 10.0
_UNPRINTED: Final = secrets.token_hex(32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How long and how big the cells are.

    Attributes:
        seconds: the measured part of a cell of ticks.
        warm_s: before it.
        turns: how often each side of a latency cell is measured in a pair.
        publications: of a cell that fills the log.
        users: with private events, whose memory in Redis is measured.
        shrink: what every number of clients is divided by.
    """

    seconds: float = 3.0
    warm_s: float = 0.7
    turns: int = 2
    publications: int = 60_000
    users: int = 10_000
    shrink: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """A gateway, or several as one, with its clients."""

    crowd: Crowd
    gateway: Running


class NodeGroup(Running):
    """Nodes of one log, published to through the first, and counted together.

    Args:
        nodes: the gateways.
    """

    def __init__(self, nodes: list[Running]) -> None:
        first = nodes[0]
        super().__init__(first.peer, first.process, first.port, first.secret)
        self.nodes = nodes

    def cpu_ns(self) -> int:
        """Return the CPU time of all nodes, ns; in ticks of 10 ms where the kernel tells no more.

        Raises:
            PeerFailed: a node has ended.
        """
        return sum(read_cpu_ns(node.process.pid) or node.cpu_ns() for node in self.nodes)

    def rss_bytes(self) -> int:
        """Return the resident memory of all nodes."""
        return sum(node.rss_bytes() for node in self.nodes)


@dataclass(kw_only=True)
class Ground:
    """What the cells of a run share.

    Attributes:
        redis: the log of all nodes; each group of them has its own prefix.
        cores: that may be used, the servers' first.
        folder: for logs.
        lengths: of the cells.
        report: told what happens.
        figures: one value a pair, by row and broker.
        notes: what every cell said of itself, and failures.
        pair: the number of the pair, from 1.
    """

    redis: RedisServer
    cores: list[int]
    folder: Path
    lengths: Lengths
    report: Callable[[str], None]
    figures: Figures = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    pair: int = 1

    def peer(self, key: str, *, prefix: str = "", node: str = "a") -> Peer:
        """Return a gateway that can be started.

        Args:
            key: ``MEMORY`` for the memory broker.
            prefix: of its keys in Redis, shared by the nodes of a group; its own by default.
            node: its name.
        """
        # A count that is told to everybody would fall into a cell of the other gateway.
        environ = [("JWT_SECRET", _UNPRINTED), ("GATEWAY_CONNECTION_COUNT_SECONDS", "0")]
        if key != MEMORY:
            prefix = prefix or secrets.token_hex(4)
            environ += [("REDIS_URL", self.redis.url), ("GATEWAY_REDIS_PREFIX", prefix)]
            environ += [("GATEWAY_NODE", node)]
        title = "memory broker" if key == MEMORY else "log in Redis"
        return Peer(
            key=key,
            title=title,
            command=(sys.executable, "-m", "gateway"),
            environ=tuple(environ),
        )

    @contextlib.contextmanager
    def group(self, count: int, prefix: str = "") -> Iterator[NodeGroup]:
        """Run nodes of one log, one on each core in turn.

        Args:
            count: how many.
            prefix: of their keys in Redis; their own by default.
        """
        prefix = prefix or secrets.token_hex(4)
        with contextlib.ExitStack() as stack:
            nodes = []
            for index in range(count):
                peer = self.peer(OURS, prefix=prefix, node=f"n{index}")
                core = self.cores[index % len(self.cores)]
                nodes.append(stack.enter_context(start(peer, core, HEARTBEAT_S, self.log(peer))))
            yield NodeGroup(nodes)

    def log(self, peer: Peer) -> Path:
        """Return the file that takes what a gateway says."""
        return self.folder / f"{peer.key}.log"

    def keep(self, broker: str, values: Mapping[str, float | None]) -> None:
        """Add the values of a pair.

        Args:
            broker: the column.
            values: by row.
        """
        for row, value in values.items():
            given = self.figures.setdefault(row, {}).setdefault(broker, [])
            given.extend([None] * (self.pair - 1 - len(given)))
            given.append(value)

    def stream(self, cell: Cell, name: str, ticks_per_s: float) -> cells.Streamed:
        """Publish to the clients of a cell and read, and note what it was like.

        Args:
            cell: the gateway and its clients.
            name: of the cell.
            ticks_per_s: offered to each client.
        """
        lengths = self.lengths
        got = cells.stream(
            cell.crowd, cell.gateway, ticks_per_s, lengths.seconds, lengths.warm_s, _DRAIN_S
        )
        peer = cell.gateway.peer.key
        self.notes.append({"pair": self.pair, "peer": peer, "cell": name, **asdict(got)})
        return got
