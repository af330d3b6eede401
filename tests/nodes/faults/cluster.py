"""``Cluster``: a real Redis, real nodes, their clients and a publisher."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from blackbox.process import GatewayProcess
from blackbox.target import Target
from deadlines import DEADLINE_S, poll_until
from redis_server import RedisServer

from loadtests.faults.proxy import FaultProxy
from loadtests.faults.toxics import Carrier, Latency, Stream, Timeout, Toxic
from tests.nodes.faults.listener import Listener
from tests.nodes.faults.publisher import Publisher

SECRET: Final = "a secret of all nodes that no test prints 0123456789"
UNLIMITED: Final = {
    f"GATEWAY_{name}": "1000000"
    for name in (
        "MAX_CONNECTIONS_PER_ADDRESS",
        "MAX_CONNECTS_PER_MINUTE_PER_ADDRESS",
        "RATE_LIMIT",
        "USER_RATE_LIMIT",
    )
}
_TOKEN_S: Final = 3 * 86_400  # valid for a node whose clock is a day ahead
_SYMBOLS: Final = 4
_POLL_S: Final = 0.05
SHARED: Final = (sys.executable, "-m", "gateway", "--processes")


class Size(NamedTuple):
    """How large a trial is.

    Attributes:
        clients: of all nodes together.
        pause_s: of each of the publisher's two tasks, between requests, s.
        is_real: whether faults last as long as in the table of the proof.
    """

    clients: int
    pause_s: float
    is_real: bool


SMALL: Final = Size(8, 0.02, False)


@dataclass
class Cluster:
    """The parts of a trial. ``run_cluster`` starts and stops them.

    Attributes:
        redis: the log.
        nodes: the nodes that run, by name.
        proxies: by the name of a node, what is between it and Redis, if anything is.
        listeners: the clients.
        publisher: publishes through all nodes that run.
        publishes_to: names the only node that is published to, "" for all.
    """

    redis: RedisServer
    size: Size
    nodes: dict[str, GatewayProcess] = field(default_factory=dict)
    proxies: dict[str, FaultProxy] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    publishes_to: str = ""
    publisher: Publisher = field(init=False)
    ended: list[GatewayProcess] = field(default_factory=list)

    def urls(self, first: int = 0) -> list[str]:
        """Return the addresses of the nodes that run.

        Args:
            first: the place of the first one.
        """
        urls = [node.url for node in self.nodes.values()]
        return urls[first % len(urls) :] + urls[: first % len(urls)]

    def targets(self) -> list[str]:
        """Return the addresses of the nodes that are published to."""
        return [self.nodes[self.publishes_to].url] if self.publishes_to else self.urls()

    def of_node(self, name: str) -> list[Listener]:
        """Return the clients that a node began with."""
        return self.listeners[list(self.nodes).index(name) :: len(self.nodes)]

    def slow(self, *toxics: Toxic) -> None:
        """Put toxics between all nodes and Redis, in place of those before."""
        for proxy in self.proxies.values():
            proxy.set(toxics)

    def kill(self, name: str) -> None:
        """Kill a node."""
        node = self.nodes.pop(name)
        self.ended.append(node)
        node.kill()

    def has_unanswered(self) -> bool:
        """Return whether a client has an event that no node has told the publisher of."""
        accepted = self.publisher.accepted
        return any(
            each.account.newest[stream] > max(accepted[stream][-1:], default=0)
            for each in self.listeners
            for stream in each.streams
        )

    async def is_ready(self) -> bool:
        """Return whether all nodes are ready."""
        answers = [asyncio.to_thread(is_ready, node) for node in self.nodes.values()]
        return all(await asyncio.gather(*answers))

    async def are_ready(self, *, wanted: bool = True) -> None:
        """Wait until all nodes are ready, or until one is not."""
        async with asyncio.timeout(4 * DEADLINE_S):
            while await self.is_ready() is not wanted:  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(_POLL_S)

    async def are_connected(self) -> None:
        """Wait until all clients have subscribed."""
        await poll_until(
            lambda: all(each.is_connected for each in self.listeners),
            "every client is connected",
            4 * DEADLINE_S,
        )

    async def are_current(self) -> None:
        """Wait until each client has the last publication of each of its streams."""
        last = {stream: found[-1] for stream, found in self.publisher.accepted.items()}

        def behind() -> list[str]:
            return [
                f"{each.account.user} {stream} {each.account.newest[stream]} of {last[stream]}"
                for each in self.listeners
                for stream in each.streams
                if each.account.newest[stream] < last[stream]
            ]

        deadline = asyncio.get_running_loop().time() + 4 * DEADLINE_S
        while found := behind():
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(_POLL_S)

    def errors(self) -> list[str]:
        """Return the lines of errors in the logs of all nodes."""
        return [
            str(line)
            for node in (*self.nodes.values(), *self.ended)
            for line in node.log_events()
            if line["level"] == "error"
        ]


def is_ready(node: Target) -> bool:
    """Return whether a node says that it is ready."""
    try:
        return node.get("/health/ready").status == 200
    except OSError:
        return False


def swallow() -> tuple[Toxic, ...]:
    """Return what makes a connection half-open: both sides keep it, and nothing passes."""
    return tuple(Timeout(stream=stream, carrier=Carrier.ALL) for stream in Stream)


def delay(milliseconds: float) -> Toxic:
    """Return what delays each command to Redis."""
    return Latency(stream=Stream.UPSTREAM, carrier=Carrier.ALL, latency_ms=milliseconds)


@contextlib.asynccontextmanager
async def run_cluster(
    folder: Path,
    size: Size,
    *,
    names: Sequence[str] = "ab",
    is_kept: bool = True,
    is_proxied: bool = False,
    processes: int = 0,
    settings: Mapping[str, str] = {},
    command: Callable[[str], Sequence[str] | None] = lambda _name: None,
) -> AsyncIterator[Cluster]:
    """Start a cluster whose clients are connected and whose publisher publishes.

    Args:
        folder: holds data and logs.
        size: how large it is.
        names: of the nodes.
        is_kept: whether Redis has its data after a restart.
        is_proxied: whether a fault proxy is between each node and Redis.
        processes: of the node, more than 0 for several on one port.
        settings: more settings of the nodes.
        command: returns the command of a node; ``None`` for that of ``GatewayProcess``.
    """
    cluster = Cluster(await asyncio.to_thread(RedisServer, folder, is_kept=is_kept), size)
    connector = aiohttp.TCPConnector(limit=0)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(cluster.redis.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

        async def start(name: str) -> None:
            port = cluster.redis.port
            if is_proxied:
                proxy = cluster.proxies[name] = FaultProxy("127.0.0.1", port)
                port = int((await proxy.start()).rpartition(":")[2])
                stack.push_async_callback(proxy.stop)
            own = {
                "REDIS_URL": f"redis://127.0.0.1:{port}/0",
                "JWT_SECRET": SECRET,
                "GATEWAY_NODE": name,
                "GATEWAY_HEARTBEAT_SECONDS": "5",
                "GATEWAY_MAX_TOKEN_HOURS": str(2 * _TOKEN_S // 3_600),
            }
            run = (*SHARED, str(processes)) if processes else command(name)
            log = folder / f"{name}.log"
            given: dict[str, str | None] = {**UNLIMITED, **own, **settings}
            node = await asyncio.to_thread(GatewayProcess, log, given, run)
            stack.callback(node.kill)
            cluster.nodes[name] = node

        for name in names:
            cluster.nodes[name] = None  # type: ignore[assignment]  # keeps the order
        await asyncio.gather(*map(start, names))
        await cluster.are_ready()
        tasks = _start_clients(cluster, session)
        stack.push_async_callback(_end, tasks)
        await cluster.are_connected()
        cluster.publisher.start()
        tasks += cluster.publisher.tasks
        yield cluster


def _start_clients(cluster: Cluster, session: aiohttp.ClientSession) -> list[asyncio.Task[None]]:
    issuer = next(iter(cluster.nodes.values()))

    def token(user: str, **claims: Any) -> str:
        return issuer.token(user, lifetime_s=_TOKEN_S, **claims)

    users = [f"u{number}" for number in range(cluster.size.clients)]
    symbols = [f"S{number}" for number in range(_SYMBOLS)]
    cluster.listeners = [
        Listener(
            user,
            symbols[number // 2 % _SYMBOLS],
            lambda first=number: cluster.urls(first),  # type: ignore[misc]
            token(user),
            session,
        )
        for number, user in enumerate(users)
    ]
    cluster.publisher = Publisher(
        cluster.targets,
        token("feed", scope="publish"),
        session,
        symbols,
        users,
        cluster.size.pause_s,
    )
    return [asyncio.create_task(each.run()) for each in cluster.listeners]


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
